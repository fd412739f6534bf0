// The player's hands: keys, mouse and whatever else presses codes, gathered by event and not by frame.
//
// Every change leaves at once, so input depends neither on the display nor on the pace of the world. A press is kept
// as a tap until it was sent, so that one shorter than a tick still arrives. Knows no socket: `send` is given.

export class Hands {
  /** @param send called with the values of an input message and the time of a key event or null. */
  constructor(send) {
    this.send = send;
    this.seq = 0;
    this.live = false; // whether the world is playing
    this.keys = new Map(); // code -> set of devices that hold it
    this.taps = new Set();
    this.look = [0, 0];
    this.turns = new Map(); // device -> [yaw, pitch] share
    this.latent = null;
    this.keyTime = null;
    this.queued = false;
    this.changed = () => {};
  }

  get held() {
    return [...this.keys.keys()];
  }

  press(code, device, at) {
    const devices = this.keys.get(code) ?? new Set();
    if (devices.has(device)) return;
    if (!devices.size) this.taps.add(code);
    devices.add(device);
    this.keys.set(code, devices);
    this.touch(at);
  }

  release(code, device, at) {
    const devices = this.keys.get(code);
    if (!devices?.delete(device)) return;
    if (!devices.size) this.keys.delete(code);
    this.touch(at);
  }

  /** Let go of everything, as when the window loses the focus. */
  releaseAll() {
    if (!this.keys.size && !this.turns.size && this.latent === null) return;
    this.keys.clear();
    this.turns.clear();
    this.latent = null;
    this.touch(null);
  }

  /** Turn by degrees, right and up positive. */
  move(yaw, pitch) {
    if (!this.live) return;
    this.look[0] += yaw;
    this.look[1] += pitch;
    this.queue();
  }

  /** Keep turning at a share of the world's fastest turn, -1 to 1. */
  setTurn(device, yaw, pitch) {
    const before = this.turns.get(device) ?? [0, 0];
    if (Math.abs(before[0] - yaw) + Math.abs(before[1] - pitch) < 0.004) return;
    if (yaw || pitch) this.turns.set(device, [yaw, pitch]);
    else this.turns.delete(device);
    this.queue();
  }

  setLatent(latent) {
    if (this.latent === latent) return;
    this.latent = latent;
    this.touch(performance.now());
  }

  touch(at) {
    if (at !== null && this.keyTime === null) this.keyTime = at;
    this.changed();
    this.queue();
  }

  queue() {
    if (this.queued) return;
    this.queued = true;
    queueMicrotask(() => {
      this.queued = false;
      if (this.live) this.flush();
    });
  }

  /** Say what the hands do now. */
  flush() {
    const turn = [0, 0];
    for (const [yaw, pitch] of this.turns.values()) {
      turn[0] = clamp(turn[0] + yaw, 1);
      turn[1] = clamp(turn[1] + pitch, 1);
    }
    this.seq += 1;
    this.send(
      {
        seq: this.seq,
        clock: this.keyTime ?? performance.now(),
        held: this.held.slice(0, 60),
        taps: [...this.taps].slice(0, 60),
        look: this.look.map((angle) => clamp(angle, 3600)),
        turn,
        latent: this.latent,
      },
      this.keyTime,
    );
    this.taps.clear();
    this.look = [0, 0];
    this.keyTime = null;
  }

  /** Say whether the world is playing; what was pressed before it did is not a tap. */
  setLive(live) {
    if (this.live === live) return;
    this.live = live;
    this.taps.clear();
    this.look = [0, 0];
    this.keyTime = null;
    if (live) this.flush();
  }
}

function clamp(value, limit) {
  return Math.max(-limit, Math.min(limit, value));
}
