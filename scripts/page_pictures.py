"""Take pictures of `hearsight app` and of a listening study in every state, and make those for the documentation.

    python scripts/page_pictures.py docs/images [--states FOLDER]

Drives both in headless Chromium (Debian's `chromium` and `chromium-driver`, `pip install selenium`) with a simulated
duet, and writes the pictures of the how-to pages. With `--states` it also keeps every state as PNG.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hearsight.media import read_sound, write_wav
from hearsight.simulation import Settings, simulate
from hearsight.studies import StudyServer, analyse_study, find_material, make_study, read_study, write_analysis
from hearsight.studies.definition import Part, Study

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from served_page import browser, served, until
from simulated_listener import Hearing, read_public, records_of_listener, write_answers
from study_material import write_material

DESKTOP, PHONE = (1280, 860), (390, 844)
JOB_S = 600.0


class Camera:
    """Camera that takes pictures of a browser's window."""

    def __init__(self, chrome: Any, folder: Path) -> None:
        self.chrome, self.folder = chrome, folder

    def js(self, script: str, *values: object) -> Any:
        return self.chrome.execute_script(script, *values)

    def click(self, selector: str) -> None:
        self.chrome.find_element("css selector", selector).click()

    def take(self, name: str) -> None:
        """Take a picture of the window, after the browser has drawn it."""
        time.sleep(0.4)
        self.chrome.save_screenshot(str(self.folder / f"{name}.png"))

    def whole(self, name: str) -> None:
        """Take a picture of the whole page, of any length."""
        time.sleep(0.4)
        size = self.js("return [innerWidth, document.documentElement.scrollHeight]")
        self.window(*size)
        time.sleep(0.4)
        self.chrome.save_screenshot(str(self.folder / f"{name}.png"))

    def window(self, width: int, height: int, is_phone: bool | None = None) -> None:
        is_phone = width < 500 if is_phone is None else is_phone
        values = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone}
        self.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", values)

    def dark(self, is_dark: bool) -> None:
        features = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
        self.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def state(self) -> str:
        return str(self.js("return document.body.dataset.state"))


@contextmanager
def camera(folder: Path) -> Iterator[Camera]:
    """Open a browser with a camera."""
    with browser(DESKTOP) as chrome:
        one = Camera(chrome, folder)
        one.window(*DESKTOP)
        yield one


def page_states(duet: Path, folder: Path) -> None:
    """Take pictures of every state of the page."""
    with served("--clips-per-hour", "0") as address, camera(folder) as one:
        one.chrome.get(address)
        until(lambda: one.js("return document.getElementById('limits').textContent"))
        one.take("start")
        one.js("document.getElementById('drop').classList.add('over')")
        one.take("start-dropping")
        one.js("document.getElementById('drop').classList.remove('over'); document.getElementById('file').focus()")
        press(one, "TAB")
        one.take("start-focus")
        one.window(*PHONE)
        one.whole("start-phone")
        one.window(*DESKTOP)
        bad = folder / "no video.mp4"
        bad.write_bytes(b"no video at all " * 1000)
        upload(one, bad)
        bad.unlink()
        until(lambda: one.state() == "start")
        one.take("start-error")
        one.dark(True)
        one.take("start-error-dark")
        one.dark(False)
        sample(one, address, folder)
        upload(one, duet)
        until(lambda: one.state() == "result", JOB_S)
        result(one)
    with served("--password", "open") as address, camera(folder) as one:
        one.chrome.get(address)
        one.chrome.find_element("name", "password").send_keys("guess\n")
        until(lambda: "That is not the password." in one.chrome.page_source)
        one.take("password")


def sample(one: Camera, address: str, folder: Path) -> None:
    """Follow the sample from its button to its result, while another visitor waits and then stops."""
    one.click("#sample")
    progress = "return [document.getElementById('progress').value, document.getElementById('doing').textContent]"
    until(lambda: one.js(progress)[0] > 0.1, JOB_S)
    with camera(folder) as other:
        other.chrome.get(address)
        other.click("#sample")
        until(lambda: "Waiting" in other.js(progress)[1], JOB_S)
        other.take("waiting")
        until(lambda: "left" in one.js(progress)[1], JOB_S)
        one.take("working")
        one.dark(True)
        one.window(*PHONE)
        one.take("working-phone-dark")
        one.dark(False)
        one.window(*DESKTOP)
        other.click("#stop")
        until(lambda: other.state() == "start")
        other.take("stopped")
    until(lambda: one.state() == "result", JOB_S)
    one.take("sample")
    one.click("#new")


