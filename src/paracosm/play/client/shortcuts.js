// Keys of the page itself; a world that binds one of them keeps it for itself.

const ROWS = [
  [["P"], "play or pause"],
  [["."], "one step on"],
  [[","], "one step back"],
  [["⌫"], "rewind three seconds"],
  [["Home"], "back to the first frame"],
  [["R"], "record to a dataset, where that is offered"],
  [["F"], "full screen"],
  [["M"], "smooth or crisp pixels"],
  [["Esc"], "free the mouse and pause"],
];

const ACTIONS = {
  KeyP: "togglePlay",
  Enter: "togglePlay",
  Period: "stepOnce",
  Comma: "stepBack",
  Backspace: "rewind",
  Home: "again",
  KeyR: "record",
  KeyF: "full",
  KeyM: "smooth",
  Escape: "pause",
};

/** Do what a key means; says whether it means anything. */
export function shortcut(event, actions) {
  if (event.target?.closest?.("button, [role=slider]") && ["Enter", "Home"].includes(event.code)) return false;
  const action = event.key === "?" ? "help" : ACTIONS[event.code];
  if (!action) return false;
  actions[action]();
  return true;
}

export function helpRows() {
  return ROWS.flatMap(([keys, meaning]) => {
    const caps = document.createElement("span");
    for (const key of keys) caps.append(Object.assign(document.createElement("kbd"), { textContent: key }));
    return [caps, Object.assign(document.createElement("span"), { textContent: meaning })];
  });
}
