// A video of the player's own to the frames that a world is to follow: read in the browser, cut to the world's size and
// pace. Knows no socket.

import { rgbOf, shrink } from "./picture.js";

const PATIENCE_MS = 10000;

/**
 * Read the beginning of a video file.
 * Returns at most `count` frames, `fps` of them a second, as plain RGB one after the other, and how many they are.
 */
export async function readClip(file, count, fps, width, height) {
  const video = Object.assign(document.createElement("video"), { muted: true, preload: "auto", src: URL.createObjectURL(file) });
  const unreadable = `${file.name} is not a video that this browser can read. Choose an MP4 or a WebM.`;
  try {
    await happens(video, "loadeddata", unreadable);
    const lasting = Number.isFinite(video.duration) ? Math.floor(video.duration * fps) : count;
    const frames = Math.max(1, Math.min(count, lasting));
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    const bytes = new Uint8Array(frames * width * height * 3);
    const scale = Math.max(width / video.videoWidth, height / video.videoHeight);
    const [w, h] = [video.videoWidth * scale, video.videoHeight * scale];
    for (let index = 0; index < frames; index++) {
      const sought = happens(video, "seeked", unreadable);
      video.currentTime = (index + 0.5) / fps; // the middle of its time: an edge may round to the frame before
      await sought;
      shrink(context, video, (width - w) / 2, (height - h) / 2, w, h);
      bytes.set(rgbOf(context, width, height), index * width * height * 3);
    }
    return { bytes, frames };
  } finally {
    URL.revokeObjectURL(video.src);
  }
}

function happens(element, name, complaint) {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error(complaint));
    const timer = setTimeout(fail, PATIENCE_MS);
    const done = (act) => () => (clearTimeout(timer), act());
    element.addEventListener(name, done(resolve), { once: true });
    element.addEventListener("error", done(fail), { once: true });
  });
}
