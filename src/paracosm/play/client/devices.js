// Keyboard, mouse and gamepad: from the browser's events to codes and degrees in `hands`.
// Knows which codes the world binds; knows nothing of the server.

const TURN_KEYS = { ArrowLeft: [-0.6, 0], ArrowRight: [0.6, 0], ArrowUp: [0, 0.6], ArrowDown: [0, -0.6] };
const STICK_NAMES = { up: ["forward", "up"], down: ["back", "down"], left: ["left"], right: ["right"] };
const BUTTON_NAMES = { 0: ["jump", "up"], 1: ["use"], 2: ["use", "attack"], 3: ["jump"], 5: ["attack"], 7: ["attack"] };
const DEAD_ZONE = 0.15;
const PRESSED_AT = 0.4;

export class Devices {
  constructor(stage, hands, settings) {
    this.stage = stage;
    this.hands = hands;
    this.settings = settings;
    this.bindings = {};
    this.codeOf = {};
    this.canLook = [false, false];
    this.onShortcut = () => false;
    this.onLockLost = () => {};
    this.turning = new Set();
    this.listen();
  }

  /** Learn the controls of a world. */
  setControls(controls) {
    this.hands.releaseAll();
    this.turning.clear();
    this.controls = controls;
    this.bindings = controls.bindings;
    this.canLook = controls.look_limit.map((limit) => limit > 0);
    this.codeOf = {};
    for (const [code, key] of Object.entries(controls.bindings)) this.codeOf[key] ??= code;
  }

  get looks() {
    return this.canLook[0] || this.canLook[1];
  }

  get locked() {
    return document.pointerLockElement === this.stage;
  }

  /** First of these key names that the world has, as a code; null if none. */
  codeFor(names) {
    const name = names.find((one) => one in this.codeOf);
    return name ? this.codeOf[name] : null;
  }

  /** Catch the mouse where the world has a camera; plays on without when the browser refuses. */
  async lock() {
    if (!this.looks || this.locked || matchMedia("(pointer: coarse)").matches) return;
    try {
      await this.stage.requestPointerLock({ unadjustedMovement: true });
    } catch (error) {
      if (error?.name !== "NotSupportedError") return; // e.g. too soon after Escape: dragging still turns
      try {
        await this.stage.requestPointerLock();
      } catch {
        /* dragging still turns */
      }
    }
  }

  unlock() {
    if (this.locked) document.exitPointerLock();
  }

  listen() {
    addEventListener("keydown", (event) => this.keyDown(event));
    addEventListener("keyup", (event) => this.keyUp(event));
    addEventListener("blur", () => this.letGo());
    document.addEventListener("visibilitychange", () => document.hidden && this.letGo());
    document.addEventListener("pointerlockchange", () => {
      if (this.locked) this.wasLocked = true;
      else if (this.wasLocked) {
        this.wasLocked = false;
        this.letGo();
        this.onLockLost();
      }
    });
    this.stage.addEventListener("mousedown", (event) => this.button(event, true));
    addEventListener("mouseup", (event) => this.button(event, false));
    this.stage.addEventListener("contextmenu", (event) => event.preventDefault());
    addEventListener("mousemove", (event) => this.mouseMove(event));
    addEventListener("gamepadconnected", () => this.poll());
  }

  letGo() {
    this.turning.clear();
    this.hands.releaseAll();
  }

  keyDown(event) {
    if (typing(event) || event.metaKey || event.ctrlKey || event.altKey) return;
    const code = event.code;
    if (code in this.bindings) {
      // On a button of the page, Space and Enter mean the button.
      if (event.target.closest?.("button, a, select, [role=slider]") && !this.hands.live) return;
      event.preventDefault();
      if (!event.repeat) this.hands.press(code, "keyboard", event.timeStamp);
    } else if (this.looks && code in TURN_KEYS && !event.target.closest?.("[role=slider]")) {
      event.preventDefault();
      this.turning.add(code);
      this.turn();
    } else if (this.controls?.num_latents && /^(Digit|Numpad)[1-9]$/.test(code)) {
      const latent = Number(code.at(-1)) - 1;
      if (latent < this.controls.num_latents) this.hands.setLatent(latent);
    } else if (!event.repeat || code === "Period" || code === "Comma") {
      if (this.onShortcut(event)) event.preventDefault();
    }
  }

