"""The page of examples/assistant in headless Chromium: its EventSource reads one answer over a network that breaks, each token once."""

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.request

import pytest

from support.browser import Browser
from support.paths import REPOSITORY, binary
from support.ports import reserve_port

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(150)]
SEEN = "JSON.parse(JSON.stringify(window.seen))"


@pytest.fixture
def example(tmp_path):
    """The example's process and its ports: of the page with and without Heartwire, of Heartwire, and of the backend."""
    ports = {name: reserve_port() for name in ("PORT", "PLAIN_PORT", "PROXY_PORT", "BACKEND_PORT")}
    output = tmp_path / "output"
    with open(output, "wb") as file:
        process = subprocess.Popen(
            [REPOSITORY / "examples" / "assistant" / "run", "--serve"],
            stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd="/",
            env={**os.environ, "HEARTWIRE_BINARY": str(binary()), "TOKENS_PER_SECOND": "60",
                 **{name: str(port) for name, port in ports.items()}})
    try:
        deadline = time.monotonic() + 90
        while "an answer through Heartwire" not in output.read_text():
            assert process.poll() is None and time.monotonic() < deadline, output.read_text()
            time.sleep(0.05)
        yield process, ports
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def answers(ports) -> list:
    """What the model has said."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{ports['BACKEND_PORT']}/answers", timeout=10) as response:
        return json.load(response)


def profile(folder):
    (folder / "profile").mkdir()
    return folder / "profile"


def test_an_eventsource_reads_one_whole_answer_with_heartwire_and_beginnings_of_several_without(example, tmp_path):
    _, ports = example
    with Browser(profile(tmp_path)) as browser:
        browser.open(f"http://127.0.0.1:{ports['PORT']}/")
        browser.wait_for("window.seen?.state == 'done'", 60)
        seen, said = browser.evaluate(SEEN), answers(ports)
        shown = browser.evaluate("document.querySelector('#answer').innerText")
        assert len(said) == 1 and said[0]["is_whole"], said
        assert (seen["text"], seen["tokens"]) == (said[0]["text"], said[0]["tokens"])
        assert seen["breaks"] >= 2 and seen["connections"] == seen["breaks"] + 1 and not seen["gaps"], seen
        assert shown.count("✂") == seen["breaks"] and shown.replace("✂", "") == seen["text"]

        browser.open(f"http://127.0.0.1:{ports['PLAIN_PORT']}/")
        browser.wait_for("window.seen?.connections >= 2 && seen.tokens > 0", 30)
        assert len(answers(ports)) >= 3
        errors = browser.page_errors()
    assert not errors, errors


@contextlib.contextmanager
def restarted(process, ports):
    """Kills the example's Heartwire, and runs another one in its place."""
    children = subprocess.run(["ps", "--ppid", str(process.pid), "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    [killed] = [int(line.split()[0]) for line in children.splitlines() if " run --config " in line]
    os.kill(killed, signal.SIGKILL)
    with subprocess.Popen(
            [binary(), "run", "--config", REPOSITORY / "examples" / "assistant" / "heartwire.conf"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={"LISTEN": f"127.0.0.1:{ports['PROXY_PORT']}", "BACKEND": f"127.0.0.1:{ports['BACKEND_PORT']}"}) as successor:
        try:
            yield
        finally:
            successor.kill()


def test_a_page_whose_proxy_was_restarted_is_told_that_another_answer_follows(example, tmp_path):
    process, ports = example
    with Browser(profile(tmp_path)) as browser:
        browser.open(f"http://127.0.0.1:{ports['PORT']}/")
        browser.wait_for("window.seen?.tokens >= 10", 30)
        with restarted(process, ports):
            browser.wait_for("seen.state == 'done'", 60)
        seen, said, errors = browser.evaluate(SEEN), answers(ports), browser.page_errors()
    assert not errors, errors
    assert [json.loads(gap) for gap in seen["gaps"]] == [{"reason": "unknown", "certain": False, "missed": None}]
    assert len(said) == 2 and seen["text"] == said[1]["text"]
