// Files out of the page, and words to the player.

const TOAST_MS = 7000;

/** Say something in passing; a complaint unless `good`. */
export function toast(text, good = false) {
  const element = document.createElement("div");
  element.className = good ? "toast good" : "toast";
  element.textContent = text;
  element.addEventListener("click", () => element.remove());
  const root = document.getElementById("toasts");
  while (root.children.length > 2) root.firstChild.remove();
  root.append(element);
  setTimeout(() => element.remove(), TOAST_MS);
}

export function download(bytes, name, type) {
  const url = URL.createObjectURL(new Blob([bytes], { type }));
  const anchor = Object.assign(document.createElement("a"), { href: url, download: name.replace(/[^\w.-]+/g, "-") });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** Hand a replay to another program where the device can; else copy a link to this world and seed. */
export async function share(bytes, name, type, { token, world, seed }) {
  const file = new File([bytes], name.replace(/[^\w.-]+/g, "-"), { type });
  const link = `${location.origin}/#${new URLSearchParams({ token, world, seed })}`;
  try {
    if (navigator.canShare?.({ files: [file] })) {
      await navigator.share({ files: [file], title: `Paracosm: ${world}` });
      return;
    }
    await navigator.clipboard.writeText(link);
    toast("A link to this world and seed was copied. It opens this player: give it to people you trust.", true);
  } catch (error) {
    if (error.name === "AbortError") return; // the player changed their mind
    download(bytes, name, type);
    toast("The replay was saved as a file: send it to a friend.", true);
  }
}
