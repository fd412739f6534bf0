// How the world is made, as far as the player may choose: passes, guidance, and what happens to the past.
// Only values that the server offers are shown. Knows no socket.

export class Dials {
  /** @param tune function of {passes, guidance, cache}; what is not changed is 0, 0 and "keep". */
  constructor(root, tune) {
    this.root = root;
    this.tune = (change) => tune({ passes: 0, guidance: 0, cache: "keep", ...change });
    for (const button of root.querySelectorAll("[data-cache]")) {
      button.addEventListener("click", () => this.tune({ cache: button.dataset.cache }));
    }
  }

  show({ passes, guidance, cache, now }) {
    this.root.hidden = !(passes.length || guidance.length || cache.length);
    this.choices("passes", passes, now.passes);
    this.choices("guidance", guidance, now.guidance);
    for (const button of this.root.querySelectorAll("[data-cache]")) button.hidden = !cache.includes(button.dataset.cache);
  }

  choices(name, values, chosen) {
    const row = this.root.querySelector(`[data-dial=${name}]`);
    row.hidden = !values.length;
    const group = row.querySelector(".segments");
    const labels = values.map((value) => {
      const input = Object.assign(document.createElement("input"), { type: "radio", name, value, checked: value === chosen });
      input.addEventListener("change", () => this.tune({ [name]: value }));
      const text = Object.assign(document.createElement("span"), { textContent: String(+value.toFixed(2)) });
      const label = document.createElement("label");
      label.append(input, text);
      return label;
    });
    group.replaceChildren(...labels);
  }
}
