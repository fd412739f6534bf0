// The words that page and server exchange; the same names stand in play/wire.py and a test compares the two.
// This file knows no socket and no page: it turns a header and a payload into bytes and back.

export const PROTOCOL = 2;

export const CLIENT = Object.freeze({
  HELLO: "hello",
  OPEN: "open",
  INPUT: "input",
  ACK: "ack",
  INSTRUCT: "instruct",
  GUIDE: "guide",
  PLAY: "play",
  PAUSE: "pause",
  STEP: "step",
  SEEK: "seek",
  PEEK: "peek",
  PACE: "pace",
  TUNE: "tune",
  RECORD: "record",
  SAVE: "save",
  LOAD: "load",
  CLIP: "clip",
});

export const SERVER = Object.freeze({
  HELLO: "hello",
  WORLD: "world",
  FRAME: "frame",
  STATE: "state",
  DIALS: "dials",
  TIMELINE: "timeline",
  PICTURE: "picture",
  REPLAY: "replay",
  CLIP: "clip",
  VERDICT: "verdict",
  NOTICE: "notice",
  ERROR: "error",
});

export const STATES = Object.freeze({
  OPENING: "opening",
  PLAYING: "playing",
  PAUSED: "paused",
  SEEKING: "seeking",
  ENDED: "ended",
  FAILED: "failed",
  CLOSED: "closed",
});

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Header and payload to one binary message: header length, header, payload. */
export function pack(type, values = {}, payload = new Uint8Array()) {
  const header = encoder.encode(JSON.stringify({ type, ...values }));
  const message = new Uint8Array(4 + header.length + payload.length);
  new DataView(message.buffer).setUint32(0, header.length, true);
  message.set(header, 4);
  message.set(payload, 4 + header.length);
  return message;
}

/** One binary message to [header, payload]; the payload is a view, not a copy. */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(decoder.decode(new Uint8Array(buffer, 4, length)));
  return [header, new Uint8Array(buffer, 4 + length)];
}
