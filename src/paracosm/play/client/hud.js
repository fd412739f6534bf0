// The figures in the corner: frames a second and key-to-screen time, each with the line of its recent past.

export class Hud {
  constructor(root, stats) {
    this.root = root;
    this.stats = stats;
    this.fps = root.querySelector("#fps");
    this.latency = root.querySelector("#latency");
    this.fpsLine = root.querySelector("#fps-line");
    this.latencyLine = root.querySelector("#latency-line");
    this.more = root.querySelector("#more-figures");
    this.target = 20;
    setInterval(() => this.draw(), 250);
  }

  draw() {
    const { stats } = this;
    const fps = stats.fps;
    this.fps.textContent = fps ? fps.toFixed(fps < 9.95 ? 1 : 0) : "–";
    const p50 = stats.quantile(0.5, stats.latencies.slice(-40));
    this.latency.textContent = p50 === null ? "–" : Math.round(p50);
    line(this.fpsLine, calm(stats.intervals.slice(-66)), 2000 / this.target);
    line(this.latencyLine, stats.latencies.slice(-40), 200);
    if (!this.more.hidden) this.drawMore();
  }

  drawMore() {
    const { stats } = this;
    const last = stats.last;
    const ms = (value) => (value === null || value === undefined ? "–" : `${value.toFixed(1)} ms`);
    const rows = [
      ["key to screen, median", ms(stats.quantile(0.5))],
      ["key to screen, 95 %", ms(stats.quantile(0.95))],
      ["key to screen, 99 %", ms(stats.quantile(0.99))],
      ["frame interval, 95 %", ms(stats.quantile(0.95, stats.intervals))],
      ["the world's step", ms(last.step_ms)],
      ["compression", ms(last.encode_ms)],
      ["step began late by", ms(last.late_ms)],
      ["pictures dropped", String(last.dropped ?? 0)],
      ["pictures shown", String(stats.frames)],
    ];
    const cells = rows.flatMap(([name, value]) => {
      const term = document.createElement("dt");
      const detail = document.createElement("dd");
      term.textContent = name;
      detail.textContent = value;
      return [term, detail];
    });
    this.more.querySelector("dl").replaceChildren(...cells);
  }
}

/** Means of seven neighbours: the display's own beat would otherwise saw through every line. */
function calm(values) {
  const means = [];
  for (let end = 7; end <= values.length; end += 1) {
    means.push(values.slice(end - 7, end).reduce((sum, value) => sum + value, 0) / 7);
  }
  return means;
}

/** Draw values from 0 to `top` as a line into an SVG path of 60 by 18. */
function line(path, values, top) {
  if (values.length < 2) {
    path.setAttribute("d", "");
    return;
  }
  const points = values.map((value, index) => {
    const x = (60 * index) / (values.length - 1);
    const y = 17 - 16 * Math.min(1, value / top);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  path.setAttribute("d", `M${points.join("L")}`);
}
