"""Headless Chromium on the page of `heartwire demo`: the left stream dies of silence, the right one lives."""

import os
import pathlib
import re
import subprocess
import time

import pytest

from support.browser import Browser
from support.ports import reserve_port

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180)]


def identifiers(values) -> list:
    return [int(value) for value in values]


def in_order_without_gap(values) -> bool:
    numbers = identifiers(values)
    return numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else False


@pytest.fixture(scope="module")
def demo(shared_stage):
    port = reserve_port()
    return shared_stage.command(["demo", "--listen", f"127.0.0.1:{port}"], port)


def test_the_demo_shows_a_stream_that_survives_the_silence_that_kills_the_other(demo, tmp_path):
    with Browser(tmp_path) as browser:
        browser.open(f"http://127.0.0.1:{demo.port}/")
        browser.wait_for("!!window.heartwireDemo && window.heartwireDemo.through.length >= 1", 20)
        # Through at least two silences that cut the direct stream, and events behind them on the right.
        browser.wait_for("window.heartwireDemo.cuts >= 2", 60)
        behind = browser.evaluate("window.heartwireDemo.through.length")
        browser.wait_for(f"window.heartwireDemo.through.length >= {behind + 3}", 60)
        state = browser.evaluate("JSON.parse(JSON.stringify(window.heartwireDemo))")
        if picture := os.environ.get("HEARTWIRE_SCREENSHOT"):
            browser.screenshot(pathlib.Path(picture))
        errors = browser.page_errors()
    assert not errors, errors
    assert in_order_without_gap(state["through"]), f"events lost or out of order: {state['through']}"
    assert state["cuts"] >= 2, "the hop never cut the direct stream"
    assert state["heartbeats"] >= 1, "no heartbeat was seen on the right"


def test_the_streams_of_the_demo_can_be_tried_with_curl_as_it_says(demo):
    """The lines that `heartwire demo` prints name addresses that answer."""
    deadline = time.monotonic() + 10
    while "http://" not in demo.stdout() + demo.stderr() and time.monotonic() < deadline:
        time.sleep(0.05)
    said = demo.stdout() + demo.stderr()
    assert f"http://127.0.0.1:{demo.port}" in said, f"the demo does not say what to open:\n{said}"
    line = re.search(r"curl [^\n]*", said)
    assert line, f"the demo prints no curl line:\n{said}"
    result = subprocess.run(line[0].replace("curl", "curl --noproxy '*' -sS --max-time 4", 1), shell=True, capture_output=True, timeout=20)
    assert b"data:" in result.stdout, f"{line[0]}\n{result.stdout!r} {result.stderr!r}"
