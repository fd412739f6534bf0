// A picture of the player's own as the first frame: read in the browser, cut or fitted to the world's size, sent as
// plain RGB. Knows no socket: `begin` is given the bytes.

export class PictureChooser {
  constructor(dialog, complain, begin) {
    this.dialog = dialog;
    this.complain = complain;
    this.begin = begin;
    this.preview = dialog.querySelector("canvas");
    this.mode = "fill";
    this.focus = [0.5, 0.5];
    dialog.querySelectorAll("[name=fit]").forEach((input) =>
      input.addEventListener("change", () => {
        this.mode = input.value;
        this.draw();
      }),
    );
    dialog.querySelector("#picture-begin").addEventListener("click", () => {
      dialog.close();
      this.begin(this.bytes());
    });
    dialog.querySelector("#picture-cancel").addEventListener("click", () => dialog.close());
    this.listenDrag();
  }

  setSize(width, height) {
    this.size = [width, height];
  }

  /** Read a file and let the player place it. */
  async open(file) {
    let bitmap;
    try {
      bitmap = await createImageBitmap(file);
    } catch {
      this.complain(`${file.name || "This"} is not a picture that this browser can read. Choose a PNG, JPEG or WebP.`);
      return;
    }
    this.bitmap = bitmap;
    this.focus = [0.5, 0.5];
    this.draw();
    if (!this.dialog.open) this.dialog.showModal();
  }

  draw() {
    const [width, height] = this.size;
    this.preview.width = width;
    this.preview.height = height;
    const context = this.preview.getContext("2d", { alpha: false, willReadFrequently: true });
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    const { bitmap } = this;
    const across = width / bitmap.width;
    const down = height / bitmap.height;
    const scale = this.mode === "fill" ? Math.max(across, down) : Math.min(across, down);
    const [w, h] = [bitmap.width * scale, bitmap.height * scale];
    shrink(context, bitmap, (width - w) * this.focus[0], (height - h) * this.focus[1], w, h);
  }

  bytes() {
    return rgbOf(this.preview.getContext("2d"), ...this.size);
  }

  listenDrag() {
    let last = null;
    this.preview.addEventListener("pointerdown", (event) => {
      this.preview.setPointerCapture(event.pointerId);
      last = [event.clientX, event.clientY];
    });
    this.preview.addEventListener("pointermove", (event) => {
      if (!last) return;
      const box = this.preview.getBoundingClientRect();
      this.focus[0] = Math.max(0, Math.min(1, this.focus[0] - (event.clientX - last[0]) / box.width));
      this.focus[1] = Math.max(0, Math.min(1, this.focus[1] - (event.clientY - last[1]) / box.height));
      last = [event.clientX, event.clientY];
      this.draw();
    });
    this.preview.addEventListener("pointerup", () => (last = null));
  }
}

/** The pixels of a canvas without their alpha, row by row. */
export function rgbOf(context, width, height) {
  const { data } = context.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    rgb[to++] = data[from];
    rgb[to++] = data[from + 1];
    rgb[to++] = data[from + 2];
  }
  return rgb;
}

/** Draw a much larger picture by halves: one big step would leave out pixels and shimmer. */
export function shrink(context, bitmap, x, y, w, h) {
  let source = bitmap;
  let [sw, sh] = [bitmap.videoWidth ?? bitmap.width, bitmap.videoHeight ?? bitmap.height];
  while (sw > 2 * w && sh > 2 * h) {
    const half = new OffscreenCanvas(Math.ceil(sw / 2), Math.ceil(sh / 2));
    half.getContext("2d").drawImage(source, 0, 0, sw, sh, 0, 0, half.width, half.height);
    source = half;
    [sw, sh] = [half.width, half.height];
  }
  context.drawImage(source, 0, 0, sw, sh, x, y, w, h);
}
