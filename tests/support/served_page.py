"""The page `hearsight app` served by a process of its own, and a browser to open it in."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def served(*options: str) -> Iterator[str]:
    """Context that gives the address of a page, which ends with it."""
    command = [
        sys.executable,
        "-c",
        "from hearsight.cli.main import main; main()",
        "app",
        "--port",
        "0",
        "--no-browser",
    ]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), line
        yield line.split()[0]
    finally:
        process.terminate()
        assert process.wait(30) is not None


@contextmanager
def browser(size: tuple[int, int] = (1400, 1000), dark: bool = False, downloads: str | None = None) -> Iterator[Any]:
    """Context that gives headless Chromium, or skips the test where there is none; narrower than 500 it is a phone."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (pip install selenium)")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no Chromium here (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--window-size={size[0]},{size[1]}",
    ):
        options.add_argument(argument)
    if size[0] < 500:
        metrics = {"deviceMetrics": {"width": size[0], "height": size[1], "pixelRatio": 2.0, "touch": True}}
        options.add_experimental_option("mobileEmulation", metrics)
    if downloads is not None:
        options.add_experimental_option("prefs", {"download.default_directory": downloads})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    if dark:
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    chrome.set_script_timeout(120)
    try:
        yield chrome
    finally:
        chrome.quit()


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The condition's first true value; fails when none comes in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("nothing happened in time")
