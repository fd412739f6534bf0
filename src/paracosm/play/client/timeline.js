// The slider over everything that happened: the path being played on top, the branches left behind beneath it.
// Asks for a preview while the pointer moves and for the moment itself when it is let go. Knows no socket.

const COLOURS = ["#ffb27a", "#7cc7ff", "#c59bff", "#7ee0b0", "#ff8fa8", "#e8d67a"];
const MAX_LANES = 4;
const PEEK_EVERY_MS = 45;

export class Timeline {
  /** @param on {peek(branch, index), seek(branch, index), grab()} */
  constructor(root, on) {
    this.root = root;
    this.on = on;
    this.track = root.querySelector(".track");
    this.lanes = root.querySelector(".lanes");
    this.thumb = root.querySelector(".thumb-mark");
    this.label = root.querySelector(".moment");
    this.bubble = root.querySelector(".bubble");
    this.picture = this.bubble.querySelector("canvas");
    this.fps = 20;
    this.reset();
    this.listen();
  }

  reset() {
    this.branches = new Map([[0, { id: 0, parent: null, fork: 0, length: 0 }]]);
    this.current = 0;
    this.index = 0;
    this.oldest = 0;
    this.draw();
  }

  /** The server told all branches. */
  tell(header) {
    this.branches = new Map(header.branches.map((branch) => [branch.id, branch]));
    this.current = header.current;
    this.index = header.index;
    this.oldest = header.oldest;
    this.draw();
  }

  /** A frame came. */
  moved(header) {
    const branch = this.branches.get(header.branch);
    if (branch) branch.length = Math.max(branch.length, header.length);
    this.current = header.branch;
    this.index = header.index;
    if (this.span !== this.drawnSpan) this.draw();
    else if (!this.dragging) this.placeSoon();
  }

  /** Steps that the width stands for: grows in leaps, so that the bar does not creep all the time. */
  get span() {
    let longest = 1;
    for (const branch of this.branches.values()) longest = Math.max(longest, branch.length);
    const step = longest < 200 ? 40 : longest < 2000 ? 200 : 1000;
    return Math.max(this.fps * 8, Math.ceil((longest * 1.03) / step) * step);
  }

  /** Pieces of the path along a branch: [branch, from, to]. */
  path(id) {
    const pieces = [];
    let branch = this.branches.get(id);
    let end = branch?.length ?? 0;
    while (branch) {
      pieces.unshift([branch, branch.fork, end]);
      end = branch.fork;
      branch = branch.parent === null ? null : this.branches.get(branch.parent);
    }
    return pieces;
  }

  draw() {
    const span = this.span;
    this.drawnSpan = span;
    const bars = [];
    const bar = (branch, from, to, lane, main) => {
      const element = document.createElement("div");
      element.className = main ? "bar main" : "bar";
      element.style.left = `${(100 * from) / span}%`;
      element.style.width = `${(100 * Math.max(to - from, 0)) / span}%`;
      element.style.top = `${lane * 7 + (lane ? 2 : 0)}px`;
      element.style.setProperty("--colour", COLOURS[branch.id % COLOURS.length]);
      element.dataset.branch = branch.id;
      bars.push(element);
    };
    for (const [branch, from, to] of this.path(this.current)) bar(branch, from, to, 0, true);
    const onPath = new Set(this.path(this.current).map(([branch]) => branch.id));
    const onPathEnd = new Map(this.path(this.current).map(([branch, , to]) => [branch.id, to]));
    const others = [...this.branches.values()].filter(
      (branch) => !onPath.has(branch.id) || branch.length > onPathEnd.get(branch.id),
    );
    others.slice(-MAX_LANES).forEach((branch, lane) => {
      const from = onPath.has(branch.id) ? onPathEnd.get(branch.id) : branch.fork;
      bar(branch, from, branch.length, lane + 1, false);
    });
    this.lanes.replaceChildren(...bars);
    this.place(this.index);
  }

  /** Ten times a second is enough for the eye, and spares the browser a layout for every frame. */
  placeSoon() {
    this.placing ??= setTimeout(() => {
      this.placing = null;
      if (!this.dragging) this.place(this.index);
    }, 100);
  }

  place(index) {
    this.thumb.style.translate = `${(100 * index) / this.span}% 0`;
    const main = this.lanes.querySelectorAll(".bar.main");
    const last = main[main.length - 1];
    if (last && !this.dragging) {
      const branch = this.branches.get(this.current);
      last.style.width = `${(100 * Math.max(branch.length - branch.fork, 0)) / this.span}%`;
    }
    this.label.textContent = clock(index / this.fps);
    this.label.title = `step ${index}`;
    this.track.setAttribute("aria-valuenow", String(index));
    this.track.setAttribute("aria-valuemax", String(this.branches.get(this.current)?.length ?? 0));
    this.track.setAttribute("aria-valuetext", `step ${index}`);
  }

  /** Where a pointer points: a branch and a step of it. */
  aim(event) {
    const box = this.track.getBoundingClientRect();
    const at = Math.round(((event.clientX - box.left) / box.width) * this.span);
    const lane = event.target.closest?.(".bar:not(.main)");
    const id = this.dragging ? this.dragging.branch : lane ? Number(lane.dataset.branch) : this.current;
    const branch = this.branches.get(id);
    return { branch: id, index: Math.max(0, Math.min(branch.length, at)) };
  }

  listen() {
    const track = this.track;
    track.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      track.setPointerCapture(event.pointerId);
      this.dragging = this.aim(event);
      this.on.grab();
      this.drag(event);
    });
    track.addEventListener("pointermove", (event) => (this.dragging ? this.drag(event) : this.hover(event)));
    track.addEventListener("pointerleave", () => !this.dragging && this.hideBubble());
    const drop = (event) => {
      if (!this.dragging) return;
      const { branch, index } = this.aim(event);
      this.dragging = null;
      this.hideBubble();
      this.on.seek(branch, index);
    };
    track.addEventListener("pointerup", drop);
    track.addEventListener("pointercancel", drop);
    track.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -this.fps, PageDown: this.fps, Home: -1e9, End: 1e9 }[event.code];
      if (by === undefined) return;
      event.preventDefault();
      const length = this.branches.get(this.current).length;
      this.on.seek(this.current, Math.max(0, Math.min(length, Math.round(this.index + by))));
    });
  }

  drag(event) {
    const aim = this.aim(event);
    this.place(aim.index);
    this.hover(event);
  }

  hover(event) {
    const aim = this.aim(event);
    const box = this.track.getBoundingClientRect();
    const x = (aim.index / this.span) * box.width;
    this.bubble.hidden = false;
    this.bubble.style.left = `${Math.max(60, Math.min(box.width - 60, x))}px`;
    this.bubble.querySelector("span").textContent = clock(aim.index / this.fps);
    const now = performance.now();
    const key = `${aim.branch}/${aim.index}`;
    if (key === this.asked || now - (this.askedAt ?? 0) < PEEK_EVERY_MS) return;
    this.asked = key;
    this.askedAt = now;
    this.on.peek(aim.branch, aim.index);
  }

  hideBubble() {
    this.bubble.hidden = true;
    this.asked = null;
  }

  /** A picture of the past came: show it beside the pointer. */
  async preview(jpeg) {
    const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    this.picture.width = bitmap.width;
    this.picture.height = bitmap.height;
    this.picture.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
  }
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const tenths = Math.floor((seconds - whole) * 10);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}.${tenths}`;
}
