"""A whole study answered by keyboard in headless Chromium, opened as a file and served; what comes out of Web Audio.

Needs Debian's `chromium` and `chromium-driver` and `pip install selenium`.
"""

import json
import re
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from accessibility import TOO_FAINT, controls, tab_stops

from hearsight.studies import StudyServer, analyse_study, find_material, make_study, plan, read_made
from hearsight.studies.definition import Part, Study

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600), pytest.mark.xdist_group("both cores")]

HEARD = {"items": 1, "least_heard_s": 0.5}
PARTS = [
    Part("pair", "choice", "Which is nearer?", compare="each", reference="first", picture="still", **HEARD),
    Part("match", "choice", "Which matches the video?", neutral=True, picture="video", reference="last", **HEARD),
    Part("direction", "direction", "Where is the {instrument}?", per_listener=1, **HEARD),
    Part("around", "direction", "Where is the {instrument}?", answers="half-circle", per_listener=1, **HEARD),
    Part("rating", "rating", "How close?", picture="still", **HEARD),
]  # fmt: skip

BLOCK = 8192

# What goes to the loudspeakers also goes into `recorded`.
RECORDER = """
window.recorded = [[], []];
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...more) {
  if (target instanceof AudioDestinationNode) {
    const context = this.context;
    if (!context.recorder) {
      context.recorder = context.createScriptProcessor(%d, 2, 2);
      context.recorder.onaudioprocess = event => [0, 1].forEach(
        side => window.recorded[side].push(...event.inputBuffer.getChannelData(side)));
      connect.call(context.recorder, target);
    }
    connect.call(this, context.recorder);
  }
  return connect.call(this, target, ...more);
};
""".replace("%d", str(BLOCK))


