// What lies over the picture when nobody plays: how to begin, that something loads, why it ended.

import { STATES } from "./wire.js";

const $ = (id) => document.getElementById(id);

export class Veil {
  set(kind, title, text, { rewind = false, again = false } = {}) {
    document.body.dataset.veil = kind;
    $("veil-title").textContent = title;
    $("veil-text").textContent = text;
    $("veil-rewind").hidden = !rewind;
    $("veil-again").hidden = !again;
  }

  wait(title) {
    this.set("wait", title, "");
  }

  lost(reason) {
    this.set("lost", "This session is over", `${reason} — click to connect again.`);
  }

  show(state, { looks, moved }) {
    const touch = matchMedia("(pointer: coarse)").matches;
    if (state === STATES.PLAYING || state === STATES.SEEKING) this.set("none", "", "");
    else if (state === STATES.ENDED) {
      this.set("over", "The episode is over", "", { rewind: moved, again: true });
    } else if (state === STATES.FAILED) this.set("over", "The world stopped", "", { again: true });
    else if (state === STATES.PAUSED) {
      const hint = touch ? "" : looks ? "The mouse looks around, Esc sets it free" : "";
      // Once something was played the picture itself matters: rewinding and stepping want it uncovered.
      this.set(moved ? "pause" : "play", touch ? "Tap to play" : "Click to play", hint);
    }
  }
}
