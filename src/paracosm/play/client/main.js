// The page: joins the socket, the picture, the hands and the controls of the page. State comes from the server only.

import { Devices, withoutBrowserKeys } from "./devices.js";
import { Dials } from "./dials.js";
import { Hands } from "./hands.js";
import { readClip } from "./guide.js";
import { Hud } from "./hud.js";
import { Legend } from "./legend.js";
import { Link } from "./link.js";
import { PictureChooser } from "./picture.js";
import { loadSettings, readAddress, saveSettings, writeAddress } from "./settings.js";
import { helpRows, shortcut } from "./shortcuts.js";
import { Stage } from "./stage.js";
import { Stats } from "./stats.js";
import { Timeline } from "./timeline.js";
import { download, share, toast } from "./tools.js";
import { Touch } from "./touch.js";
import { Veil } from "./veil.js";
import { CLIENT, SERVER, STATES } from "./wire.js";

const $ = (id) => document.getElementById(id);
const address = readAddress();
const settings = loadSettings();
const stats = new Stats();
const stage = new Stage($("canvas"), $("glow"), settings);
const hud = new Hud(document, stats);
const legend = new Legend($("legend"));
const veil = new Veil();

let link = null;
let world = null;
let state = STATES.OPENING;
let driver = "player";
let recording = false;
let epoch = 0;
let lastFrame = null;
let tuned = null; // passes and guidance in force

const hands = new Hands((values, keyTime) => {
  link.send(CLIENT.INPUT, values);
  if (keyTime !== null) stats.pressed(values.seq, keyTime);
});
hands.changed = () => {
  legend.light(hands.held, lastFrame?.keys ?? []);
  legend.lightLatent(hands.latent);
};
const devices = new Devices($("stage"), hands, settings);
const touch = new Touch($("touch"), $("stage"), hands, devices, settings);
const timeline = new Timeline($("timeline"), {
  grab: () => link.send(CLIENT.PAUSE),
  peek: (branch, index) => link.send(CLIENT.PEEK, { branch, index }),
  seek,
});
const dials = new Dials($("dials"), (change) => link.send(CLIENT.TUNE, change));
const chooser = new PictureChooser($("picture-dialog"), toast, (bytes) => open({ picture: bytes }));

// What the server says

const on = {
  [SERVER.HELLO](header) {
    $("world").replaceChildren(...header.worlds.map(({ name, title }) => new Option(title, name)));
    const names = header.worlds.map(({ name }) => name);
    const name = names.includes(address.world) ? address.world : names[0];
    open({ name, seed: address.seed, prompt: name === names[0] ? address.prompt : null });
  },
  [SERVER.WORLD](header) {
    world = header;
    epoch = header.epoch;
    stats.forget();
    hands.seq = Math.max(hands.seq, 0);
    describeWorld(header);
    timeline.fps = header.fps;
    timeline.reset();
  },
  [SERVER.FRAME](header, jpeg) {
    const acknowledge = () => link.send(CLIENT.ACK, { number: header.number });
    if (header.epoch !== epoch) {
      acknowledge();
      return;
    }
    timeline.moved(header);
    stage.show(jpeg, acknowledge, (now) => {
      stats.shown(header, now);
      lastFrame = header;
      legend.light(hands.held, header.keys);
    });
  },
  [SERVER.STATE](header) {
    if (state !== header.state) stats.forget(); // time that stood still is no frame interval
    state = header.state;
    driver = header.driver;
    recording = header.recording;
    showState();
  },
  [SERVER.DIALS](header) {
    dials.show(header);
    tuned = header.now;
  },
  [SERVER.TIMELINE]: (header) => timeline.tell(header),
  [SERVER.PICTURE]: (_, jpeg) => timeline.preview(jpeg),
  [SERVER.REPLAY]: (header, bytes) => deliver(bytes, `${header.name}.replay.json`, "application/json"),
  [SERVER.CLIP](header, bytes) {
    $("clip").classList.remove("on");
    download(bytes, `${header.name}.mp4`, "video/mp4");
  },
  [SERVER.VERDICT](header) {
    if (header.different) {
      toast(`${header.different} of ${header.compared} frames came out differently, the first at step ${header.first_difference}.`);
    } else toast(`All ${header.compared} frames came out exactly as recorded.`, true);
  },
  [SERVER.NOTICE]: (header) => toast(header.text, header.good),
  [SERVER.ERROR](header) {
    $("clip").classList.remove("on");
    if (header.during === CLIENT.OPEN && world) showWorldChoice();
    if (header.during === CLIENT.OPEN && !world) veil.lost(header.text);
    toast(header.text);
  },
  closed(reason) {
    state = STATES.CLOSED;
    hands.setLive(false);
    showState();
    veil.lost(reason);
  },
};

function connect() {
  veil.wait("Connecting");
  link = new Link(address.token, on);
}

// What the player does

function open({ name = world?.name, seed = Number($("seed").value) || 0, picture = undefined, prompt = null }) {
  veil.wait(`Opening ${$("world").querySelector(`option[value="${CSS.escape(name)}"]`)?.text ?? name}`);
  link.send(CLIENT.OPEN, { world: name, seed: Math.max(0, Math.floor(seed)), prompt }, picture);
}

