"""The page of examples/jwt in headless Chromium: its EventSource is told that the token in its URL is over, and it logs in again and goes on."""

import os
import signal
import subprocess
import time

import pytest

from support.browser import Browser
from support.paths import REPOSITORY, binary
from support.ports import reserve_port

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(120)]


@pytest.fixture
def page(tmp_path):
    """The address of the page, whose tokens are good for two seconds."""
    port, output = reserve_port(), tmp_path / "output"
    with open(output, "wb") as file:
        process = subprocess.Popen(
            [REPOSITORY / "examples" / "jwt" / "run", "--serve"], stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd="/",
            env={**os.environ, "HEARTWIRE_BINARY": str(binary()), "PROXY_PORT": str(port), "BACKEND_PORT": str(reserve_port()), "TOKEN_SECONDS": "2"})
    try:
        deadline = time.monotonic() + 90
        while "a page whose token ends" not in output.read_text():
            assert process.poll() is None and time.monotonic() < deadline, output.read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def test_a_page_is_told_while_it_reads_that_its_token_is_over_and_goes_on_with_a_new_one_without_losing_an_event(page, tmp_path):
    profile = tmp_path / "profile"
    profile.mkdir()
    with Browser(profile) as browser:
        browser.open(page)
        browser.wait_for("window.seen?.told.length >= 2 && seen.logins >= 3", 30)
        behind = browser.evaluate("seen.events.length")
        browser.wait_for(f"seen.events.length > {behind}", 10)
        events, errors = browser.evaluate("seen.events"), browser.page_errors()
    assert not errors, errors
    assert events == [f"tick {number} for ada" for number in range(1, len(events) + 1)]
