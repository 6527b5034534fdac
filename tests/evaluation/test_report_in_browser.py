"""The report as its reader meets it: opened, sorted, scrolled, played and switched in headless Chromium.

Needs Debian's `chromium` and `chromium-driver` and `pip install selenium`.
"""

import io
import shutil
import time
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from hearsight.evaluation import benchmark_and_report, parse_benchmark
from hearsight.evaluation.columns import METRICS

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("both cores")]


@contextmanager
def opened(content):
    """The report of a benchmark, open in a browser whose window is 1400 pixels wide."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (pip install selenium)")
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no Chromium here (apt-get install chromium chromium-driver)")
    report = benchmark_and_report(parse_benchmark(content)).files["report.html"]
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000"):
        options.add_argument(argument)
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        chrome.get(report.as_uri())
        yield chrome
    finally:
        chrome.quit()


@pytest.fixture(scope="module")
def page(long_dataset, systems_module, tmp_path_factory):
    """The report of a small benchmark."""
    with opened(
        {
            "name": "Bars",
            "datasets": [{"name": "Bars", "folder": str(long_dataset)}],
            "systems": [
                {"name": "Mono-Mono", "model": "mono-mono"},
                {"name": "Half", "python": f"{systems_module}:panned", "options": {"gain": 0.5}, "family": "P",
                 "data_share": 0.5},
                {"name": "Panned", "python": f"{systems_module}:panned", "family": "P", "data_share": 1.0},
            ],
            "bootstrap": 200, "report_clips": 2, "workers": 1, "out": str(tmp_path_factory.mktemp("report")),
        }
    ) as chrome:  # fmt: skip
        yield chrome


@pytest.fixture(scope="module")
def wide_page(dataset, systems_module, tmp_path_factory):
    """The report of twelve systems with long names by every metric."""
    names = [f"Panned with a gain of {gain / 10:g} and no picture at all" for gain in range(11)]
    with opened(
        {
            "name": "Wide",
            "datasets": [{"name": "Bars", "folder": str(dataset)}],
            "systems": [
                {"name": "Mono-Mono", "model": "mono-mono"},
                *(
                    {"name": name, "python": f"{systems_module}:panned", "options": {"gain": gain / 10}}
                    for gain, name in enumerate(names)
                ),
            ],
            "metrics": list(METRICS),
            "bootstrap": 200, "report_clips": 1, "workers": 1, "out": str(tmp_path_factory.mktemp("wide")),
        }
    ) as chrome:  # fmt: skip
        yield chrome


def find(page, selector):
    return page.find_element("css selector", selector)


def all_of(page, selector):
    return page.find_elements("css selector", selector)


def until(condition, seconds: float = 20.0):
    """The condition's first true value; fails when none comes in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("nothing happened in time")


def test_it_opens_without_an_error_and_shows_every_part(page):
    assert page.title == "Bars" and find(page, "body").get_attribute("data-ready") == "yes"
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
    for name in ("results", "plots", "curves", "ranking", "clips", "all"):
        assert find(page, f"#{name}").size["height"] > 40
    images = page.execute_script(
        "return [...document.images].map(image => [image.complete, image.naturalWidth, image.naturalHeight])"
    )
    assert len(images) == 2 * (1 + 5 * 3) and all(complete and width > 100 for complete, width, _ in images)


def test_plots_have_a_dot_for_every_clip_and_a_line_for_every_track(page):
    first = find(page, "#plots svg.strip")
    assert len(first.find_elements("css selector", "circle")) == 3 * 4
    assert first.size["width"] > 300
    assert len(all_of(page, "#clips article:first-of-type svg.lines polyline")) == 4  # three systems and the truth
    assert len(all_of(page, "#curves svg.lines")) == 6
    assert len(all_of(page, "#ranking svg.gains rect")) == 4


def test_a_click_on_a_column_sorts_and_a_second_one_turns_it_round(page):
    def order():
        return [row.text for row in all_of(page, "#results table tbody tr td:first-child")]

    header = find(page, "#results table th:nth-child(2)")
    header.click()
    assert header.get_attribute("aria-sort") == "ascending" and order() == ["Panned", "Half", "Mono-Mono"]
    header.click()
    assert header.get_attribute("aria-sort") == "descending" and order() == ["Mono-Mono", "Half", "Panned"]