def result(one: Camera) -> None:
    """Use every control of the page on a clip of two players."""
    one.js("hearsight.sound.position = 3")
    one.js("document.querySelector('#notes').parentElement.open = true")
    one.whole("result")
    one.js("document.querySelector('#notes').parentElement.open = false")
    one.window(*DESKTOP)
    for _ in range(8):
        press_on(one, "#head", "ARROW_LEFT")
    for _ in range(3):
        press_on(one, "#nod", "ARROW_UP")
    play(one)
    one.take("page")
    one.dark(True)
    one.take("page-dark")
    one.window(*PHONE)
    one.whole("page-phone")
    one.dark(False)
    one.take("page-phone-light")
    one.window(*DESKTOP)
    one.click("#ahead")
    one.js("hearsight.sound.pause()")
    drag(one)
    settle(one)
    one.take("dragged")
    for name, selector in (
        ("marker", "#markers button"),
        ("head", "#nod"),
        ("choice", "#choices input"),
        ("row", "#sources input"),
    ):
        one.js("document.querySelector(arguments[0]).focus()", selector)
        press(one, "SHIFT")
        one.take(f"focus-{name}")
    one.click("#add")
    one.take("adding")
    press(one, "ESCAPE")
    one.js("document.querySelectorAll('#sources input[type=checkbox]')[0].click()")
    settle(one)
    one.js("document.querySelectorAll('#sources button')[1].click()")
    settle(one)
    one.take("muted-and-removed")
    while one.js("return hearsight.scene.sources.length"):
        one.js("document.querySelector('#sources button').click()")
        settle(one)
    one.click("#split")
    until(lambda: "no source" in one.js("return document.getElementById('status').textContent"), JOB_S)
    one.take("nothing-to-divide")
    one.click("#undo")


def play(one: Camera) -> None:
    one.click("#play")
    until(lambda: one.js("return hearsight.sound.now() > 3.6"))


def settle(one: Camera) -> None:
    until(lambda: one.js("return hearsight.settled && ![...hearsight.sound.parts.values()].some(p => p.stale)"), JOB_S)


def drag(one: Camera) -> None:
    """Hold the first source, and move it to the right."""
    from selenium.webdriver import ActionChains

    marker = one.chrome.find_element("css selector", "#markers button")
    ActionChains(one.chrome).move_to_element(marker).click_and_hold().move_by_offset(60, 10).move_by_offset(
        60, 10
    ).perform()
    one.take("holding")
    ActionChains(one.chrome).release().perform()


def press(one: Camera, *keys: str) -> None:
    from selenium.webdriver import ActionChains, Keys

    for key in keys:
        ActionChains(one.chrome).send_keys(getattr(Keys, key, key)).perform()


def press_on(one: Camera, selector: str, key: str) -> None:
    from selenium.webdriver import Keys

    one.chrome.find_element("css selector", selector).send_keys(getattr(Keys, key))


def upload(one: Camera, path: Path) -> None:
    one.chrome.find_element("css selector", "#file").send_keys(str(path))
    until(lambda: one.state() != "start", 60)
    until(lambda: one.state() != "work", JOB_S)


# ---- a study


