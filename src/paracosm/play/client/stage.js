// The picture: unpacks JPEGs, draws the newest as soon as it is there, and says when it is on the screen.
// Knows no socket.

const MAX_FINE = 400; // columns of the smoothed canvas: finer ones cost more than they show
const NIGHT = "11 10 16"; // the page's own colour, see style.css

export class Stage {
  constructor(canvas, glow, settings) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.glow = glow;
    this.glowContext = glow.getContext("2d", { alpha: false });
    this.settings = settings;
    this.size = [4, 3];
    this.glowAt = 0;
    new ResizeObserver(() => this.fit()).observe(canvas);
  }

  setSize(width, height) {
    this.size = [width, height];
    this.canvas.style.setProperty("--ratio", String(width / height));
    this.fit();
  }

  /** Choose the grain of the canvas: the world's own pixels, or finer ones that a good filter fills. */
  fit() {
    const [width, height] = this.size;
    const smooth = this.settings.smooth;
    const shown = this.canvas.clientWidth * devicePixelRatio;
    const factor = smooth ? Math.max(1, Math.min(4, Math.floor(MAX_FINE / width), Math.round(shown / width / 2))) : 1;
    this.canvas.classList.toggle("pixels", !smooth);
    if (this.canvas.width === width * factor && this.canvas.height === height * factor) return;
    this.canvas.width = width * factor;
    this.canvas.height = height * factor;
    if (this.bitmap) this.paint(this.bitmap);
  }

  /** Show a picture; a newer one takes its place when this one has not been unpacked yet.
   *
   * `drawn` is called when it is on the canvas, `seen` in the animation frame after that. */
  show(jpeg, drawn, seen) {
    this.waiting = { jpeg, drawn, seen };
    if (!this.busy) this.work();
  }

  /** One picture for each frame of the display: on a slow machine the newest matters, not all of them. */
  async work() {
    this.busy = true;
    while (this.waiting) {
      const { jpeg, drawn, seen } = this.waiting;
      this.waiting = null;
      const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
      this.bitmap?.close();
      this.bitmap = bitmap;
      this.paint(bitmap);
      drawn();
      await nextFrame();
      seen(performance.now());
    }
    this.busy = false;
  }

  paint(bitmap) {
    this.context.imageSmoothingEnabled = this.settings.smooth;
    this.context.imageSmoothingQuality = "high";
    this.context.drawImage(bitmap, 0, 0, this.canvas.width, this.canvas.height);
    const now = performance.now();
    if (now - this.glowAt > 400) {
      this.glowAt = now;
      this.paintGlow(bitmap);
    }
  }

  /** The light that the picture throws on the room. It is faded here and not by a mask or by opacity on the page:
   * those make the browser blend the whole window again for every frame. */
  paintGlow(bitmap) {
    const { glow, glowContext: context } = this;
    const [width, height] = [glow.width, glow.height];
    context.drawImage(bitmap, 0, 0, width, height);
    const shade = context.createRadialGradient(0.46, 0.46, 0, 0.46, 0.46, 0.6);
    shade.addColorStop(0, `rgb(${NIGHT} / 66%)`);
    shade.addColorStop(0.5, `rgb(${NIGHT} / 80%)`);
    shade.addColorStop(1, `rgb(${NIGHT})`);
    context.save();
    context.scale(width, height);
    context.fillStyle = shade;
    context.fillRect(0, 0, 1, 1);
    context.restore();
  }
}

/** The next animation frame; a hidden page has none, so wait no longer than a blink. */
function nextFrame() {
  return new Promise((resolve) => {
    const late = setTimeout(resolve, 250);
    requestAnimationFrame(() => {
      clearTimeout(late);
      resolve();
    });
  });
}