def test_a_player_plays_switches_in_step_and_pauses(page):
    clip = find(page, "#clip-0")
    page.execute_script("arguments[0].scrollIntoView()", clip)
    player = clip.find_element("css selector", ".player")

    def now():
        return page.execute_script("return arguments[0].player.now()", clip)

    def gains():
        return page.execute_script("return arguments[0].player.gains()", clip)

    clip.find_element("css selector", ".play").click()
    until(lambda: player.get_attribute("data-state") == "playing" and now() > 0.2)
    assert set(gains()) == {"Mono", "Mono-Mono", "Half", "Panned", "Truth"}
    assert {name for name, gain in gains().items() if gain > 0.5} == {"Truth"}
    before = now()
    clip.find_element("css selector", 'button[data-track="Panned"]').click()
    until(lambda: gains()["Panned"] > 0.95 and gains()["Truth"] < 0.05)
    assert before < now() < 6  # it went on, it did not begin again
    assert player.get_attribute("data-track") == "Panned"
    shown = [panel for panel in clip.find_elements("css selector", ".panel") if panel.is_displayed()]
    assert [panel.get_attribute("data-panel") for panel in shown] == ["Panned"]
    clip.find_element("css selector", ".play").click()
    assert player.get_attribute("data-state") == "paused"
    held = now()
    time.sleep(0.2)
    assert now() == held > before
    page.execute_script("arguments[0].player.moveTo(5.8)", clip)
    clip.find_element("css selector", ".play").click()
    until(lambda: player.get_attribute("data-state") == "paused" and now() == 0)  # played to its end


def test_all_tracks_last_alike_and_differ_in_sound(page):
    clip = find(page, "#clip-0")
    lengths = page.execute_script("return [...arguments[0].player.buffers.values()].map(b => b.length)", clip)
    assert len(set(lengths)) == 1
    balance = page.execute_script(
        """return [...arguments[0].player.buffers].map(([name, b]) => {
             const power = c => b.getChannelData(c).reduce((sum, x) => sum + x * x, 0);
             return [name, Math.log2(power(0) / power(1))]; })""",
        clip,
    )
    balance = dict(balance)
    assert abs(balance["Mono-Mono"]) < 0.01 and abs(balance["Truth"]) > 1
    assert balance["Panned"] == pytest.approx(balance["Truth"], abs=0.3)


def test_a_click_into_a_picture_moves_and_another_player_stops_the_first(page):
    first, second = find(page, "#clip-0"), find(page, "#clip-1")
    page.execute_script("arguments[0].scrollIntoView()", first)
    first.find_element("css selector", ".panel.on .over").click()  # in its middle
    assert page.execute_script("return arguments[0].player.now()", first) == pytest.approx(3.0, abs=0.1)
    first.find_element("css selector", ".play").click()
    page.execute_script("arguments[0].scrollIntoView()", second)
    second.find_element("css selector", ".play").click()
    state = second.find_element("css selector", ".player")
    until(lambda: state.get_attribute("data-state") == "playing")
    assert first.find_element("css selector", ".player").get_attribute("data-state") == "paused"


def seen(page, selector) -> np.ndarray:
    """What the window shows of an element, as grey levels."""
    picture = Image.open(io.BytesIO(find(page, selector).screenshot_as_png)).convert("L")
    return np.asarray(picture, float)


def test_a_table_wider_than_the_window_scrolls_beside_its_first_column(wide_page):
    page, box = wide_page, "#results .scroll"
    width, inner, outer, window = page.execute_script(
        "const s = document.querySelector(arguments[0]);"
        "return [s.clientWidth, s.scrollWidth, document.documentElement.scrollWidth, window.innerWidth]",
        box,
    )
    assert window == 1400 and inner > 1.3 * width  # more than fits
    assert outer <= window  # the page itself does not scroll sideways

    def scrolled(left: int) -> dict[str, float]:
        return page.execute_script(
            "const s = document.querySelector(arguments[0]), row = s.querySelector('tbody tr');"
            "s.scrollLeft = arguments[1]; const box = e => e.getBoundingClientRect();"
            "return {first: box(row.cells[0]).left, firstRight: box(row.cells[0]).right,"
            " second: box(row.cells[1]).left, last: box(row.cells[row.cells.length - 1]).right,"
            " left: box(s).left, right: box(s).right}",
            box,
            left,
        )

    start = scrolled(0)
    assert start["first"] == pytest.approx(start["left"], abs=1) and start["last"] > start["right"] + 100
    assert start["firstRight"] < start["left"] + width / 2  # the fixed column leaves space for the others
    at_start = seen(page, box)
    end = scrolled(100_000)
    assert end["first"] == pytest.approx(start["first"], abs=1)  # the fixed column
    assert end["last"] <= end["right"] + 1 and end["second"] < end["firstRight"]
    at_end = seen(page, box)
    # A shadow where there is more: at the right edge in the beginning, beside the fixed column in the end.
    assert np.median(at_start[:, -3]) < np.median(at_end[:, -3]) - 20
    fixed = round(start["firstRight"] - start["left"])
    assert np.median(at_end[:, fixed + 2]) < np.median(at_start[:, fixed + 2]) - 20
