"""A reference engine: serves CountingWorld by the protocol of docs/worlds/socket.md, one world a connection.

python docs/worlds/socket_server.py 4444, then paracosm info socket:127.0.0.1:4444. Only the two lines marked
"the engine" know the world; put your own engine there. It needs none of Paracosm's socket code.
"""

import json
import socketserver
import struct
import sys
from typing import Any

from paracosm.collect.games.counting import CountingWorld
from paracosm.core.controls import Control

HELLO, RESET, STEP, FRAME, SNAPSHOT, STATE, RESTORE, ERROR, CLOSE = range(1, 10)
HEADER = struct.Struct("<IBI")


class Engine(socketserver.StreamRequestHandler):
    """One client."""

    def handle(self) -> None:
        """Answer until the client goes."""
        self.world, self.states = CountingWorld(), []  # the engine, and what it was asked to keep
        while header := self.rfile.read(HEADER.size):
            length, kind, text = HEADER.unpack(header)
            body = self.rfile.read(length - 5)
            if kind == CLOSE:
                return
            try:
                self.send(*self.answer(kind, json.loads(body[:text]), body[text:]))
            except Exception as error:  # a refusal: the client may go on
                self.send(ERROR, {"message": str(error)})

    def answer(self, kind: int, value: dict[str, Any], blob: bytes) -> tuple[int, dict[str, Any], bytes]:
        """Do what is asked."""
        info = self.world.info
        if kind == HELLO:
            space = info.controls
            return HELLO, {
                "version": 1, "engine": info.engine, "fps": info.fps, "height": info.height,
                "width": info.width, "keys": space.keys, "bindings": dict(space.bindings),
                "look_limit": space.look_limit, "snapshots": True, "description": info.description,
            }, b""  # fmt: skip
        if kind == SNAPSHOT:
            self.states.append(self.world.snapshot())
            return STATE, {}, struct.pack("<Q", len(self.states) - 1)
        if kind == RESET:
            frame = self.world.reset(value["seed"])
        elif kind == RESTORE:
            frame = self.world.restore(self.states[struct.unpack("<Q", blob)[0]])
        else:
            frame = self.world.step(Control(value["keys"], value["look"], value["text"]))  # the engine
        return FRAME, {"index": frame.index, "truth": dict(frame.truth)}, frame.image.tobytes()

    def send(self, kind: int, value: dict[str, Any], blob: bytes = b"") -> None:
        """Send one message."""
        text = json.dumps(value).encode()
        self.wfile.write(HEADER.pack(5 + len(text) + len(blob), kind, len(text)) + text + blob)


class Server(socketserver.ThreadingTCPServer):
    """Listens on this machine only, and lets several recorders in at a time."""

    allow_reuse_address = daemon_threads = True


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Engine).serve_forever()
