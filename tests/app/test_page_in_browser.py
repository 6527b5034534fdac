"""The page as a visitor meets it, in headless Chromium; what is heard is measured where Web Audio gives it out.

Needs Debian's `chromium` and `chromium-driver`.
"""

import json
import math
import zipfile

import numpy as np
import pytest
import soundfile
import torch
from accessibility import TOO_FAINT, controls, tab_stops
from scipy.spatial.transform import Rotation
from served_page import browser, served, until

from hearsight.acoustics import encode, picture_to_direction
from hearsight.app.scene import page_decoder
from hearsight.media import read_sound
from hearsight.simulation.demo_scene import SAMPLE_RATE_HZ, sample_scene, write_sample_scene

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900), pytest.mark.xdist_group("both cores")]
SECONDS = 12.0  # in less the search by motion does not find the ball
JOB_S = 240  # that a job may take on a busy machine


@pytest.fixture(scope="module")
def address():
    pytest.importorskip("gradio", reason="the extra app is not installed (pip install 'hearsight[app]')")
    with served() as place:
        yield place


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "A ball; & <b>notes.mp4"
    write_sample_scene(sample_scene(SECONDS), path)
    return path


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


HEARD = """
const [seconds, done] = arguments, { context, out } = hearsight.sound, split = context.createChannelSplitter(2);
const ears = [0, 1].map(ear => { const node = context.createAnalyser(); split.connect(node, ear); return node; });
out.connect(split);
const sums = [0, 0], block = new Float32Array(2048), end = context.currentTime + seconds;
let count = 0;
const timer = setInterval(() => {
  ears.forEach((node, ear) => {
    node.getFloatTimeDomainData(block);
    sums[ear] += block.reduce((sum, value) => sum + value * value, 0);
  });
  count += block.length;
  if (context.currentTime < end) return;
  clearInterval(timer); out.disconnect(split);
  done(sums.map(sum => 10 * Math.log10(sum / count + 1e-12)));
}, 20);
"""
# In an OfflineAudioContext the page's own sound is given out to the sample, whatever the machine has to do besides.
OFFLINE = """
const [seconds, done] = arguments, actions = [ACTIONS];
(async () => {
  const { Sound } = await import("./static/sound.js");
  const live = hearsight.sound, rate = live.context.sampleRate;
  const context = new OfflineAudioContext(2, Math.round(seconds * rate), rate);
  context.resume = async () => {};
  const sound = new Sound(rate, context);
  sound.duration = live.duration;
  sound.put(sound.original, live.original.buffer);
  sound.convolvers.forEach((node, index) => { node.buffer = live.convolvers[index].buffer; });
  sound.out.connect(context.destination);
  const parts = [...live.parts].map(([number, part]) => ({ number, buffer: part.buffer, direction: part.direction,
    volume: part.volume, stale: part.stale, alone: part.alone }));
  sound.chosen = live.chosen;
  sound.set(parts, live.level.gain.value);
  sound.turn(live.yaw, live.pitch);
  await sound.play();
  const resume = OfflineAudioContext.prototype.resume.bind(context);
  for (const [at, act] of actions) context.suspend(at).then(() => { act(sound); sound.encode(); resume(); });
  const given = await context.startRendering();
  clearInterval(sound.clock);
  done([0, 1].map(ear => [...given.getChannelData(ear)].map(value => Math.round(value * 32768))));
})().catch(error => done(String(error)));
"""
# Whether the first marker is not yet where the scene has it.
MOVES = """
const marker = document.querySelector("#markers button[data-part='0']"), track = hearsight.scene.sources[0].track;
const after = track.findIndex(point => point[0] >= 0.5);
const [[t, x], [u, y]] = [track[after - 1] ?? track[0], track[after]];
return Math.abs(parseFloat(marker.style.left) - 100 * (x + (y - x) * (0.5 - t) / Math.max(1e-9, u - t))) > 1;
"""


# What screen readers announce.
LISTEN = """
window.announced = [];
for (const id of ["announced", "problem"]) new MutationObserver(() => {
  const words = document.getElementById(id).textContent;
  if (words) announced.push(words);
}).observe(document.getElementById(id), { childList: true, characterData: true, subtree: true });
"""