function play(who = null) {
  if (state === STATES.ENDED || state === STATES.FAILED) return;
  link.send(CLIENT.PLAY, { driver: who });
}

function pause() {
  link.send(CLIENT.PAUSE);
}

function togglePlay() {
  if (state === STATES.PLAYING) pause();
  else {
    play();
    devices.lock();
  }
}

function stepOnce() {
  hands.flush();
  link.send(CLIENT.STEP);
}

function seek(branch, index) {
  link.send(CLIENT.SEEK, { branch, index });
}

function rewind(steps) {
  seek(timeline.current, Math.max(0, timeline.index - steps));
}

function deliver(bytes, name, type) {
  if (sharing) share(bytes, name, type, { ...address, world: world.name, seed: world.seed });
  else download(bytes, name, type);
  sharing = false;
}

let sharing = false;

const actions = {
  togglePlay,
  pause,
  stepOnce,
  stepBack: () => rewind(1),
  rewind: () => rewind(Math.round(3 * world.fps)),
  again: () => seek(timeline.current, 0),
  record: () => world.features.record && link.send(CLIENT.RECORD, { on: !recording }),
  full: () => (document.fullscreenElement ? document.exitFullscreen() : $("stage").requestFullscreen()),
  smooth: () => $("smooth").click(),
  help: () => $("help-dialog").showModal(),
};

// What is shown

function showState() {
  document.body.dataset.state = state;
  hands.setLive(state === STATES.PLAYING);
  if (state !== STATES.PLAYING) devices.unlock(); // the page's own controls need the mouse
  $("play").setAttribute("aria-label", state === STATES.PLAYING ? "Pause" : "Play");
  const still = state === STATES.PAUSED || state === STATES.PLAYING;
  $("play").disabled = !still;
  $("step").disabled = !still;
  $("back").disabled = !(still || state === STATES.ENDED);
  $("record").classList.toggle("on", recording);
  $("recording").hidden = !recording;
  $("agent").classList.toggle("on", driver === "agent");
  const watching = driver !== "player" && state !== STATES.CLOSED;
  $("ribbon").hidden = !watching;
  $("ribbon").querySelector("span").textContent = driver === "agent" ? "The agent plays" : "Playing a recording";
  if (state !== STATES.CLOSED) veil.show(state, { looks: devices.looks, world, moved: timeline.index > 0 });
}

function describeWorld(header) {
  const title = $("world").querySelector(`option[value="${CSS.escape(header.name)}"]`)?.text ?? header.name;
  document.title = `${title} · Paracosm`;
  $("world-title").textContent = title;
  $("world-about").textContent = header.description;
  const details = {
    picture: `${header.width} × ${header.height}`,
    pace: `${+header.fps.toFixed(2)} steps a second`,
    ...header.details,
    engine: header.engine,
  };
  const cells = Object.entries(details).filter(([name, value]) => value !== "" && !/^pane_|^resolution$/.test(name));
  $("world-details").replaceChildren(...cells.flatMap(([name, value]) => detail(name.replaceAll("_", " "), typeof value === "number" ? value.toLocaleString("en") : value)));
  const panes = paneNames(Object.keys(header.details).filter((name) => name.startsWith("pane_")).map((name) => header.details[name]));
  $("panes").replaceChildren(...panes.map((name) => Object.assign(document.createElement("span"), { textContent: name })));
  const controls = withoutBrowserKeys(header.controls);
  devices.setControls(controls);
  legend.setControls(controls, header.latent_pictures);
  touch.setControls(controls);
  stage.setSize(header.width, header.height);
  chooser.setSize(header.width, header.height);
  hud.target = header.fps;
  for (const element of document.querySelectorAll("[data-look]")) element.hidden = !devices.looks;
  for (const element of document.querySelectorAll("[data-pitch]")) element.hidden = !devices.canLook[1];
  $("own-picture").hidden = !header.starts.includes("image");
  $("words").hidden = !(controls.text || header.starts.includes("prompt"));
  $("words-title").textContent = controls.text ? "Tell the world what happens" : "Describe the world to begin";
  $("guide").hidden = !controls.guide;
  $("record").hidden = !header.features.record;
  $("agent").hidden = !header.features.agent;
  document.querySelector("[name=pace][value='1']").checked = true;
  showWorldChoice();
  writeAddress(header.name, header.seed);
}

/** Side by side: what each is in a word, or its name where two would bear the same word. */
function paneNames(names) {
  const words = names.map((name) => ({ game: "the true game", model: "the dream" })[name.split(":")[0]] ?? name);
  return new Set(words).size === words.length ? words : names;
}

function showWorldChoice() {
  $("world").value = world.name;
  $("seed").value = world.seed;
  showState();
}

function detail(name, value) {
  const term = document.createElement("dt");
  const text = document.createElement("dd");
  term.textContent = name;
  text.textContent = value;
  return [term, text];
}

