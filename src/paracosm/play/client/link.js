// The socket to the server: says hello, hands on what comes, and says why it ended. Knows no world and no page.

import { CLIENT, PROTOCOL, SERVER, pack, unpack } from "./wire.js";

export class Link {
  /** @param on functions by message name, and `closed(reason)`. */
  constructor(token, on) {
    this.on = on;
    this.lastError = "";
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/socket`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.send(CLIENT.HELLO, { protocol: PROTOCOL, token });
    this.socket.onmessage = (event) => this.receive(event.data);
    this.socket.onclose = (event) => {
      const fallback = this.everOpen ? "The connection to the player was lost." : "The player cannot be reached.";
      on.closed(this.lastError || event.reason || fallback);
    };
  }

  get open() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  send(type, values, payload) {
    if (this.open) this.socket.send(pack(type, values, payload));
  }

  receive(data) {
    this.everOpen = true;
    const [header, payload] = unpack(data);
    if (header.type === SERVER.ERROR && header.during === null) {
      this.lastError = header.text; // the reason for the close that follows
      return;
    }
    this.on[header.type](header, payload);
  }
}
