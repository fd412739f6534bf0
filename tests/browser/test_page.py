"""The page in a real browser without a window; skipped with the reason where there is no Chromium."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from paracosm.core.errors import MissingPackageError
from paracosm.play.chromium import Chromium, find_chromium
from paracosm.play.clip import make_mp4
from paracosm.play.pictures import encode_jpeg
from paracosm.play.server import Address, Offer, ServeConfig, serving
from paracosm.play.takes import Take
from paracosm.play.watch import Viewer
from tests.play.little_worlds import GuidedWorld, RoomWorld, ShowingWorld, SlowWorld, TunedWorld, opener

pytestmark = pytest.mark.browser
TAKES: list[Take] = []
STATE = "window.__paracosm.state"
STATS = "window.__paracosm.stats"


def keep(take: Take) -> str:
    TAKES.append(take)
    return "kept"


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    worlds = opener(
        showing=ShowingWorld, room=RoomWorld, slow=SlowWorld, tuned=TunedWorld, guided=GuidedWorld
    )
    offers = [
        Offer(name="room", worlds=("room",), title="Hall of pillars"),
        "showing",
        "slow",
        "tuned",
        "guided",
        Offer(name="both", worlds=("room", "room"), title="Side by side"),
    ]
    with serving(ServeConfig(port=0, max_sessions=8), worlds, offers, recorder=keep) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    try:
        find_chromium()
    except MissingPackageError as error:
        pytest.skip(str(error))
    with Chromium() as one:
        yield one


@pytest.fixture
def page(browser: Chromium, address: Address) -> Iterator[Chromium]:
    browser.console.clear()
    browser.open("about:blank")
    browser.open(address.url)
    browser.wait(f"window.__paracosm && {STATE}.state === 'paused'")
    yield browser
    assert browser.console == []
    browser.open("about:blank")


def play(page: Chromium) -> None:
    page.click("#veil-button")
    page.wait(f"{STATE}.state === 'playing' && {STATS}.frames > 2")


def choose(page: Chromium, world: str) -> None:
    page.evaluate(
        f"(() => {{ const w = document.getElementById('world'); w.value = '{world}';"
        "w.dispatchEvent(new Event('change')) })()"
    )
    page.wait(f"{STATE}.world?.name === '{world}' && {STATE}.state === 'paused'")


def picture(page: Chromium) -> list[int]:
    """Return the mean colours of a grid of the canvas."""
    return page.evaluate(
        "(() => { const c = document.createElement('canvas'); c.width = 8; c.height = 6;"
        "const x = c.getContext('2d'); x.drawImage(document.getElementById('canvas'), 0, 0, 8, 6);"
        "return [...x.getImageData(0, 0, 8, 6).data] })()"
    )


def test_the_page_opens_with_a_picture_and_no_complaint(page: Chromium) -> None:
    page.wait(f"{STATS}.frames > 0")
    assert len(set(picture(page))) > 10
    assert page.evaluate("document.title") == "Hall of pillars · Paracosm"
    assert page.evaluate("[...document.querySelectorAll('#world option')].map(o => o.text)") == [
        "Hall of pillars",
        "showing",
        "slow",
        "tuned",
        "guided",
        "Side by side",
    ]
    assert page.evaluate("location.hash") == "#world=room&seed=0"


def test_a_held_key_changes_the_picture_until_it_is_released(page: Chromium) -> None:
    play(page)
    before = picture(page)
    page.key_down("KeyW", "w")
    page.wait(f"{STATS}.last.keys.includes('forward')")
    assert page.evaluate("document.querySelectorAll('#legend kbd.on').length") == 1
    time.sleep(0.4)
    page.key_up("KeyW", "w")
    page.wait(f"{STATS}.last.keys.length === 0")
    moved = picture(page)
    assert moved != before
    time.sleep(0.3)
    assert picture(page) == moved


def test_a_tap_shorter_than_a_tick_still_arrives(page: Chromium) -> None:
    choose(page, "slow")
    page.click("#veil-button")
    page.wait(f"{STATE}.state === 'playing'")
    page.evaluate(
        "window.__seen = []; new MutationObserver(() => window.__seen.push(document.querySelector("
        "'.binding.applied')?.textContent)).observe(document.getElementById('legend'),"
        "{ subtree: true, attributes: true })"
    )
    page.tap("Space", " ")
    page.wait("window.__seen.some((one) => one?.startsWith('jump'))")


def test_losing_the_focus_releases_every_key(page: Chromium) -> None:
    play(page)
    page.key_down("KeyW", "w")
    page.wait(f"{STATS}.last.keys.includes('forward')")
    page.evaluate("window.dispatchEvent(new Event('blur'))")
    page.wait(f"{STATS}.last.keys.length === 0 && {STATE}.held.length === 0")


def test_turning_by_mouse_and_by_arrow_keys(page: Chromium) -> None:
    play(page)
    page.key_down("ArrowRight")
    page.wait(f"{STATS}.last.look[0] > 2")
    page.key_up("ArrowRight")
    page.wait(f"{STATS}.last.look[0] === 0")
    x, y = page.middle("#stage")
    page.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
    page.evaluate(
        "window.__turned = 0; window.__id = setInterval(() => {"
        f"window.__turned = Math.min(window.__turned, {STATS}.last.look[0]) }}, 5)"
    )
    for step in range(12):
        page.mouse("mouseMoved", x - 12 * step, y, button="left", buttons=1)
        time.sleep(0.03)
    page.mouse("mouseReleased", x - 140, y, button="left", clickCount=1)
    page.wait("window.__turned < -1")


def test_pause_step_rewind_and_branch(page: Chromium) -> None:
    play(page)
    page.key_down("KeyW", "w")
    page.wait(f"{STATE}.index > 15")
    page.key_up("KeyW", "w")
    page.tap("KeyP", "p")
    page.wait(f"{STATE}.state === 'paused'")
    index = page.evaluate(f"{STATE}.index")
    page.tap("Period", ".")
    page.wait(f"{STATE}.index === {index + 1}")
    page.tap("Comma", ",")
    page.wait(f"{STATE}.index === {index}")

    y = page.middle(".track")[1]
    left = page.evaluate("document.querySelector('.track').getBoundingClientRect().x")
    thumb = page.evaluate("document.querySelector('.thumb-mark').getBoundingClientRect().x")
    target = left + (thumb - left) * 0.5
    page.mouse("mouseMoved", target, y)
    page.wait(
        "!document.querySelector('.bubble').hidden && document.querySelector('.bubble canvas').width > 4"
    )
    page.mouse("mousePressed", thumb, y, button="left", buttons=1, clickCount=1)
    page.mouse("mouseMoved", target, y, button="left", buttons=1)
    page.mouse("mouseReleased", target, y, button="left", clickCount=1)
    page.wait(f"{STATE}.index < {index - 3} && {STATE}.state === 'paused'")
    assert page.evaluate(f"{STATE}.branch") == 0

    page.tap("KeyP", "p")
    page.wait(f"{STATE}.branch === 1 && {STATE}.state === 'playing'")
    page.wait("document.querySelectorAll('.bar').length === 3")


def test_a_picture_of_ones_own_is_the_first_frame(page: Chromium, tmp_path: Path) -> None:
    choose(page, "showing")
    image = np.zeros((60, 90, 3), np.uint8)
    image[..., 2] = 220
    file = tmp_path / "mine.jpg"
    file.write_bytes(encode_jpeg(image))
    page.choose_files("#file", [file])
    page.wait("document.getElementById('picture-dialog').open")
    page.click("#picture-begin")
    page.wait(f"{STATE}.state === 'paused' && {STATE}.world.epoch > 2")
    page.wait(f"{STATS}.last.epoch === {STATE}.world.epoch")
    colours = np.array(picture(page)).reshape(6, 8, 4)
    assert colours[2:, :, 2].min() > 180
    assert colours[2:, :, :2].max() < 60


def test_a_file_that_is_no_picture_is_refused_with_words(page: Chromium, tmp_path: Path) -> None:
    file = tmp_path / "notes.png"
    file.write_text("not a picture")
    page.choose_files("#file", [file])
    text = page.wait("document.querySelector('.toast')?.textContent")
    assert text == "notes.png is not a picture that this browser can read. Choose a PNG, JPEG or WebP."
    assert page.evaluate(f"{STATE}.state") == "paused"


def test_key_to_screen_time_and_frames_a_second_are_shown(page: Chromium) -> None:
    play(page)
    for _ in range(12):
        page.tap("KeyD", "d")
        time.sleep(0.07)
    page.wait(f"{STATS}.latencies.length >= 10")
    stats = page.evaluate(STATS)
    assert 0 < stats["p50"] <= stats["p95"]
    assert stats["fps"] > 5
    page.wait("Number(document.getElementById('latency').textContent) > 0")
    page.wait("Number(document.getElementById('fps').textContent) > 0")
    page.tap("KeyP", "p")
    page.wait(f"{STATE}.state === 'paused' && document.pointerLockElement === null")
    page.click("#figures")
    assert page.wait("document.querySelectorAll('#more-figures dt').length") == 9
    page.click("#figures")


def test_a_replay_is_saved_opened_and_proves_itself(page: Chromium, tmp_path: Path) -> None:
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    choose(page, "showing")
    page.click("#veil-button")
    page.key_down("KeyW", "w")
    page.wait(f"{STATE}.index > 10")
    page.key_up("KeyW", "w")
    page.tap("KeyP", "p")
    page.wait(f"{STATE}.state === 'paused'")
    page.click("#save")
    for _ in range(200):
        saved = list(tmp_path.glob("*.replay.json"))
        if saved:
            break
        time.sleep(0.05)
    page.choose_files("#replay-file", saved)
    text = page.wait("document.querySelector('.toast.good')?.textContent")
    assert text.endswith("frames came out exactly as recorded.")


def test_recording_is_shown_and_reaches_the_recorder(page: Chromium) -> None:
    TAKES.clear()
    page.click("#record")
    page.wait(f"{STATE}.recording && !document.getElementById('recording').hidden")
    play(page)
    page.wait(f"{STATE}.index > 5")
    page.tap("KeyR", "r")
    page.wait("document.querySelector('.toast.good')?.textContent.includes('kept')")
    assert len(TAKES[0].frames) > 5


def test_words_reach_the_world_with_the_next_step(page: Chromium) -> None:
    TAKES.clear()
    choose(page, "showing")
    page.tap("KeyR", "r")
    page.wait(f"{STATE}.recording")
    page.evaluate("document.getElementById('words-input').value = 'it rains'")
    page.click("#words-form button")
    play(page)
    page.wait(f"{STATE}.index > 3")
    page.tap("KeyR", "r")
    page.wait("document.querySelector('.toast.good')?.textContent.includes('kept')")
    assert [control.text for control in TAKES[0].controls if control.text is not None] == ["it rains"]


def test_a_video_is_read_in_the_browser_and_followed(page: Chromium, tmp_path: Path) -> None:
    assert page.evaluate("document.getElementById('guide').hidden"), "not every world follows one"
    choose(page, "guided")
    frames = np.zeros((40, 96, 128, 3), np.uint8)
    frames[:, :, 64:] = 255
    (tmp_path / "walk.mp4").write_bytes(make_mp4([encode_jpeg(frame) for frame in frames], 20.0))
    TAKES.clear()
    page.tap("KeyR", "r")
    page.wait(f"{STATE}.recording")
    page.choose_files("#guide-file", [tmp_path / "walk.mp4"])
    page.wait("document.querySelector('.toast.good')?.textContent.includes('follows the edges of 3 frames')")
    play(page)
    page.wait(f"{STATE}.index > 3")
    page.tap("KeyR", "r")
    page.wait("[...document.querySelectorAll('.toast.good')].some(t => t.textContent.includes('kept'))")
    (guide,) = [one.guide for one in TAKES[0].controls if one.guide is not None]
    assert guide.shape == (3, 24, 32, 3)
    assert guide[:, :, 15:17].min() == 255
    assert guide[:, :, :13].max() == guide[:, :, 19:].max() == 0


def test_a_file_that_is_no_video_is_refused_with_words(page: Chromium, tmp_path: Path) -> None:
    choose(page, "guided")
    (tmp_path / "notes.mp4").write_text("nothing")
    page.choose_files("#guide-file", [tmp_path / "notes.mp4"])
    page.wait(
        "document.querySelector('.toast')?.textContent.includes('is not a video that this browser can read')"
    )


def test_two_players_at_once_each_have_their_own_world(page: Chromium, address: Address) -> None:
    play(page)
    with Viewer(address.url) as other:
        other.open("room", seed=5)
        index = page.evaluate(f"{STATE}.index")
        assert other.world["seed"] == 5
        page.wait(f"{STATE}.index > {index + 5}")
    assert page.evaluate(f"{STATE}.world.seed") == 0


def test_side_by_side_shows_both_names(page: Chromium) -> None:
    choose(page, "both")
    assert page.evaluate("[...document.querySelectorAll('#panes span')].map(s => s.textContent)") == [
        "room",
        "room",
    ]


def test_a_phone_gets_a_stick_and_buttons_that_work(
    browser: Chromium, address: Address, tmp_path: Path
) -> None:
    browser.set_screen(390, 844, density=2, phone=True)
    try:
        browser.open("about:blank")
        browser.open(address.url)
        browser.wait(f"window.__paracosm && {STATE}.state === 'paused'")
        browser.touch("touchStart", [browser.middle("#veil-button")])
        browser.touch("touchEnd", [])
        browser.wait(f"{STATE}.state === 'playing'")
        x, y = browser.middle(".stick")
        browser.touch("touchStart", [(x, y)])
        browser.touch("touchMove", [(x, y - 50)])
        browser.wait(f"{STATS}.last.keys.includes('forward')")
        browser.touch("touchEnd", [])
        browser.wait(f"{STATS}.last.keys.length === 0")
        browser.touch("touchStart", [browser.middle(".thumb")])
        browser.wait(f"{STATS}.last.keys.length === 1")
        browser.touch("touchEnd", [])
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
        browser.screenshot(tmp_path / "phone.png")
        assert (tmp_path / "phone.png").stat().st_size > 20_000
    finally:
        browser.set_screen(1360, 820)


def test_a_wrong_token_says_what_to_do(browser: Chromium, address: Address) -> None:
    browser.open("about:blank")
    browser.open(f"http://127.0.0.1:{address.port}/#token=wrong")
    text = browser.wait(
        "document.getElementById('veil-text')?.textContent.includes('token') &&"
        "document.getElementById('veil-text').textContent"
    )
    assert text.startswith("the token is not right; open the address that the player printed")


def test_passes_guidance_and_the_past_are_changed_from_the_page(page: Chromium) -> None:
    assert page.evaluate("document.getElementById('dials').hidden"), "a world without dials shows none"
    choose(page, "tuned")
    page.wait("!document.getElementById('dials').hidden")
    offered = "[...document.querySelectorAll('[name=passes]')].map((one) => one.value).join()"
    assert page.evaluate(offered) == "1,2,4"
    assert page.evaluate("document.querySelector('[name=passes]:checked').value") == "2"
    play(page)
    page.evaluate("document.querySelector('[name=passes][value=\"4\"]').click()")
    page.evaluate("document.querySelector('[name=guidance][value=\"2\"]').click()")
    page.evaluate("document.querySelector('[data-cache=drop]').click()")
    page.wait(f"{STATS}.tuned.passes === 4 && {STATS}.tuned.guidance === 2")
    assert page.evaluate("document.querySelector('[name=guidance]:checked').value") == "2"
    page.evaluate("document.getElementById('again').click()")
    page.wait(f"{STATS}.tuned.passes === 2", timeout_s=15)