def study_material(concerts: Path, folder: Path) -> Path:
    """Write simulated concerts in three artificial versions: without the difference of the ears, with half and most of
    it."""
    for clip in sorted((concerts / "binaural_audios").glob("*.wav")):
        ears, rate = read_sound(clip)
        for name, width in (("Mono", 0.0), ("Half", 0.5), ("Ours", 0.9)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            mean = ears.mean(0, keepdim=True)
            write_wav(folder / name / clip.name, (mean + width * (ears - mean)).numpy(), rate)
    return folder


PARTS = [
    Part("choice", "choice", "Which of the {count} gives the better 3D sensation and matches the reference?",
         reference="first", compare="each", picture="still", items=1),
    Part("matching", "choice", "Which of the {count} sounds matches the video better?", neutral=True, picture="video",
         items=1),
    Part("direction", "direction", "Where do you hear the {instrument}?", items=1),
    Part("half-circle", "direction", "Where do you hear the {instrument}?", answers="half-circle", items=1),
    Part("rating", "rating", "How close does each sound come to the reference?", picture="still", items=1),
]  # fmt: skip


def study_states(concerts: Path, work: Path, folder: Path) -> None:
    """Take pictures of every page of a study, and copy the figure from an analysis of simulated listeners."""
    systems = study_material(concerts, work / "systems")
    made = make_study(Study(PARTS, title="Where does it come from?"), find_material(systems, concerts), work / "study")
    server = StudyServer(made.folder, port=0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with camera(folder) as one:
            one.window(840, 720, is_phone=False)
            one.chrome.get(f"{server.url}?seed=3")
            until(lambda: one.js("return document.querySelector('button.main')"))
            one.whole("study-consent")
            one.click("button.main")
            one.take("study-consent-refused")
            for stage in ("volume", "sides", "phase"):
                go(one, stage)
                one.take(f"study-{stage}")
            one.js("tryAgain()")
            one.take("study-try-again")
            pages = one.js("return pages.map(entry => [entry.part.name, entry.practice])")
            for name in [part.name for part in PARTS]:
                one.window(840, 720, is_phone=False)
                go(one, "pages", pages.index([name, False]))
                answer(one, name)
                one.whole(f"study-{name}")
                if name == "rating":
                    one.dark(True)
                    one.window(*PHONE)
                    one.whole("study-rating-phone-dark")
                    one.dark(False)
            one.window(840, 720, is_phone=False)
            go(one, "pages", pages.index(["matching", True]))
            press(one, "ENTER")
            one.whole("study-practice-not-heard")
            go(one, "end")
            one.take("study-end")
    finally:
        server.shutdown()
        server.server_close()
    analysed(work, folder)


def go(one: Camera, stage: str, place: int = 0) -> None:
    """Open a page of the study as a listener who returns to it."""
    one.js("state.stage = arguments[0]; state.place = arguments[1]; save()", stage, place)
    one.chrome.refresh()
    if stage != "end":
        until(lambda: "Welcome back" in one.js("return document.querySelector('h1')?.textContent ?? ''"))
        one.click("button.main")
        until(lambda: "Welcome back" not in one.js("return document.querySelector('h1').textContent"))
    until(lambda: one.js("return [...document.images].every(image => image.complete)"))


def answer(one: Camera, name: str) -> None:
    """Play all sounds of the page, then answer."""
    for button in one.chrome.find_elements("css selector", "button.sound"):
        button.click()
        until(lambda button=button: "✓" in button.text)
    if name == "rating":
        for number, slider in enumerate(one.chrome.find_elements("css selector", "input[type=range]")):
            one.js(
                "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))",
                slider,
                92 - 17 * number,
            )
    elif name == "half-circle":
        press_on(one, ".half-circle", "HOME")
        for _ in range(10):
            press_on(one, ".half-circle", "ARROW_RIGHT")
    else:
        press(one, "1")


def analysed(work: Path, folder: Path) -> None:
    """Analyse answers of simulated listeners, who use the interaural cues, to PseudoBinaural's question for
    directions."""
    material = write_material(
        work / "noise", {"Mono-Mono": 0.0, "Mono2Binaural": 0.4, "PseudoBinaural": 0.527}, clips=12
    )
    study = make_study(read_study("pseudobinaural:direction"), find_material(material), work / "directions").folder
    hearing, public = Hearing(study), read_public(study)
    answers = [records_of_listener(public, hearing, seed, 21.0) for seed in range(30)]
    found = analyse_study(study, [write_answers(work / "answers.jsonl", *answers)])
    write_analysis(found, work / "results")
    (plot,) = (work / "results").glob("*.png")
    (folder / "study-result.png").write_bytes(plot.read_bytes())


# ---- the pictures of the documentation


def shown(states: Path, docs: Path) -> None:
    """Write the documentation's pictures from those of the states."""
    picture = {path.stem: cv2.imread(str(path)) for path in states.glob("*.png")}
    write(docs / "page.jpg", picture["page"])
    phone, dark = picture["page-phone"], picture["page-dark"]
    height = dark.shape[0]
    gap = np.full((height, 16, 3), 255, np.uint8)
    write(docs / "page-dark-and-phone.jpg", np.hstack([dark, gap, phone[:height]]))
    for name in ("choice", "direction", "half-circle", "result"):
        (docs / f"study-{name}.png").write_bytes((states / f"study-{name}.png").read_bytes())
    (docs / "study-rating.png").write_bytes((states / "study-rating-phone-dark.png").read_bytes())


def write(path: Path, picture: np.ndarray) -> None:
    """Write a JPEG at most 1,120 pixels wide."""
    scale = min(1.0, 1120 / picture.shape[1])
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    cv2.imwrite(str(path), cv2.resize(picture, size, interpolation=cv2.INTER_AREA), [cv2.IMWRITE_JPEG_QUALITY, 85])


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("docs", type=Path)
    parser.add_argument("--states", type=Path)
    parser.add_argument("--only", choices=["page", "study"], help="make those of one; the rest is in --states")
    parser.add_argument(
        "--clip", type=Path, help="on the page in place of the simulated duet, for --states --only page"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        work = Path(made)
        states = asked.states or work / "states"
        states.mkdir(parents=True, exist_ok=True)
        settings = Settings(
            seed=5, seconds=8.0, performers=(2, 2), width=960, height=480, sample_rate_hz=48_000, still_camera=True
        )
        if asked.clip is None:
            simulate(work / "concerts", 2, settings)
        if asked.only != "study":
            page_states(asked.clip or work / "concerts" / "videos" / "000001.mp4", states)
        if asked.only != "page":
            study_states(work / "concerts", work, states)
        if asked.clip is None:  # with --only, the other pictures are in the folder of the states
            shown(states, asked.docs)


if __name__ == "__main__":
    main()
