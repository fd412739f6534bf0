// One clip at a time: show it, take the rating, ask for the next.

const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
const part = (id) => document.getElementById(id);
const skipped = [];
let clip = null;
let busy = false;

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { "x-token": token, ...options.headers } });
  if (!answer.ok) throw new Error((await answer.json()).error ?? `the server said ${answer.status}`);
  return answer;
}

function showNumber(value) {
  if (value === null) return "not known";
  return typeof value === "number" ? value.toPrecision(3) : value;
}

function showScores(scores) {
  part("scores").replaceChildren(...Object.entries(scores).map(([name, value]) => {
    const pair = document.createElement("div");
    const label = document.createElement("dt");
    const number = document.createElement("dd");
    label.textContent = name.replaceAll("_", " ");
    number.textContent = showNumber(value);
    pair.append(label, number);
    return pair;
  }));
}

async function showNext() {
  const query = new URLSearchParams(skipped.map((name) => ["skip", name]));
  const told = await (await ask(`/clip?${query}`)).json();
  part("progress").textContent =
    `${told.rated} of ${told.clips} rated, ${told.kept} kept. Taste: ${told.taste}.`;
  clip = told.clip;
  part("name").textContent = clip ?? "Nothing is left to rate.";
  for (const id of ["keep", "drop", "skip"]) part(id).disabled = clip === null;
  if (clip === null) { part("sheet").removeAttribute("src"); showScores({}); return; }
  showScores(told.scores);
  part("caption").value = told.caption;
  part("caption").dataset.was = told.caption;
  for (const star of document.querySelectorAll("[name=star]")) star.checked = false;
  const picture = await (await ask(`/sheet?${new URLSearchParams({ clip })}`)).blob();
  const old = part("sheet").src;
  part("sheet").src = URL.createObjectURL(picture);
  if (old) URL.revokeObjectURL(old);
}

async function guard(work) {
  if (busy) return;
  busy = true;
  part("message").textContent = "";
  try { await work(); } catch (error) { part("message").textContent = error.message; }
  busy = false;
}

const rate = (keep) => guard(async () => {
  if (clip === null) return;
  const star = document.querySelector("[name=star]:checked");
  const said = part("caption").value;
  await ask("/rate", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      clip, keep, score: star ? Number(star.value) : null,
      caption: said === part("caption").dataset.was ? "" : said,
    }),
  });
  await showNext();
});

const skip = () => guard(async () => { if (clip !== null) skipped.push(clip); await showNext(); });

for (let value = 1; value <= 5; value += 1) {
  const label = document.createElement("label");
  const star = document.createElement("input");
  star.type = "radio"; star.name = "star"; star.value = String(value);
  label.append(star, ` ${value}`);
  part("stars").append(label);
}

part("keep").addEventListener("click", () => rate(true));
part("drop").addEventListener("click", () => rate(false));
part("skip").addEventListener("click", skip);
document.addEventListener("keydown", (event) => {
  if (event.target instanceof HTMLTextAreaElement || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key === "k") rate(true);
  else if (key === "d") rate(false);
  else if (key === "s") skip();
  else if (/^[1-5]$/.test(key)) document.querySelector(`[name=star][value="${key}"]`).checked = true;
});

guard(showNext);