@pytest.fixture(scope="module")
def study(seen_material, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "study"
    return make_study(Study(PARTS, title="Where?", seed=4), find_material(seen_material), folder).folder


class Person:
    """Someone at a browser who presses keys, hears what comes out, and reads what is shown."""

    def __init__(self, downloads: Path) -> None:
        webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (pip install selenium)")
        browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
        if browser is None or driver is None:
            pytest.skip("no Chromium here (apt-get install chromium chromium-driver)")
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1000,900"):
            options.add_argument(argument)
        self.chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        self.chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": RECORDER})
        self.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        self._chain = webdriver.ActionChains
        self._keys = webdriver.Keys

    def command(self, name: str, **values: object) -> None:
        self.chrome.execute_cdp_cmd(name, values)

    def press(self, *keys: str) -> None:
        """Keys by name ("TAB") or as they are ("a")."""
        chain = self._chain(self.chrome)
        for key in keys:
            chain = chain.send_keys(getattr(self._keys, key, key))
        chain.perform()

    def tab_to(self, selector: str) -> None:
        for _ in range(30):
            self.press("TAB")
            if self.run("return document.activeElement.matches(arguments[0])", selector):
                return
        raise AssertionError(f"the Tab key does not lead to {selector}")

    def run(self, script: str, *arguments: object):
        return self.chrome.execute_script(script, *arguments)

    def all(self, selector: str):
        return self.chrome.find_elements("css selector", selector)

    def text(self, selector: str) -> str:
        return " ".join(element.text for element in self.all(selector))

    def until(self, condition, seconds: float = 30.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := condition():
                return value
            time.sleep(0.05)
        raise AssertionError(f"nothing happened in time; the page shows {self.text('body')!r}")

    def begin_recording(self) -> None:
        self.run("window.recorded = [[], []]")

    def recording(self) -> np.ndarray:
        """Both ears since then. `[2, samples]`"""
        return np.array(self.run("return window.recorded"), np.float64)

    def begin(self) -> None:
        """Agree and set the volume."""
        self.tab_to("button.main")
        self.press("ENTER")
        assert "tick the box" in self.text(".alert")
        self.tab_to("#agreed")
        self.press("SPACE")
        self.tab_to("button.main")
        self.press("ENTER")
        self.until(lambda: self.text("h1") == "Set the volume")
        self.press("TAB", "TAB", "ENTER")
        assert "Play the sound first" in self.text(".alert")
        self.tab_to("button.sound")
        self.press("ENTER")
        self.until(lambda: "✓" in self.text("button.sound"))
        self.tab_to("button.main")
        self.press("ENTER")

    def check_headphones(self) -> None:
        """Answer what is really heard: the louder ear, and the quietest of three tones."""
        time.sleep(0.6)  # the last of the sound before is recorded
        for number in range(10):
            place = f", {number + 1} of 4" if number < 4 else f", {number - 3} of 6"
            self.until(lambda place=place: self.text("h1").endswith(place))
            self.begin_recording()
            self.press("p")
            self.until(lambda: self.all("button.sound[aria-pressed=true]"))
            self.until(lambda: self.all("button.sound[aria-pressed=false]"))
            time.sleep(0.4)
            heard, rate = self.recording(), self.run("return context.sampleRate")
            if number < 4:
                level = np.sqrt(np.square(heard).mean(1))
                assert level.max() > 0.01 and level.min() == 0
                answer = 1 + level.argmax()
            else:
                start = np.flatnonzero(np.abs(heard[0]) > 1e-3)[0] / rate
                tones = [heard[:, round((start + t) * rate) : round((start + t + 0.6) * rate)] for t in (0.2, 1.7, 3.2)]
                answer = 1 + np.argmin([np.square(tone).mean() for tone in tones])
                signs = sorted(round(float(np.corrcoef(tone)[0, 1]), 2) for tone in tones)
                assert signs == [-1, 1, 1]  # one of the louder ones is in opposite phase
                assert np.corrcoef(tones[answer - 1])[0, 1] > 0.99
            self.press(str(answer), "ENTER")

    def listen(self, key: str) -> None:
        self.press(key)
        try:
            self.until(lambda: "✓" in self.text(f'button.sound[data-key="{key}"]'))
        except AssertionError as error:
            raise AssertionError(f"{error}; after the key {key}") from None

    def answer_page(self) -> str:
        """Hear every sound, answer, go on; the type of the page."""
        place = self.text("#step")
        keys = [button.get_attribute("data-key") for button in self.all("button.sound")]
        self.press("ENTER")
        assert re.search("Listen to .* first", self.text(".alert")), self.text(".alert")
        if "video" in self.text("h1"):
            keys = keys[1:] + keys[:1]  # there the reference comes last
        for key in keys:
            self.listen(key)
        self.press("ENTER")
        assert re.search("Choose|Rate A, too", self.text(".alert"))
        if self.all(".rating"):
            shape = "rating"
            for _ in self.all("input[type=range]"):
                self.tab_to("input.unset")
                self.press("ARROW_RIGHT", "ARROW_RIGHT")
        elif self.all(".half-circle"):
            shape = "half-circle"
            self.tab_to(".half-circle")
            self.press(*["ARROW_LEFT"] * 4)
            assert self.text(".angle") == "20 degrees to the left"
        else:
            shape = "direction" if self.all("fieldset.direction") else "choice"
            self.press("2")
        self.press("ENTER")
        self.until(lambda: self.text("#step") != place)
        return shape

    def answer_all(self) -> list[str]:
        shapes = []
        while self.text("h1") != "Thank you":
            shapes.append(self.answer_page())
        return shapes

    def messages(self) -> list[str]:
        said = [entry["message"] for entry in self.chrome.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        return [text for text in said if "ScriptProcessorNode" not in text]  # which is the recorder's

    def asked_for(self) -> set[str]:
        """Scheme and host of every request."""
        events = [json.loads(entry["message"])["message"] for entry in self.chrome.get_log("performance")]
        urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return {re.match(r"[a-z]+:(//[^/]*)?", url)[0] for url in urls}


@pytest.fixture
def person(tmp_path):
    person = Person(tmp_path)
    yield person
    person.chrome.quit()


def test_a_study_opened_as_a_file_is_answered_by_keyboard_and_saved(study, person, tmp_path):
    person.chrome.get((study / "public" / "index.html").as_uri() + "?seed=77")
    person.begin()
    person.check_headphones()
    person.until(lambda: "Page 1 of" in person.text("#step"))
    shapes = person.answer_all()
    assert shapes == ["choice"] * 4 + ["direction"] * 2 + ["half-circle"] * 2 + ["rating"] * 2
    assert "Please save your answers" in person.text("#status")
    person.tab_to("a.button")
    person.press("ENTER")
    path = person.until(lambda: next(iter(tmp_path.glob("answers-*.jsonl")), None))
    found = analyse_study(study, [path], screened=False)  # the reference was not rated as such
    (session,) = found.screening.kept
    assert found.collected.refused == [] and session.headphones["phase"] == [6, 6] and session.ended
    assert [record["order"] for record in session.answers.values()] == [
        order for _, order in plan(read_made(study)["public"], 77)
    ]  # the page and Python shuffle alike
    assert all(value >= 0.5 for record in session.answers.values() for value in record["heard_s"].values())
    answers = {row["part"]: row for row in found.rows}
    assert answers["around"]["answer"] == "centre" and answers["direction"]["answer"] == "centre"  # 20 degrees; key 2
    assert {row["rating"] for row in found.rows if row["part"] == "rating"} == {52}
    assert person.messages() == [] and person.asked_for() <= {"file://", "data:", "blob:null", "blob:"}


# The page's own player in an OfflineAudioContext: its sound to the sample, whatever the machine has to do besides.
SWITCHED = """
const [seconds, done] = arguments;
(async () => {
  // Of this page's reference and another page's sound, which differs from it whatever systems do.
  const decoded = async id => context.decodeAudioData((await fileOf(id)).slice(0));
  const first = pages[state.place].page.reference, left = buffer => buffer.getChannelData(0);
  const like = left(await decoded(first));
  let second = null;
  for (const id of pages.flatMap(entry => entry.order))
    if (!second && left(await decoded(id)).some((value, n) => Math.abs(value - like[n]) > 0.01)) second = id;
  const rate = context.sampleRate, offline = new OfflineAudioContext(2, Math.round(seconds * rate), rate);
  Object.defineProperty(offline, "state", { get: () => "running" });
  context = offline;
  const one = new Player([first, second], () => {});
  await one.play(first);
  let at = null;
  offline.suspend(seconds / 2).then(async () => {
    at = offline.currentTime;
    await one.play(second);
    OfflineAudioContext.prototype.resume.call(offline);
  });
  const given = await offline.startRendering(), sides = buffer => [0, 1].map(side => [...buffer.getChannelData(side)]);
  clearInterval(one.timer);
  done([rate, at, one.began, sides(given), sides(one.buffers.get(first)), sides(one.buffers.get(second))]);
})().catch(error => done(String(error)));
"""


def test_switching_goes_on_at_the_same_sample_with_a_short_fade_and_no_gap(study, person):
    person.chrome.get((study / "public" / "index.html").as_uri())
    person.run("state.stage = 'pages'; save()")
    person.chrome.refresh()
    person.until(lambda: person.text("h1") == "Welcome back")
    person.press("TAB", "ENTER")
    person.until(lambda: person.all("button.sound"))
    person.press("a")
    assert "Listen to the reference first" in person.text(".alert") and not person.all("[aria-pressed=true]")
    person.listen("r")
    person.press("a")
    person.until(lambda: person.all("[data-key=a][aria-pressed=true]"))
    seconds = 4.0
    person.chrome.set_script_timeout(120)
    answer = person.chrome.execute_async_script(SWITCHED, seconds)
    assert not isinstance(answer, str), answer
    rate, switched_s, began_s, heard, before, after = answer
    heard, before, after = (np.array(sound) for sound in (heard, before, after))
    begin, samples = round(began_s * rate), heard.shape[1]
    assert before.shape == after.shape and before.shape[1] < samples / 2  # both run round more than once
    running = np.arange(samples - begin) % before.shape[1]
    fade_s = 0.01 / 3
    since_s = np.maximum(0, np.arange(begin, samples) / rate - switched_s)
    gain = np.exp(-since_s / fade_s) * (1 - np.exp(-np.arange(begin, samples) / rate / fade_s))
    expected = gain * before[:, running] + (1 - np.exp(-since_s / fade_s)) * after[:, running]
    heard = heard[:, begin:]
    error = np.square(heard - expected).sum() / np.square(expected).sum()
    assert 10 * np.log10(error) < -40
    assert np.abs(before - after).max() > 0.01 and np.abs(heard).min(0).max() > 0
    around = slice(round(switched_s * rate) - begin - 480, round(switched_s * rate) - begin + 960)
    quietest = np.sqrt(np.square(heard[:, around]).mean(0).reshape(-1, 240).mean(1)).min()
    assert quietest > 0.5 * np.sqrt(np.square(before).mean())  # nowhere a gap


def test_all_controls_of_every_page_are_named_and_show_the_focus_and_text_is_legible(study, person):
    person.chrome.get((study / "public" / "index.html").as_uri() + "?seed=77")
    person.until(lambda: person.all("#agreed"))
    pages = person.run("return pages.map(entry => [entry.part.name, entry.practice])")
    stages = ["consent", "volume", "sides", *(pages.index([part.name, False]) for part in PARTS), "end"]
    for stage in stages:
        is_page = isinstance(stage, int)
        name = "pages" if is_page else stage
        person.run("state.stage = arguments[0]; state.place = arguments[1]; save()", name, stage if is_page else 0)
        person.chrome.refresh()
        if stage not in ("consent", "end"):
            person.until(lambda: person.text("h1") == "Welcome back")
            person.press("TAB", "ENTER")
            person.until(lambda: person.text("h1") != "Welcome back")
        found = controls(person.chrome)
        assert found and all(label for _, label in found), (stage, found)
        assert len(set(found)) == len(found), found  # no two sound alike
        stops = tab_stops(person.chrome)
        assert [label for label, is_seen in stops if not is_seen] == []
        expected = {role for role, _ in found if role != "progressbar"}
        assert len(stops) >= len(expected)
        for scheme in ("light", "dark"):
            person.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            time.sleep(0.3)  # colours fade over
            assert person.run(TOO_FAINT) == [], (stage, scheme)
    alerts = person.run("return document.querySelectorAll('[role=alert], [role=status]').length")
    assert alerts == 1


def test_the_video_runs_with_the_sound_and_a_hidden_page_is_silent(study, person):
    person.chrome.get((study / "public" / "index.html").as_uri())
    place = next(n for n, part in enumerate(PARTS) if part.picture == "video") * 2
    person.run("state.stage = 'pages'; state.place = arguments[0]; save()", place)
    person.chrome.refresh()
    person.until(lambda: person.text("h1") == "Welcome back")
    person.press("TAB", "ENTER")
    person.until(lambda: person.all("video"))
    person.listen("a")
    assert person.run("return document.querySelector('video').muted")
    apart = []
    for _ in range(20):
        at, of, total = person.run(
            "return [document.querySelector('video').currentTime, player.position, player.duration]"
        )
        apart.append(min(abs(at - of), total - abs(at - of)))
        time.sleep(0.1)
    assert np.median(apart) < 0.15
    person.run(
        "Object.defineProperty(document, 'hidden', {get: () => true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    assert not person.run("return player.playing")
    time.sleep(0.6)
    person.begin_recording()
    person.until(lambda: person.run("return window.recorded[0].length") > 20_000)
    assert np.abs(person.recording()[:, 8192:]).max() == 0


def test_a_served_study_survives_reloads_and_a_server_that_is_gone_for_a_while(study, person):
    (study / "answers.jsonl").unlink(missing_ok=True)

    def serve(port: int):
        server = StudyServer(study, port=port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        return server, thread

    def end(server, thread):
        server.shutdown()
        server.server_close()
        thread.join()

    # As on a phone at night.
    person.command("Emulation.setDeviceMetricsOverride", width=360, height=700, deviceScaleFactor=1, mobile=True)
    person.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    server, thread = serve(0)
    port = server.server_address[1]
    try:
        person.chrome.get(f"{server.url}?seed=3")
        person.begin()
        person.check_headphones()
        person.until(lambda: "Page 1 of" in person.text("#step"))
        session = person.run("return state.session")
        person.answer_page()
        person.until(lambda: person.run("return state.sent === state.records.length"))
        shown = person.text("h1"), person.text("#step")
        person.chrome.refresh()
        person.until(lambda: person.text("h1") == "Welcome back")
        person.press("TAB", "ENTER")
        person.until(lambda: person.all("button.sound"))
        assert (person.text("h1"), person.text("#step")) == shown and person.run("return state.session") == session

        person.until(lambda: person.run("return [...document.images].every(image => image.complete)"))
        time.sleep(1)  # the sounds are there
        end(server, thread)
        person.answer_page()
        assert person.run("return state.sent") < person.run("return state.records.length")
        server, thread = serve(port)
        person.until(lambda: person.run("return state.sent === state.records.length"), 60)
        person.until(lambda: not person.all("[data-failed]"))  # a picture that did not come is asked for again

        while person.text("h1") != "Thank you":
            width, background = person.run(
                "return [document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]"
            )
            assert width <= 360 and max(map(int, re.findall(r"\d+", background))) < 60
            controls = person.all("button, input, [role=slider]")
            assert all(control.accessible_name.strip() for control in controls)
            small = [c for c in person.all("main button, label.choice") if min(c.size["height"], c.size["width"]) < 44]
            assert small == []
            person.answer_page()
        person.until(lambda: "have arrived" in person.text("#status"))
        assert person.run("return state.records") == [
            json.loads(line) for line in (study / "answers.jsonl").read_text().splitlines()
        ]
        assert len(analyse_study(study, screened=False).screening.kept) == 1
        unexpected = [text for text in person.messages() if "ERR_CONNECTION_REFUSED" not in text]
        assert unexpected == [] and person.asked_for() <= {f"http://127.0.0.1:{port}", "data:"}
    finally:
        end(server, thread)
