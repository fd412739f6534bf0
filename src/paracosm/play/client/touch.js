// Playing with thumbs: a stick for the ways, round buttons for the other keys, a drag on the picture for the camera.
// Presses codes in `hands` like any other device; knows nothing of the server.

const WAYS = { up: ["forward", "up"], down: ["back", "down"], left: ["left"], right: ["right"] };
const SHOWN = { attack: "fire", use: "use", jump: "jump" };

export class Touch {
  constructor(root, stage, hands, devices, settings) {
    this.root = root;
    this.hands = hands;
    this.devices = devices;
    this.settings = settings;
    this.stick = root.querySelector(".stick");
    this.knob = root.querySelector(".knob");
    this.buttons = root.querySelector(".thumbs");
    this.listenStick();
    this.listenLook(stage);
  }

  /** Offer what the world has. */
  setControls(controls) {
    const ways = Object.values(WAYS).flat();
    this.stick.hidden = !controls.keys.some((key) => ways.includes(key));
    this.buttons.replaceChildren();
    const others = controls.keys.filter((key) => !ways.includes(key) && key in this.devices.codeOf);
    for (const key of others.slice(0, 6)) this.addButton(SHOWN[key] ?? key, this.devices.codeOf[key]);
    for (let index = 0; index < Math.min(controls.num_latents, 8); index += 1) this.addLatent(index);
  }

  addButton(text, code) {
    const button = this.makeButton(text);
    button.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      button.setPointerCapture(event.pointerId);
      button.classList.add("on");
      this.hands.press(code, "touch", event.timeStamp);
    });
    const up = (event) => {
      button.classList.remove("on");
      this.hands.release(code, "touch", event.timeStamp);
    };
    button.addEventListener("pointerup", up);
    button.addEventListener("pointercancel", up);
  }

  addLatent(index) {
    const button = this.makeButton(String(index + 1));
    button.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.hands.setLatent(index);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      button.addEventListener(name, () => this.hands.setLatent(null));
    }
  }

  makeButton(text) {
    const button = document.createElement("button");
    button.className = "thumb";
    button.type = "button";
    button.textContent = text;
    this.buttons.append(button);
    return button;
  }

  listenStick() {
    const move = (event) => {
      const box = this.stick.getBoundingClientRect();
      const x = (event.clientX - box.left - box.width / 2) / (box.width / 2);
      const y = (event.clientY - box.top - box.height / 2) / (box.height / 2);
      const size = Math.hypot(x, y);
      const shrink = size > 1 ? 1 / size : 1;
      this.knob.style.translate = `${x * shrink * 34}px ${y * shrink * 34}px`;
      this.setWays(size < 0.3 ? [] : ways(Math.atan2(-y, x)), event.timeStamp);
    };
    const end = (event) => {
      this.active = null;
      this.knob.style.translate = "";
      this.setWays([], event.timeStamp);
    };
    this.stick.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.active = event.pointerId;
      this.stick.setPointerCapture(event.pointerId);
      move(event);
    });
    this.stick.addEventListener("pointermove", (event) => event.pointerId === this.active && move(event));
    this.stick.addEventListener("pointerup", end);
    this.stick.addEventListener("pointercancel", end);
  }

  setWays(names, at) {
    const wanted = new Set(names.map((way) => this.devices.codeFor(WAYS[way])).filter(Boolean));
    for (const way of Object.keys(WAYS)) {
      const code = this.devices.codeFor(WAYS[way]);
      if (code && !wanted.has(code)) this.hands.release(code, "stick", at);
    }
    for (const code of wanted) this.hands.press(code, "stick", at);
  }

  /** A finger on the picture turns the camera, a little faster than a mouse. */
  listenLook(stage) {
    let finger = null;
    stage.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "touch" || finger) return;
      finger = { id: event.pointerId, x: event.clientX, y: event.clientY };
    });
    addEventListener("pointermove", (event) => {
      if (event.pointerId !== finger?.id) return;
      const degrees = this.settings.sensitivity * 2.2;
      const up = this.settings.invert ? 1 : -1;
      const [yaw, pitch] = this.devices.canLook;
      this.hands.move(
        yaw ? (event.clientX - finger.x) * degrees : 0,
        pitch ? (event.clientY - finger.y) * degrees * up : 0,
      );
      finger.x = event.clientX;
      finger.y = event.clientY;
    });
    for (const name of ["pointerup", "pointercancel"]) {
      addEventListener(name, (event) => event.pointerId === finger?.id && (finger = null));
    }
  }
}

/** Eight directions: each way covers 135 degrees, so that two overlap on the diagonals. */
function ways(angle) {
  const near = (centre) => Math.cos(angle - centre) > Math.cos((67.5 * Math.PI) / 180);
  const names = [];
  if (near(Math.PI / 2)) names.push("up");
  if (near(-Math.PI / 2)) names.push("down");
  if (near(Math.PI)) names.push("left");
  if (near(0)) names.push("right");
  return names;
}
