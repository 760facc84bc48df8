"""The page of examples/tickets in headless Chromium: a login, an EventSource that outlives its token, and a logout."""

import os
import pathlib
import signal
import subprocess
import time

import pytest

from support.browser import Browser
from support.paths import REPOSITORY, binary
from support.ports import reserve_port

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180)]
SEEN = "JSON.parse(JSON.stringify(window.seen))"


@pytest.fixture
def example(tmp_path):
    """The example, until it says that the page can be opened."""
    port, output = reserve_port(), tmp_path / "output"
    with open(output, "wb") as file:
        process = subprocess.Popen(
            [REPOSITORY / "examples" / "tickets" / "run"], stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd="/", start_new_session=True,
            env={**os.environ, "HEARTWIRE_BINARY": str(binary()), "PROXY_PORT": str(port), "BACKEND_PORT": str(reserve_port()), "TOKEN_SECONDS": "6"})
    try:
        deadline = time.monotonic() + 90
        while "a page whose tokens end" not in output.read_text():
            assert process.poll() is None and time.monotonic() < deadline, output.read_text()
            time.sleep(0.1)
        yield port, output
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(20)


def test_one_eventsource_lives_through_two_tokens_and_ends_with_the_logout(example, tmp_path):
    port, _ = example
    profile = tmp_path / "profile"
    profile.mkdir()
    with Browser(profile) as browser:
        browser.open(f"http://localhost:{port}/")
        browser.wait_for("window.seen?.ids.length >= 2", 20)
        assert browser.evaluate("document.cookie") == ""
        # Two ends of tokens: each time the page asks for a ticket, and the same EventSource goes on.
        browser.wait_for("seen.told.length >= 2 && seen.opened >= 3 && seen.tickets >= 3", 60)
        behind = browser.evaluate("seen.ids.length")
        browser.wait_for(f"seen.ids.length >= {behind + 2}", 20)
        state = browser.evaluate(SEEN)
        if picture := os.environ.get("HEARTWIRE_SCREENSHOT"):
            browser.screenshot(pathlib.Path(picture))
        browser.evaluate("document.querySelector('#logout').click()")
        browser.wait_for("seen.state == 'refused'", 20)
        ended = browser.evaluate("seen.ids.length")
        time.sleep(2.5)
        assert browser.evaluate("seen.ids.length") == ended
        if picture := os.environ.get("HEARTWIRE_SCREENSHOT"):
            browser.screenshot(pathlib.Path(picture).with_suffix(".logout.png"))
        errors = browser.page_errors()
    assert not errors, errors
    assert state["ids"] == list(range(1, len(state["ids"]) + 1)), f"an event is lost or came twice: {state['ids']}"