class Visitor:
    """Somebody at the page."""

    def __init__(self, chrome, address):
        self.chrome = chrome
        chrome.get(address)

    def js(self, script, *values):
        return self.chrome.execute_script(script, *values)

    def find(self, selector):
        return self.chrome.find_element("css selector", selector)

    @property
    def state(self):
        return self.js("return document.body.dataset.state")

    @property
    def status(self):
        return self.find("#status").text

    def upload(self, path):
        self.find("#file").send_keys(str(path))
        until(lambda: self.state != "start", 60)
        until(lambda: self.state != "work", JOB_S)

    def settle(self):
        until(
            lambda: self.js("return hearsight.settled && ![...hearsight.sound.parts.values()].some(p => p.stale)"),
            JOB_S,
        )

    def choose(self, choice):
        self.js("document.querySelector(`#choices input[value='${arguments[0]}']`).click()", str(choice))

    def play(self, from_s=0.0):
        self.js("hearsight.sound.pause(); hearsight.sound.position = arguments[0]", from_s)
        if self.js("return hearsight.sound.context.state") == "running":  # a click would let go of what the mouse holds
            self.js("hearsight.sound.play()")
        else:
            self.find("#play").click()
        until(lambda: self.js("return hearsight.sound.playing && hearsight.sound.now() > arguments[0]", from_s + 0.1))

    def heard_db(self, seconds=1.5):
        """Level of the left and of the right ear over some time, in decibels of full scale, behind all else."""
        return self.chrome.execute_async_script(HEARD, seconds)

    def levels_db(self):
        """Levels of the left and of the right ear in the clip's first 1.5 s, as the page is now, in decibels."""
        ears = rendered(self, [], 1.6)
        return 10 * np.log10(np.square(ears[:, ears.shape[1] // 16 :]).mean(1) + 1e-12)

    def side_db(self):
        """By how much the left ear is louder than the right."""
        left, right = self.levels_db()
        assert max(left, right) > -60
        return left - right


@pytest.fixture(scope="module")
def visitor(address, video, downloads):
    with browser(downloads=str(downloads)) as chrome:
        one = Visitor(chrome, address)
        one.js(LISTEN)
        one.upload(video)
        yield one


def rendered(visitor, actions, seconds=4.0):
    # Written into the script, since the page allows no code that is made of text.
    written = ", ".join(f"[{at}, sound => {{ {code} }}]" for at, code in actions)
    ears = visitor.chrome.execute_async_script(OFFLINE.replace("ACTIONS", written), seconds)
    assert not isinstance(ears, str), ears
    return np.array(ears) / 32768


def test_screen_readers_announce_each_stage_and_the_end(visitor):
    words = visitor.js("return announced")
    stages = [each.split(",")[0] for each in words]
    assert {"Uploading", "Finding who plays", "Ready"} <= set(stages) and words[-1] == "Ready"
    assert len(words) < 20  # no word for each percent
    tree = visitor.chrome.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    assert "status" in {node["role"]["value"] for node in tree if not node["ignored"]}


def test_it_opens_without_an_error_and_asks_no_other_host(visitor, address):
    assert [entry for entry in visitor.chrome.get_log("browser") if entry["level"] == "SEVERE"] == []
    hosts = visitor.js("return performance.getEntriesByType('resource').map(entry => new URL(entry.name).origin)")
    assert set(hosts) == {address.rstrip("/")} and len(hosts) > 5


def test_what_was_found_is_shown(visitor):
    assert visitor.state == "result"
    sources = visitor.js("return hearsight.scene.sources")
    assert len(sources) >= 1 and len(visitor.chrome.find_elements("css selector", "#markers button")) == len(sources)
    # The ball starts at the left and is at the right in the middle of the clip.
    first = sources[0]["track"]
    assert np.interp(0.3, [p[0] for p in first], [p[1] for p in first]) < 0.4
    assert np.interp(SECONDS / 2, [p[0] for p in first], [p[1] for p in first]) > 0.6
    size = visitor.js("const v = document.getElementById('video'); return [v.videoWidth, v.videoHeight, v.muted]")
    assert size == [640, 360, True]
    drawn = visitor.js(
        """return ['outlines', 'top'].map(id => {
          const canvas = document.getElementById(id), pen = canvas.getContext('2d');
          const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
          return data.filter((value, index) => index % 4 === 3 && value).length; })"""
    )
    assert min(drawn) > 500
    assert visitor.js("return document.documentElement.scrollWidth <= innerWidth")


def test_directions_are_those_of_the_package(visitor):
    places = [[0.1, 0.2], [0.5, 0.5], [0.93, 0.7]]
    found = visitor.chrome.execute_async_script(
        """const [places, done] = arguments;
        import("./static/stage.js").then(m => done(places.map(place => m.directionOf(place, 90, 0.5))));""",
        places,
    )
    x, y = torch.tensor(places).T
    expected = torch.stack(picture_to_direction(x, y, math.radians(45)), -1)
    torch.testing.assert_close(torch.tensor(found), expected, atol=1e-5, rtol=0)


def test_sound_goes_on_when_it_is_switched(visitor):
    visitor.play(0.2)
    times = []
    for choice in ("original", "binaural", 0):
        visitor.choose(choice)
        assert max(visitor.heard_db(0.7)) > -55
        times.append(visitor.js("return hearsight.sound.now()"))
        assert visitor.js("return hearsight.sound.playing")
        seen, heard = visitor.js("return [document.getElementById('video').currentTime, hearsight.sound.heard()]")
        assert seen == pytest.approx(heard, abs=0.4)
    assert times == sorted(times) and times[-1] < SECONDS - 1
    meters = visitor.js("return [...document.querySelectorAll('#levels b')].map(bar => bar.clientWidth)")
    assert min(meters) > 20
    visitor.find("#play").click()
    assert not visitor.js("return hearsight.sound.playing")


def test_each_choice_is_what_it_says(visitor):
    sides = {}
    for choice in ("original", "binaural", 0):
        visitor.choose(choice)
        sides[choice] = visitor.side_db()
    assert abs(sides["original"]) < 0.01 and sides["binaural"] > 1  # the ball is at the left
    assert sides[0] == pytest.approx(sides["binaural"], abs=0.2)
    visitor.choose("rest")
    assert max(visitor.levels_db()) < -60  # all sound is the ball's
    visitor.choose("binaural")


def test_switching_leaves_no_gap_and_stays_in_step_to_the_sample(visitor, video):
    """Both ears of every choice have the same mean, the clip's sound: also while it changes from one to the other."""
    choices = ["original", "binaural", "original", "binaural"]
    actions = [(1.0 + 0.7 * number, f"sound.choose('{choice}')") for number, choice in enumerate(choices)]
    ears = rendered(visitor, actions)
    sound, rate = read_sound(video)
    ahead = round(0.06 * rate)
    expected = sound[0].numpy()[: ears.shape[1] - ahead]
    mean = ears.mean(0)[ahead:]
    gain = (mean @ expected) / (expected @ expected)
    assert gain == pytest.approx(1.0, abs=0.15)
    error = np.square(mean - gain * expected).sum() / np.square(gain * expected).sum()
    assert 10 * np.log10(error) < -15  # the difference in level between the choices
    side = np.abs(ears[0] - ears[1])[ahead:]
    assert side[int(1.2 * rate) : int(1.6 * rate)].max() < 1e-3 < side[int(1.9 * rate) : int(2.3 * rate)].max()


def test_a_turned_head_hears_what_is_ahead_on_its_other_side(visitor):
    def side_db(yaw, place):
        code = f"sound.chosen = 0; sound.parts.get(0).direction = () => [{place}, 0]; sound.turn({yaw}, 0)"
        ears = rendered(visitor, [(0.01, code)], 3.0)
        return 10 * math.log10(np.square(ears[0]).sum() / np.square(ears[1]).sum())

    quarter = math.pi / 2
    assert side_db(quarter, 0.0) < -2 and side_db(-quarter, 0.0) > 2
    assert abs(side_db(quarter, quarter)) < 0.5  # turned to the source
    assert side_db(0.001, quarter) == pytest.approx(side_db(-quarter, 0.0), abs=0.5)  # the world turns the other way
    assert abs(side_db(math.pi, 0.0)) < 0.5


def heard_turned(visitor, direction, yaw, pitch):
    """Both ears of the source alone, as the browser renders it at a direction for a turned head (radians)."""
    code = f"sound.chosen = 0; sound.parts.get(0).direction = () => {list(direction)}; sound.turn({yaw}, {pitch})"
    return rendered(visitor, [(0.01, code)], 3.0)[:, SAMPLE_RATE_HZ // 2 :]


def from_the_head(direction, yaw, pitch):
    """Azimuth and elevation for who has turned by yaw, and then the nose up by pitch: a rotation that SciPy has."""
    azimuth, elevation = direction
    there = (math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation))
    x, y, z = Rotation.from_euler("ZY", [yaw, -pitch]).inv().apply(there)  # about the head's own axes, one by one
    return math.atan2(y, x), math.asin(z)


@pytest.mark.parametrize(
    ("direction", "yaw", "pitch"),
    [((0.0, 0.0), 0.0, 0.6), ((0.5, 0.3), 0.0, -0.8), ((1.2, 0.0), 0.9, 0.7), ((-0.4, -0.2), -1.4, 0.5)],
)
def test_a_turned_head_hears_the_field_of_the_package_at_the_turned_direction(visitor, video, direction, yaw, pitch):
    sound, rate = read_sound(video)
    mono = sound[0, : 3 * rate]
    field = encode(mono, *from_the_head(direction, yaw, pitch)).numpy()
    decoder = page_decoder(rate).numpy()
    expected = np.stack([sum(np.convolve(field[c], decoder[c, ear]) for c in range(4)) for ear in (0, 1)])
    found, ahead = heard_turned(visitor, direction, yaw, pitch), round(0.06 * rate)
    expected = expected[:, rate // 2 - ahead :][:, : found.shape[1]]
    gain = (found * expected).sum() / np.square(expected).sum()
    error = np.square(found - gain * expected).sum() / np.square(found).sum()
    assert 10 * math.log10(error) < -30


def test_pitch_moves_what_is_ahead_below_and_what_is_beside_not_at_all(visitor):
    quarter, up = math.pi / 2, 0.6

    def same(one, other):
        return 10 * math.log10(np.square(one - other).sum() / np.square(other).sum() + 1e-12)

    nose_up = heard_turned(visitor, (0, 0), 0, up)
    assert same(nose_up, heard_turned(visitor, (0, -up), 0, 0.002)) < -40  # 0.002: a level head is heard as such
    assert same(nose_up, heard_turned(visitor, (0, up), 0, 0.002)) > -20  # the other way round is something else
    assert abs(side_of(nose_up)) < 0.5
    beside = heard_turned(visitor, (0, 0), quarter, 0)
    assert side_of(beside) < -2
    # First to the left, then the nose up: what was ahead is on the axis of the ears, and stays there. In the other
    # order it would be below.
    assert same(heard_turned(visitor, (0, 0), quarter, up), beside) < -40
    assert same(heard_turned(visitor, (quarter, 0), quarter, up), nose_up) < -40
    # What is above is ahead of whose nose points straight up.
    assert same(heard_turned(visitor, (0, quarter), 0, quarter), heard_turned(visitor, (0, 0), 0, 0.002)) < -40


def side_of(ears):
    return 10 * math.log10(np.square(ears[0]).sum() / np.square(ears[1]).sum())


def test_the_head_is_turned_up_and_down_by_keys_and_by_the_mouse(visitor):
    from selenium.webdriver import ActionChains, Keys

    head, nod = visitor.find("#head"), visitor.find("#nod")
    visitor.js("window.before = document.getElementById('side').toDataURL()")
    nod.send_keys(*[Keys.ARROW_UP] * 6)
    assert nod.get_attribute("aria-valuetext") == "30° up" and nod.get_attribute("aria-valuenow") == "30"
    assert visitor.js("return hearsight.sound.pitch") == pytest.approx(math.pi / 6)
    until(lambda: visitor.js("return document.getElementById('side').toDataURL() !== before"))
    head.send_keys(Keys.ARROW_LEFT, Keys.ARROW_DOWN)  # either view takes all four arrow keys
    assert (head.get_attribute("aria-valuetext"), nod.get_attribute("aria-valuetext")) == ("5° left", "25° up")
    assert visitor.find("#turned").text == "Turned 5° left, 25° up"
    nod.send_keys(*[Keys.PAGE_DOWN] * 9)
    assert nod.get_attribute("aria-valuetext") == "90° down"  # not over on its back
    nod.send_keys(Keys.HOME)
    assert visitor.js("return [hearsight.sound.yaw, hearsight.sound.pitch]") == [0, 0]
    ring = 0.4 * nod.size["height"]
    mouse = ActionChains(visitor.chrome).move_to_element(nod).click_and_hold()
    mouse.move_by_offset(0, -round(ring / 2)).release().perform()
    assert visitor.js("return hearsight.sound.pitch") == pytest.approx(0.5, abs=0.03)
    assert visitor.js("return hearsight.sound.yaw") == 0
    visitor.find("#ahead").click()
    assert nod.get_attribute("aria-valuetext") == "level" and visitor.find("#turned").text == ""


def test_the_head_is_turned_by_keys_and_by_the_mouse(visitor):
    from selenium.webdriver import ActionChains, Keys

    head = visitor.find("#head")
    head.send_keys(*[Keys.PAGE_UP] * 3)
    assert head.get_attribute("aria-valuetext") == "90° left"
    visitor.choose(0)
    turned = visitor.side_db()
    head.send_keys(Keys.HOME)
    assert head.get_attribute("aria-valuetext") == "ahead" and visitor.side_db() > turned + 2
    ActionChains(visitor.chrome).move_to_element_with_offset(head, 0, -60).click_and_hold().move_by_offset(
        60, 60
    ).release().perform()
    assert float(head.get_attribute("aria-valuenow")) == pytest.approx(90, abs=2)  # to the right
    visitor.find("#ahead").click()
    visitor.choose("binaural")


def test_a_dragged_source_is_heard_where_it_is_dropped_and_comes_back(visitor):
    from selenium.webdriver import ActionChains

    visitor.choose(0)
    before = visitor.js("return hearsight.scene.sources[0].track")
    at_left = visitor.side_db()
    assert at_left > 1
    visitor.js("hearsight.sound.pause(); hearsight.sound.position = 0.5")
    until(lambda: abs(visitor.js("return hearsight.sound.now()") - 0.5) < 0.01 and not visitor.js(MOVES))
    marker, width = visitor.find("#markers button[data-part='0']"), visitor.find("#stage").size["width"]
    mouse = ActionChains(visitor.chrome).move_to_element(marker).click_and_hold()
    mouse.move_by_offset(width // 3, 0).move_by_offset(width // 3, 0).perform()
    assert visitor.js("return hearsight.sound.parts.get(0).stale")
    assert visitor.side_db() < -0.5  # while it is held, as ambisonics
    ActionChains(visitor.chrome).release().perform()
    visitor.settle()
    assert "Rendered in" in visitor.status
    at_right = visitor.side_db()
    assert at_right < -1 and abs(at_right + at_left) < 4
    visitor.find("#undo").click()
    visitor.settle()
    assert visitor.js("return hearsight.scene.sources[0].track") == before
    assert visitor.side_db() == pytest.approx(at_left, abs=0.1)
    visitor.find("#redo").click()
    visitor.settle()
    assert visitor.side_db() < -1
    visitor.find("#undo").click()
    visitor.settle()
    visitor.choose("binaural")


def test_all_is_done_by_keyboard(visitor):
    from selenium.webdriver import Keys

    before = visitor.js("return hearsight.scene.sources[0].track[0]")
    marker = visitor.find("#markers button[data-part='0']")
    marker.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_UP)
    after = visitor.js("return hearsight.scene.sources[0].track[0]")
    assert after[1] - before[1] == pytest.approx(0.04) and after[2] - before[2] == pytest.approx(-0.02)
    visitor.settle()
    body = visitor.find("#markers button[data-part='0']")
    for _ in range(3):
        body.send_keys(Keys.CONTROL, "z")
        visitor.settle()
    assert visitor.js("return hearsight.scene.sources[0].track[0]") == before
    body.send_keys("0")
    assert visitor.js("return hearsight.sound.chosen") == "original"
    body.send_keys("1")
    assert visitor.js("return hearsight.sound.chosen") == "binaural"


def test_every_control_has_a_role_and_a_name_and_shows_the_focus(visitor):
    found = controls(visitor.chrome)
    assert all(name for _, name in found), found
    assert len(set(found)) == len(found)  # no two sound alike
    names = dict((name, role) for role, name in found)
    for name, role in {
        "Play": "button", "Position in the video": "slider", "Original": "radio", "Binaural": "radio",
        "Turn your head to the left or right": "slider", "Turn your head up or down": "slider", "Undo": "button",
        "Add a source": "button", "Video": "button", "Another video": "button",
    }.items():  # fmt: skip
        assert names[name] == role
    assert any(role == "checkbox" and name.startswith("Mute ") for role, name in found)
    assert any(role == "slider" and name.startswith("Gain of ") for role, name in found)
    stops = tab_stops(visitor.chrome)
    assert [name for name, is_seen in stops if not is_seen] == []
    enabled = [name for role, name in found if role != "radio"]
    assert len(stops) >= len(enabled) - 2  # Undo and Redo may be off; of the choices one is a stop
    assert {"play", "seek", "head", "nod", "ahead", "left", "right", "add", "split", "strength", "fov"} <= {
        name for name, _ in stops
    }
    assert visitor.js(TOO_FAINT) == []


def test_gain_mute_strength_and_field_of_view_are_heard(visitor):
    visitor.choose("binaural")
    loud = max(visitor.levels_db())
    visitor.js("document.querySelector('#sources tbody input[type=checkbox]').click()")
    visitor.settle()
    assert max(visitor.levels_db()) < loud - 20
    visitor.js("document.querySelector('#sources tbody input[type=checkbox]').click()")
    visitor.settle()
    visitor.js(
        """const gain = document.querySelector('#sources tbody input[type=range]'); gain.value = -12;
        gain.dispatchEvent(new Event('input')); gain.dispatchEvent(new Event('change'));"""
    )
    assert max(visitor.levels_db()) == pytest.approx(loud - 12, abs=0.5)
    visitor.find("#undo").click()
    side = visitor.side_db()
    for name, value in (("strength", 0), ("fov", 20)):
        visitor.js(
            """const slider = document.getElementById(arguments[0]); slider.value = arguments[1];
            slider.dispatchEvent(new Event('input')); slider.dispatchEvent(new Event('change'));""",
            name,
            value,
        )
        visitor.settle()
        assert abs(visitor.side_db()) < side / 2
        visitor.find("#undo").click()
        visitor.settle()


def test_sources_are_added_divided_and_removed(visitor):
    from selenium.webdriver import ActionChains

    count = visitor.js("return hearsight.scene.sources.length")
    visitor.find("#add").click()
    assert visitor.find("#hint").is_displayed()
    stage = visitor.find("#stage")
    ActionChains(visitor.chrome).move_to_element_with_offset(stage, 100, -50).click().perform()
    until(lambda: visitor.js("return hearsight.settled && hearsight.scene.sources.length") == count + 1, JOB_S)
    shares = visitor.js("return hearsight.scene.sources.map(source => source.share)")
    assert sum(shares) <= 1.01
    visitor.js("document.querySelector('#sources tbody tr:last-child button').click()")
    visitor.settle()
    assert visitor.js("return [hearsight.scene.sources.length, hearsight.scene.away.length]") == [count, 1]
    for _ in range(2):
        visitor.find("#undo").click()
        visitor.settle()
    assert visitor.js("return hearsight.scene.sources.length") == count


def test_downloads_hold_what_is_heard(visitor, downloads, video):
    def downloaded(what):
        before = set(downloads.iterdir())
        visitor.find(f"[data-export={what}]").click()

        def new():
            assert "hearsight:" not in visitor.status
            made = set(downloads.iterdir()) - before  # until it is whole, Chromium writes into other names
            return [path for path in made if path.suffix != ".crdownload" and not path.name.startswith(".")]

        return until(new, JOB_S)[0]

    ears, rate = read_sound(downloaded("video"))
    sound, _ = read_sound(video)
    assert ears.shape[0] == 2 and ears.shape[1] == pytest.approx(sound.shape[1], abs=rate // 10)
    first = ears[:, : rate // 2].square().sum(-1)
    assert first[0] > 1.2 * first[1]
    with zipfile.ZipFile(downloaded("stems")) as archive:
        archive.extractall(downloads / "stems")
    files = sorted((downloads / "stems").glob("*.wav"))
    total = sum(soundfile.read(file, dtype="float32")[0] for file in files)
    assert len(files) >= 2 and np.abs(total - sound[0].numpy()[: len(total)]).max() < 1e-4
    report = json.loads(downloaded("report").read_text())
    assert report["sources"][0]["track"] and report["model"] == "sounding-objects"
    field, _ = soundfile.read(downloaded("ambisonics"))
    assert field.shape[1] == 4 and np.square(field[:, 1]).sum() > 0


def test_headphones_are_checked_ear_by_ear(visitor):
    for ear, name in enumerate(("left", "right")):
        visitor.find(f"#{name}").click()
        levels = visitor.heard_db(0.4)
        assert levels[ear] > -50 and levels[1 - ear] < -90
        until(lambda: visitor.heard_db(0.1)[0] < -90 and visitor.heard_db(0.1)[1] < -90)


def test_a_second_visitor_waits_and_both_are_served(address):
    doing = "return document.getElementById('doing').textContent"
    with browser() as first, browser() as second:
        one, other = Visitor(first, address), Visitor(second, address)
        one.find("#sample").click()
        until(lambda: "%" in one.js(doing) and "Preparing" not in one.js(doing), JOB_S)
        other.js(LISTEN)
        other.find("#sample").click()
        until(lambda: "you are next" in other.js(doing), JOB_S)
        assert other.js("return document.getElementById('progress').hasAttribute('value')") is False
        for each in (one, other):
            until(lambda each=each: each.state == "result", JOB_S)
        assert (
            any("you are next" in words for words in other.js("return announced"))
            and other.js("return announced")[-1] == "Ready"
        )
        assert one.js("return hearsight.clip.duration_s") == pytest.approx(20, abs=0.1)
        track = one.js("return hearsight.scene.sources[0].track")
        places = [np.interp(seconds, [p[0] for p in track], [p[1] for p in track]) for seconds in (0.5, 10, 19.5)]
        assert places[0] < 0.4 < 0.6 < places[1] and places[2] < 0.4  # as the ball goes


def test_what_fails_gives_the_command_line_s_line(address, tmp_path):
    bad, list_ = tmp_path / "bad.mp4", tmp_path / "list.m3u8"
    bad.write_bytes(b"no video at all " * 1000)
    list_.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
    with browser() as chrome:
        one = Visitor(chrome, address)
        one.js(LISTEN)
        for path in (bad, list_):
            one.upload(path)
            said = one.find("#problem").text
            assert one.state == "start" and said.startswith(path.name) and "\n" not in said and "/tmp" not in said
            assert one.js("return announced")[-1] == said  # by the alert
            assert one.js("return document.activeElement.id") == "file"
        assert one.js(TOO_FAINT) == [] and all(name for _, name in controls(chrome))
        assert [name for name, is_seen in tab_stops(chrome) if not is_seen] == []
        one.find("#sample").click()
        until(lambda: one.state == "work", 60)
        assert one.js("return document.activeElement.id") == "stop" and one.js(TOO_FAINT) == []
        assert all(name for _, name in controls(chrome))
        one.find("#stop").click()
        until(lambda: one.state == "start", 30)
        assert not one.find("#problem").is_displayed() and one.js("return announced")[-1] == "Stopped"


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone_light_and_dark(address, video, dark):
    with browser((390, 844), dark) as chrome:
        one = Visitor(chrome, address)
        assert one.js("return document.documentElement.scrollWidth") <= 390
        one.upload(video)
        assert one.state == "result" and one.js("return document.documentElement.scrollWidth") <= 390
        background = one.js("return getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, background[4:-1].split(","))) < 120) == dark
        small = one.js(
            """return [...document.querySelectorAll('#result button')].filter(each => each.offsetParent
              && each.getBoundingClientRect().height < 30).map(each => each.outerHTML)"""
        )
        assert small == []
        assert one.js(TOO_FAINT) == []


def test_a_visitor_types_the_password():
    pytest.importorskip("gradio", reason="the extra app is not installed (pip install 'hearsight[app]')")
    with served("--password", "open, sesame") as place, browser() as chrome:
        chrome.get(place)
        chrome.find_element("name", "password").send_keys("guess\n")
        until(lambda: "That is not the password." in chrome.page_source)
        assert all(name for _, name in controls(chrome)) and chrome.execute_script(TOO_FAINT) == []
        chrome.find_element("name", "password").send_keys("open, sesame\n")
        until(lambda: "Drop a video here" in chrome.page_source)
