// Which key does what: drawn from the world's own bindings, lit while pressed. Knows no socket.

const NAMES = {
  Space: "Space", Enter: "Enter", ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", Mouse0: "Left click",
  Mouse1: "Middle click", Mouse2: "Right click", ShiftLeft: "Shift", ControlLeft: "Ctrl", Escape: "Esc", Comma: ",",
  Period: ".", Slash: "/", Backspace: "⌫", Tab: "Tab",
};

/** What stands on the key that a code means. */
export function keyName(code) {
  return NAMES[code] ?? code.replace(/^(Key|Digit)/, "").replace(/^Numpad/, "Num ");
}

export class Legend {
  constructor(root) {
    this.root = root;
    this.rows = [];
    this.latents = [];
  }

  /** Rows of what a world offers; pictures are PNG files in base64, one for each learnt action, or none. */
  setControls(controls, pictures = []) {
    this.rows = controls.keys.map((key) => {
      const codes = Object.entries(controls.bindings).filter(([, name]) => name === key).map(([code]) => code);
      return { key, codes, element: row(key.replaceAll("_", " "), codes.map(keyName)) };
    });
    const extras = [];
    if (controls.look_limit.some((limit) => limit > 0)) {
      const names = ["Mouse", ...["ArrowLeft", "ArrowRight"].filter((code) => !(code in controls.bindings)).map(keyName)];
      extras.push(row("look", names));
    }
    this.latents = pictures.map((picture, index) => latentRow(index, picture));
    if (this.latents.length) extras.push(...this.latents);
    else if (controls.num_latents) extras.push(row(`${controls.num_latents} learnt actions`, ["1", "…"]));
    this.shown = null;
    this.root.replaceChildren(...this.rows.map((one) => one.element), ...extras);
  }

  /** Light the learnt action that is held, by number; null lights none. */
  lightLatent(latent) {
    this.latents.forEach((element, index) => element.classList.toggle("applied", index === latent));
  }

  /** Light what is held by the player, and what the frame on show was made with. */
  light(held, applied) {
    const shown = `${held} ${applied}`;
    if (shown === this.shown) return;
    this.shown = shown;
    for (const { key, codes, element } of this.rows) {
      const caps = element.querySelectorAll("kbd");
      codes.forEach((code, index) => caps[index].classList.toggle("on", held.includes(code)));
      element.classList.toggle("applied", applied.includes(key));
    }
  }
}

/** What a learnt action was found to do: a strip of frames while it is held, beside its key. */
function latentRow(index, picture) {
  const element = row("", [String(index + 1)]);
  const strip = document.createElement("img");
  strip.className = "strip";
  strip.alt = `what learnt action ${index + 1} does, from the same start`;
  strip.src = `data:image/png;base64,${picture}`;
  element.firstChild.replaceChildren(strip);
  return element;
}

function row(name, caps) {
  const element = document.createElement("div");
  element.className = "binding";
  const label = document.createElement("span");
  label.textContent = name;
  const keys = document.createElement("span");
  keys.className = "caps";
  for (const cap of caps) {
    const key = document.createElement("kbd");
    key.textContent = cap;
    keys.append(key);
  }
  element.append(label, keys);
  return element;
}
