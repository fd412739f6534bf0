"""A local page on which a person rates clips: keep or drop, 1 to 5, a better caption.

Guarded as every page of this house is by ``core.local_page``. This file does NOT learn from the ratings:
``ratings`` does.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from paracosm.core.errors import ConfigError, ParacosmError
from paracosm.core.foreign import parse_json
from paracosm.core.local_page import listen, make_page, page_url, same_origin, same_token
from paracosm.core.rng import stream

from .captions import read_captions
from .pictures import read_pictures, tile
from .ratings import FEWEST, Rating, add_rating, learn_taste, read_ratings
from .scores import Scores, read_scores

CLIENT = Path(__file__).parent / "client"
MOST_BYTES = 16_384
"""Largest rating that is read."""


@dataclass(frozen=True, kw_only=True)
class ReviewConfig:
    """Where the page is served and what it shows."""

    out: Path = Path("curated")
    """The curated folder."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets in other machines of the network, with the token."""
    port: int = 8721
    """Port to listen on; 0 takes any free one."""
    allow_hosts: tuple[str, ...] = ()
    """Further names under which the page may be opened, e.g. the name of this machine."""
    seed: int = 0
    """Seed of the order in which clips are shown."""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise ConfigError(f"port {self.port} does not exist; use 1 to 65535, or 0 for any free one")


class ReviewDesk:
    """The clips to rate, in an order that mixes sources, and what was said of them."""

    def __init__(self, scores: Scores, seed: int) -> None:
        self._scores = scores
        self._rows = scores.clips.to_pylist()
        self._captions = read_captions(scores.config.out)
        order = stream(seed, "review").permutation(len(self._rows))
        self._order = [self._rows[index] for index in order]
        self._by_name = {row["clip"]: row for row in self._rows}

    def next_clip(self, skipped: Sequence[str] = ()) -> dict[str, Any]:
        """Return what the page shows next, and how far the ratings are; "clip" is None at the end."""
        ratings = read_ratings(self._scores.config.out)
        row = next(
            (row for row in self._order if row["clip"] not in ratings and row["clip"] not in skipped), None
        )
        answers = [rating.keep for name, rating in ratings.items() if name in self._by_name]
        told = {
            "clips": len(self._rows),
            "rated": len(answers),
            "kept": sum(answers),
            "fewest": FEWEST,
            "taste": self._describe_taste(ratings),
        }
        if row is None:
            return {"clip": None, **told}
        shown = {
            name: row[name]
            for name in ("seconds", "game", "motion", "camera", "hud", "paused", "aesthetic_proxy", "luma")
        }
        caption = self._captions.get(row["clip"], {}).get("summary", "")
        return {"clip": row["clip"], "caption": caption, "scores": shown, **told}

    def sheet(self, clip: str) -> bytes | None:
        """Return eight pictures of a clip in one JPEG, or None when there is no such clip or picture."""
        row = self._by_name.get(clip)
        pictures = read_pictures(self._scores, row, 8) if row is not None else []
        return encode(tile(pictures, 4)) if pictures else None

    def rate(self, said: Any) -> None:
        """Take a rating from the page.

        Raises:
            ConfigError: when it is none, or of a clip that is not there.
        """
        clip = said.get("clip") if isinstance(said, dict) else None
        if not isinstance(clip, str) or clip not in self._by_name:
            raise ConfigError("the rating names no clip of this folder; load the page again")
        keep, score, caption = said.get("keep"), said.get("score"), said.get("caption", "")
        whole = score is None or (isinstance(score, int) and not isinstance(score, bool))
        if not isinstance(keep, bool) or not isinstance(caption, str) or not whole:
            raise ConfigError("a rating has keep (true or false), score (1 to 5 or null) and caption (text)")
        rating = Rating(clip=clip, keep=keep, score=score, caption=caption.strip())
        add_rating(self._scores.config.out, rating)

    def _describe_taste(self, ratings: dict[str, Rating]) -> str:
        taste = learn_taste(self._rows, ratings)
        if taste is None:
            return f"learns from {FEWEST} kept and {FEWEST} dropped clips on"
        if taste.accuracy is None:
            return f"learnt from {taste.num_ratings} ratings"
        return (
            f"learnt from {taste.num_ratings} ratings; right in {taste.accuracy:.0%} of clips of sources "
            f"that it had not seen (always the same answer: {taste.baseline:.0%})"
        )


def create_app(config: ReviewConfig, desk: ReviewDesk, *, token: str) -> Starlette:
    """Make the application: the page, its files, the next clip, its pictures, and the ratings.

    Raises:
        ConfigError: when the token is short.
    """

    def guarded(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if not same_token(request.headers.get("x-token", ""), token):
                return JSONResponse({"error": "open the page by the address that the terminal shows"}, 403)
            if not _same_origin(request):
                return JSONResponse({"error": "this request came from another page"}, 403)
            return await answer(request)

        return endpoint

    async def clip(request: Request) -> Response:
        return JSONResponse(desk.next_clip(request.query_params.getlist("skip")))

    async def sheet(request: Request) -> Response:
        picture = desk.sheet(request.query_params.get("clip", ""))
        if picture is None:
            return JSONResponse({"error": "there is no picture of this clip"}, 404)
        return Response(picture, media_type="image/jpeg")

    async def rate(request: Request) -> Response:
        try:
            desk.rate(parse_json(await _read_body(request)))
        except (ParacosmError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({})

    routes = [
        Route("/clip", guarded(clip), methods=["GET"]),
        Route("/sheet", guarded(sheet), methods=["GET"]),
        Route("/rate", guarded(rate), methods=["POST"]),
    ]
    return make_page(CLIENT, routes, token=token, host=config.host, allow_hosts=config.allow_hosts)


def review(config: ReviewConfig, ready: Callable[[str], None]) -> None:
    """Serve the page until interrupted.

    Args:
        config: where, and which folder.
        ready: called with the page's address.

    Raises:
        BusyError: when the port is taken.
        DataError: when the folder was not curated.
    """
    desk = ReviewDesk(read_scores(config.out), config.seed)
    token = secrets.token_urlsafe(24)
    app = create_app(config, desk, token=token)
    with listen(config.host, config.port) as listener:
        ready(page_url(config.host, listener.getsockname()[1], token))
        settings = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off", server_header=False
        )
        uvicorn.Server(settings).run(sockets=[listener])


def encode(picture: np.ndarray) -> bytes:
    """Encode uint8 (h, w, 3) as JPEG."""
    return simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=85, colorspace="RGB")


async def _read_body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise ConfigError(f"the rating is longer than {MOST_BYTES} bytes; shorten the caption")
    return body


def _same_origin(request: Request) -> bool:
    """A browser names the page that asks, but not when a page asks its own server by GET."""
    origin = request.headers.get("origin")
    return origin is None or same_origin(origin, request.headers.get("host"))
