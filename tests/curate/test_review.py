"""The page for ratings lets nobody else in, and what is rated is learnt."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest

from paracosm.core.errors import ConfigError
from paracosm.core.rng import stream
from paracosm.curate.ratings import (
    FEATURES,
    Rating,
    add_rating,
    add_taste,
    judge_taste,
    learn_taste,
    read_ratings,
)
from paracosm.curate.review import MOST_BYTES, ReviewConfig, ReviewDesk, create_app
from paracosm.curate.scores import read_scores

TOKEN = "a" * 24
KNOWN = {"x-token": TOKEN}


@dataclass
class Answer:
    status_code: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


class Page:
    """Asks the application without a socket between."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def get(self, path: str, *, params: Any = None, headers: Any = None) -> Answer:
        return asyncio.run(self._ask("GET", path, urlencode(params or {}), headers or {}, b""))

    def post(self, path: str, *, json_: Any = None, content: bytes = b"", headers: Any = None) -> Answer:
        body = content or json.dumps(json_).encode()
        return asyncio.run(self._ask("POST", path, "", headers or {}, body))

    async def _ask(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Answer:
        names = {"host": "127.0.0.1", **headers}
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "root_path": "",
            "query_string": query.encode(), "scheme": "http", "http_version": "1.1",
            "headers": [(name.encode(), value.encode()) for name, value in names.items()],
            "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
        }  # fmt: skip
        said: list[Any] = []
        taken: list[bool] = []

        async def receive() -> Any:
            if said or taken:
                await asyncio.Event().wait()
            taken.append(True)
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        await self._app(scope, receive, send)
        begun = said[0]
        told = {name.decode(): value.decode() for name, value in begun["headers"]}
        return Answer(begun["status"], told, b"".join(message.get("body", b"") for message in said[1:]))


@pytest.fixture
def page(curated):
    desk = ReviewDesk(read_scores(curated), 0)
    return Page(create_app(ReviewConfig(), desk, token=TOKEN))


def test_clips_are_shown_rated_and_not_shown_again(page, curated):
    seen = []
    for _ in range(4):
        told = page.get("/clip", headers=KNOWN).json()
        seen.append(told["clip"])
        picture = page.get("/sheet", params={"clip": told["clip"]}, headers=KNOWN)
        assert picture.headers["content-type"] == "image/jpeg"
        said = {"clip": told["clip"], "keep": True, "score": 4, "caption": " a better one "}
        assert page.post("/rate", json_=said, headers=KNOWN).status_code == 200
    assert len(set(seen)) == 4
    assert page.get("/clip", headers=KNOWN).json()["clip"] is None
    assert read_ratings(curated)[seen[0]] == Rating(clip=seen[0], keep=True, score=4, caption="a better one")


def test_a_clip_can_be_left_for_later(page):
    first = page.get("/clip", headers=KNOWN).json()["clip"]
    assert page.get("/clip", params={"skip": first}, headers=KNOWN).json()["clip"] != first


@pytest.mark.parametrize("headers", [{}, {"x-token": "guess"}])
def test_nobody_enters_without_the_token(page, headers):
    for path in ("/clip", "/sheet"):
        assert page.get(path, headers=headers).status_code == 403
    assert page.post("/rate", json_={}, headers=headers).status_code == 403


def test_other_pages_and_other_names_are_refused(page):
    assert page.get("/clip", headers=KNOWN | {"origin": "http://evil.example"}).status_code == 403
    assert page.get("/clip", headers=KNOWN | {"host": "evil.example"}).status_code == 400


def test_the_page_is_kept_to_itself(page):
    answer = page.get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert page.get("/client/../review.py").status_code == 404


@pytest.mark.parametrize(
    "said",
    [
        b"{",
        b"[]",
        b'{"clip": "../x", "keep": true}',
        b'{"clip": ["a"], "keep": true}',
        b"[" * (MOST_BYTES - 1),
        b"x" * (MOST_BYTES + 1),
    ],
)
def test_what_is_no_rating_is_refused_and_not_kept(page, curated, said):
    assert page.post("/rate", content=said, headers=KNOWN).status_code == 400
    assert not (curated / "ratings.jsonl").exists()


@pytest.mark.parametrize("part", [{"keep": 1}, {"score": 9}, {"score": True}, {"caption": 5}])
def test_ratings_have_the_right_kinds(page, curated, part):
    clip = read_scores(curated).clips["clip"][0].as_py()
    said = {"clip": clip, "keep": True, "score": 3, "caption": ""} | part
    assert page.post("/rate", json_=said, headers=KNOWN).status_code == 400


def test_a_short_token_is_refused(curated):
    desk = ReviewDesk(read_scores(curated), 0)
    with pytest.raises(ConfigError, match="a token of 5 characters can be guessed"):
        create_app(ReviewConfig(), desk, token="short")


def made_rows(count: int) -> list[dict[str, object]]:
    generator = stream(0, "rows")
    rows = []
    for number in range(count):
        row: dict[str, object] = {name: float(generator.normal()) for name in FEATURES}
        if number % 7 == 0:
            row["hud"] = None
        rows.append(row | {"clip": str(number), "source": str(number % 6)})
    return rows


def test_taste_learns_what_people_keep():
    rows = made_rows(120)
    ratings = {
        str(row["clip"]): Rating(clip=str(row["clip"]), keep=float(str(row["motion"])) > 0)
        for row in rows[:80]
    }
    taste = learn_taste(rows, ratings)
    assert taste is not None
    assert taste.accuracy is not None
    assert taste.accuracy > taste.baseline + 0.2
    judged = judge_taste(rows[80:], taste)
    right = (judged > 0.5) == np.array([float(str(row["motion"])) > 0 for row in rows[80:]])
    assert right.mean() > 0.85


def test_nothing_is_learnt_from_a_few_ratings(curated):
    add_rating(curated, Rating(clip="game/b.mp4#0-40", keep=False, score=2))
    table = add_taste(read_scores(curated))
    assert table["taste"].null_count == 4
    assert table["rated_keep"].to_pylist().count(False) == 1


def test_a_torn_last_rating_is_left_out(tmp_path):
    add_rating(tmp_path, Rating(clip="a", keep=True))
    with (tmp_path / "ratings.jsonl").open("a") as file:
        file.write('{"clip": "b"')
    assert list(read_ratings(tmp_path)) == ["a"]


def test_a_rating_after_a_torn_one_leaves_a_file_that_can_be_read(tmp_path):
    add_rating(tmp_path, Rating(clip="a", keep=True))
    with (tmp_path / "ratings.jsonl").open("a") as file:
        file.write('{"clip": "b"')
    add_rating(tmp_path, Rating(clip="c", keep=False))
    add_rating(tmp_path, Rating(clip="d", keep=True))
    assert list(read_ratings(tmp_path)) == ["a", "c", "d"]


def test_a_whole_rating_that_lacks_its_newline_stays(tmp_path):
    add_rating(tmp_path, Rating(clip="a", keep=True))
    path = tmp_path / "ratings.jsonl"
    path.write_text(path.read_text().rstrip("\n"))
    add_rating(tmp_path, Rating(clip="b", keep=True))
    assert list(read_ratings(tmp_path)) == ["a", "b"]


def test_a_score_out_of_range_is_refused():
    with pytest.raises(ConfigError, match="score 6 is not one of 1 to 5"):
        Rating(clip="a", keep=True, score=6)