  keyUp(event) {
    this.hands.release(event.code, "keyboard", event.timeStamp);
    if (this.turning.delete(event.code)) this.turn();
    if (this.controls?.num_latents && /^(Digit|Numpad)[1-9]$/.test(event.code)) this.hands.setLatent(null);
  }

  turn() {
    let [yaw, pitch] = [0, 0];
    for (const code of this.turning) {
      yaw += TURN_KEYS[code][0];
      pitch += TURN_KEYS[code][1];
    }
    this.hands.setTurn("keyboard", yaw, pitch);
  }

  button(event, down) {
    const code = `Mouse${event.button}`;
    if (down && this.hands.live && (this.locked || !this.looks || this.dragging)) {
      if (code in this.bindings) this.hands.press(code, "mouse", event.timeStamp);
    }
    if (down && this.hands.live) this.dragging = true;
    if (!down) {
      this.dragging = event.buttons > 0;
      this.hands.release(code, "mouse", event.timeStamp);
    }
  }

  mouseMove(event) {
    if (!this.looks || !(this.locked || (this.dragging && event.buttons))) return;
    const degrees = this.settings.sensitivity;
    const up = this.settings.invert ? 1 : -1;
    this.hands.move(
      this.canLook[0] ? event.movementX * degrees : 0,
      this.canLook[1] ? event.movementY * degrees * up : 0,
    );
  }

  /** Gamepads have no events but must be asked; only while one is there. */
  poll() {
    const pad = [...navigator.getGamepads()].find((one) => one?.connected);
    if (!pad) {
      this.polling = false;
      return;
    }
    this.readPad(pad);
    if (this.polling) return;
    this.polling = true;
    const again = () => {
      this.polling = false;
      this.poll();
    };
    requestAnimationFrame(again);
  }

  readPad(pad) {
    const now = performance.now();
    const [x, y, turnX = 0, turnY = 0] = pad.axes;
    const pressed = (index) => (pad.buttons[index]?.value ?? 0) > PRESSED_AT;
    const wanted = new Set();
    const want = (on, names) => {
      const code = on && this.codeFor(names);
      if (code) wanted.add(code);
    };
    want(y < -PRESSED_AT || pressed(12), STICK_NAMES.up);
    want(y > PRESSED_AT || pressed(13), STICK_NAMES.down);
    want(x < -PRESSED_AT || pressed(14), STICK_NAMES.left);
    want(x > PRESSED_AT || pressed(15), STICK_NAMES.right);
    for (const [index, names] of Object.entries(BUTTON_NAMES)) want(pressed(Number(index)), names);
    this.setCodes("gamepad", wanted, now);
    const up = this.settings.invert ? 1 : -1;
    this.hands.setTurn("gamepad", this.canLook[0] ? curve(turnX) : 0, this.canLook[1] ? curve(turnY) * up : 0);
    const start = pressed(9);
    if (start && !this.startHeld) this.onShortcut({ code: "KeyP", key: "p" });
    this.startHeld = start;
  }

  /** Make a device hold exactly these codes. */
  setCodes(device, wanted, at) {
    for (const code of this.hands.held) if (!wanted.has(code)) this.hands.release(code, device, at);
    for (const code of wanted) this.hands.press(code, device, at);
  }
}

/** Bindings that a page can use: with Control held, W would close the tab in the middle of a fight. */
export function withoutBrowserKeys(controls) {
  const usable = ([code]) => !/^(Control|Alt|Meta)/.test(code);
  return { ...controls, bindings: Object.fromEntries(Object.entries(controls.bindings).filter(usable)) };
}

/** Small movements of a stick are noise, middle ones fine, full ones fast. */
function curve(value) {
  const size = Math.max(0, (Math.abs(value) - DEAD_ZONE) / (1 - DEAD_ZONE));
  return Math.sign(value) * size * size;
}

function typing(event) {
  return event.target.closest?.("input:not([type=range]):not([type=checkbox]), textarea, select, dialog") != null;
}
