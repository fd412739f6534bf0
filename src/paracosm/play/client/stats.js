// What the page measures: frames a second and key-to-screen time. Knows no element of the page.
//
// Key-to-screen is the time from a key's event to the animation frame after the drawing of the first picture that the
// key had gone into; the server echoes the number of the newest message in each picture, so no clocks are compared.

const KEPT = 600;

export class Stats {
  constructor() {
    this.pending = []; // {seq, at}: keys that no picture has answered yet
    this.latencies = [];
    this.arrivals = []; // moments of drawing
    this.intervals = [];
    this.frames = 0;
    this.last = {};
  }

  /** A message with a key change left; `at` is the event's own time. */
  pressed(seq, at) {
    this.pending.push({ seq, at });
    if (this.pending.length > 200) this.pending.shift();
  }

  /** A picture is on the screen. */
  shown(header, now) {
    const previous = this.arrivals.at(-1);
    if (previous !== undefined && now - previous < 2000) keep(this.intervals, now - previous);
    keep(this.arrivals, now);
    this.frames += 1;
    this.last = header;
    while (this.pending.length && this.pending[0].seq <= header.seq) {
      keep(this.latencies, now - this.pending.shift().at);
    }
  }

  /** Nothing waits for an answer any more: the world was paused or left. */
  forget() {
    this.pending = [];
    this.arrivals = [];
  }

  get fps() {
    const now = performance.now();
    const recent = this.arrivals.filter((at) => at > now - 1500);
    if (recent.length < 2) return 0;
    return ((recent.length - 1) * 1000) / (recent.at(-1) - recent[0]);
  }

  quantile(share, values = this.latencies) {
    if (!values.length) return null;
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  }
}

function keep(list, value) {
  list.push(value);
  if (list.length > KEPT) list.shift();
}