function takeFile(file) {
  if (!file) return;
  if (/\.json$/i.test(file.name) || file.type === "application/json") {
    veil.wait("Opening the recording");
    file.arrayBuffer().then((buffer) => link.send(CLIENT.LOAD, {}, new Uint8Array(buffer)));
  } else if (!world?.starts.includes("image")) toast("This world begins from a seed only; choose another to use a picture.");
  else {
    pause();
    chooser.open(file);
  }
}

// Wiring

function click(id, action) {
  $(id).addEventListener("click", (event) => {
    action(event);
    if (event.detail) document.activeElement.blur(); // a mouse click must not leave Space on the button
  });
}

click("play", togglePlay);
click("step", stepOnce);
click("back", actions.stepBack);
click("again", actions.again);
click("full", actions.full);
click("help", actions.help);
click("help-close", () => $("help-dialog").close());
click("dice", () => open({ seed: Math.floor(Math.random() * 100000) }));
click("record", actions.record);
click("agent", () => play(driver === "agent" ? "player" : "agent"));
click("take-over", () => {
  play("player");
  devices.lock();
});
click("save", () => link.send(CLIENT.SAVE));
click("share", () => {
  sharing = true;
  link.send(CLIENT.SAVE);
});
click("load", () => $("replay-file").click());
click("clip", () => {
  $("clip").classList.add("on");
  link.send(CLIENT.CLIP, { seconds: 60 });
});
click("veil-rewind", (event) => (event.stopPropagation(), actions.rewind()));
click("veil-again", (event) => (event.stopPropagation(), open({ seed: world.seed })));
click("veil", () => {
  if (state === STATES.CLOSED) connect();
  else if (state === STATES.PAUSED) {
    play();
    devices.lock();
  }
});
click("figures", () => {
  const shown = $("more-figures").toggleAttribute("hidden");
  $("figures").setAttribute("aria-expanded", String(!shown));
  hud.draw();
});
click("panel-toggle", () => {
  const narrow = matchMedia("(max-width: 760px)").matches;
  document.body.classList.toggle("no-panel");
  $("panel-toggle").setAttribute("aria-expanded", String(!document.body.classList.contains("no-panel")));
  if (!narrow) settings.panel = !document.body.classList.contains("no-panel");
  saveSettings(settings);
});

$("world").addEventListener("change", () => {
  $("world").blur();
  open({ name: $("world").value });
});
$("seed").addEventListener("change", () => open({}));
$("seed").addEventListener("keydown", (event) => event.key === "Enter" && $("seed").blur());
$("replay-file").addEventListener("change", (event) => {
  takeFile(event.target.files[0]);
  event.target.value = "";
});
$("file").addEventListener("change", (event) => {
  takeFile(event.target.files[0]);
  event.target.value = "";
});
$("guide-file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (!file) return;
  const kind = document.querySelector("[name=guide-kind]:checked").value;
  try {
    const { bytes, frames } = await readClip(file, world.details.frames_per_block ?? 1, world.fps, world.width, world.height);
    link.send(CLIENT.GUIDE, { kind }, bytes);
    toast(`The next clip follows ${kind === "edges" ? "the edges" : "the motion"} of ${frames} frames of ${file.name}.`, true);
  } catch (error) {
    toast(error.message);
  }
});
$("words-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("words-input").value;
  if (world.controls.text) link.send(CLIENT.INSTRUCT, { text });
  else open({ prompt: text });
  $("words-input").blur();
});
for (const input of document.querySelectorAll("[name=pace]")) {
  input.addEventListener("change", () => link.send(CLIENT.PACE, { factor: Number(input.value) }));
}
for (const id of ["smooth", "invert"]) {
  $(id).checked = settings[id];
  $(id).addEventListener("change", () => {
    settings[id] = $(id).checked;
    saveSettings(settings);
    stage.fit();
  });
}
$("sensitivity").value = settings.sensitivity;
$("sensitivity").addEventListener("input", () => {
  settings.sensitivity = Number($("sensitivity").value);
  saveSettings(settings);
});
document.body.classList.toggle("no-panel", !settings.panel || matchMedia("(max-width: 760px)").matches);

devices.onLockLost = () => state === STATES.PLAYING && driver === "player" && pause();
devices.onShortcut = (event) => shortcut(event, actions);
document.addEventListener("visibilitychange", () => document.hidden && state === STATES.PLAYING && pause());
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
addEventListener("dragleave", (event) => event.relatedTarget === null && document.body.classList.remove("dragging"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  takeFile(event.dataTransfer.files[0]);
});
$("help-dialog").querySelector(".help").replaceChildren(...helpRows());

// Read by tests and by anyone curious: figures only, no way in.
Object.defineProperty(window, "__paracosm", {
  value: {
    get stats() {
      return {
        frames: stats.frames,
        fps: stats.fps,
        latencies: [...stats.latencies],
        intervals: [...stats.intervals],
        p50: stats.quantile(0.5),
        p95: stats.quantile(0.95),
        p99: stats.quantile(0.99),
        last: stats.last,
        tuned,
      };
    },
    get state() {
      return { state, driver, recording, world, index: timeline.index, branch: timeline.current, held: hands.held };
    },
  },
});

connect();
