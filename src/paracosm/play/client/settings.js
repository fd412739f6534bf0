// What the player prefers, kept in the browser; and the address: token, world and seed after the "#".

const DEFAULTS = { smooth: true, invert: false, sensitivity: 0.12, panel: true };
const KEY = "paracosm";

export function loadSettings() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { ...DEFAULTS }; // storage is forbidden or damaged: play with the defaults
  }
}

export function saveSettings(settings) {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    /* storage is forbidden: the choice lasts as long as the page */
  }
}

/** Token, world, seed and the words to begin from. The token leaves the address bar at once, so that no screenshot carries it. */
export function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  let token = given.get("token");
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else token = sessionStorage.getItem(KEY);
  } catch {
    /* storage is forbidden: a reload will ask for the address again */
  }
  const prompt = given.get("prompt");
  return { token: token ?? "", world: given.get("world") ?? "", seed: Number(given.get("seed")) || 0, prompt };
}

export function writeAddress(world, seed) {
  history.replaceState(null, "", `#${new URLSearchParams({ world, seed })}`);
}
