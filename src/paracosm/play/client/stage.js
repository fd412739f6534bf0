// The picture: unpacks JPEGs, draws each as soon as it is there, and says when it is on the screen.
// Knows no socket; what is older than the picture on show is not drawn.

export class Stage {
  constructor(canvas, glow, settings) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false, desynchronized: true });
    this.glow = glow;
    this.glowContext = glow.getContext("2d", { alpha: false });
    this.settings = settings;
    this.size = [4, 3];
    this.drawn = 0;
    this.glowAt = 0;
    new ResizeObserver(() => this.fit()).observe(canvas);
  }

  setSize(width, height) {
    this.size = [width, height];
    this.canvas.style.setProperty("--ratio", String(width / height));
    this.drawn = 0;
    this.fit();
  }

  /** Choose the grain of the canvas: the world's own pixels, or finer ones that a good filter fills. */
  fit() {
    const [width, height] = this.size;
    const smooth = this.settings.smooth;
    const shown = this.canvas.clientWidth * devicePixelRatio;
    const factor = smooth ? Math.max(1, Math.min(4, Math.round(shown / width / 2))) : 1;
    this.canvas.classList.toggle("pixels", !smooth);
    if (this.canvas.width === width * factor && this.canvas.height === height * factor) return;
    this.canvas.width = width * factor;
    this.canvas.height = height * factor;
    if (this.bitmap) this.paint(this.bitmap);
  }

  /** Draw a picture; `then` is called in the animation frame after the drawing. */
  async show(jpeg, number, then) {
    const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    if (number < this.drawn) {
      bitmap.close();
      return false;
    }
    this.drawn = number;
    this.bitmap?.close();
    this.bitmap = bitmap;
    this.paint(bitmap);
    if (then) requestAnimationFrame(() => then(performance.now()));
    return true;
  }

  paint(bitmap) {
    this.context.imageSmoothingEnabled = this.settings.smooth;
    this.context.imageSmoothingQuality = "high";
    this.context.drawImage(bitmap, 0, 0, this.canvas.width, this.canvas.height);
    const now = performance.now();
    if (now - this.glowAt > 220) {
      this.glowAt = now;
      this.glowContext.drawImage(bitmap, 0, 0, this.glow.width, this.glow.height);
    }
  }
}
