"""Headless Chromium on the page of `heartwire demo`: silence ends the left stream, and the right one lives."""

import collections
import contextlib
import itertools
import os
import pathlib
import re
import socket
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


def introduction(demo) -> str:
    """What the demo says at its start."""
    deadline = time.monotonic() + 10
    while "/events-open" not in (said := demo.stdout() + demo.stderr()):
        assert time.monotonic() < deadline, said
        time.sleep(0.05)
    return said


def test_the_demo_shows_a_stream_that_survives_the_silence_that_kills_the_other(demo, tmp_path):
    with Browser(tmp_path) as browser:
        browser.open(f"http://127.0.0.1:{demo.port}/")
        browser.wait_for("!!window.heartwireDemo && window.heartwireDemo.through.length >= 1", 20)
        # Through at least two silences that cut the direct stream, and events after them on the right.
        browser.wait_for("window.heartwireDemo.cuts >= 2", 60)
        # The third stream is cut on both sides twice, and its browser comes back twice.
        browser.wait_for("heartwireDemo.cutsKept >= 2 && heartwireDemo.cutsBehind >= 2 && heartwireDemo.openedKept >= 3 && heartwireDemo.lateKept >= 2", 60)
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
    assert in_order_without_gap(state["kept"]) and state["lostKept"] == 0, f"events lost or out of order: {state['kept']}"
    assert state["gapsKept"] >= 2, "the page was not told that the server's stream was over"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_of_eight_streams_in_one_page_two_hang_over_http1_and_all_live_over_http2(demo, tmp_path, scheme):
    secured = re.search(r"https://127\.0\.0\.1:(\d+)/eight", introduction(demo))[1]
    report = "JSON.parse(JSON.stringify(window.heartwireEight))"
    with Browser(tmp_path, "--ignore-certificate-errors") as browser:
        browser.open(f"{scheme}://127.0.0.1:{secured if scheme == 'https' else demo.port}/eight")
        browser.wait_for("window.heartwireEight?.plain?.hanging == 2 && window.heartwireEight.secured.open == 8", 20)
        # Longer than the load balancer allows: the eighth stream sends an event each 5.3 s only.
        browser.wait_for("window.heartwireEight.secured.events >= 60", 40)
        state = browser.evaluate(report)
        assert (state["plain"]["open"], state["plain"]["hanging"], state["plain"]["connections"], state["plain"]["versions"]) == (6, 2, 6, ["1.1"])
        assert (state["secured"]["open"], state["secured"]["hanging"], state["secured"]["connections"], state["secured"]["versions"]) == (8, 0, 1, ["2"])
        if picture := os.environ.get("HEARTWIRE_SCREENSHOT"):
            browser.screenshot(pathlib.Path(picture).with_suffix(f".eight-{scheme}.png"))
        # A stream that is closed lets one in that waited.
        browser.evaluate("document.querySelector('#plain .streams button').click()")
        browser.wait_for("window.heartwireEight.plain.open == 6 && window.heartwireEight.plain.hanging == 1", 20)
        errors = browser.page_errors()
    assert not errors, errors


def test_a_browser_that_does_not_know_the_demos_certificate_is_told_what_to_do(demo, tmp_path):
    with Browser(tmp_path) as browser:
        browser.open(f"http://127.0.0.1:{demo.port}/eight")
        browser.wait_for("window.heartwireEight?.secured?.reachable === false && window.heartwireEight.plain.open == 6", 20)
        link = browser.evaluate("document.querySelector('#secured-say a').href")
        assert link in introduction(demo), "the link is the address that the demo says"


def test_the_demo_leaves_no_file_behind(demo, tmp_path):
    """Its certificate and key are files without a name."""
    opened = [os.readlink(link) for link in pathlib.Path(f"/proc/{demo.process.pid}/fd").iterdir()]
    assert sum(target.startswith("/memfd:") for target in opened) == 2
    assert not [target for target in opened if target.startswith("/") and not target.startswith(("/memfd:", "/dev/", str(demo.folder)))], opened


def test_the_streams_of_the_demo_can_be_tried_with_curl_as_it_says(demo):
    """The lines that `heartwire demo` prints name addresses that answer."""
    said = introduction(demo)
    assert f"http://127.0.0.1:{demo.port}" in said, f"the demo does not say what to open:\n{said}"
    lines = re.findall(r"curl [^\n]*", said)
    assert len(lines) == 3, f"the demo prints other curl lines:\n{said}"
    versions = []
    for line in lines:
        line = line.replace("curl", "curl --noproxy '*' -sS --max-time 4 -w '\nversion %{http_version}'", 1)
        result = subprocess.run(line, shell=True, capture_output=True, timeout=20)
        assert b"data:" in result.stdout, f"{line}\n{result.stdout!r} {result.stderr!r}"
        versions.append(result.stdout.rsplit(b"version ", 1)[1])
    assert versions == [b"1.1", b"2", b"1.1"], versions


PAGE = b"""<!doctype html><title>outage</title><script>
window.seen = {};
window.sources = {};
for (const [name, address] of [["held", "/held"], ["refused", "/refused"], ["foreign", `http://localhost:${location.port}/held/foreign`]]) {
    seen[name] = [];
    sources[name] = new EventSource(address);
    sources[name].onmessage = event => seen[name].push(event.data);
}
</script>"""


def test_an_eventsource_survives_an_outage_that_kills_one_without_the_proxys_help(stage, tmp_path):
    numbers = itertools.count(1)
    comes_with = collections.defaultdict(list)

    def server(connection, request):
        if request.target == b"/page":
            return connection.respond(200, PAGE, [("Content-Type", "text/html")])
        comes_with[request.target].append(request.value("last-event-id"))
        # Connections have a thread each: a number that is counted and read in two steps could be that of another one.
        number = next(numbers)
        connection.start_stream([("Access-Control-Allow-Origin", "*")])
        connection.chunk(b"retry: 300\nid: %d\ndata: %d\n\n" % (number, number))
        connection.wait_until_left(60)
    origin = stage.origin(server)
    proxy = stage.heartwire(
        origin, heartbeat="500ms", opening="on", upstream="failure_cooldown 200ms", outage="retry 20s",
        extra="route /refused {\n    upstream origin\n    outage refuse\n}\n")
    with Browser(tmp_path) as browser:
        browser.open(f"http://127.0.0.1:{proxy.port}/page")
        browser.wait_for("!!window.seen && Object.values(seen).every(events => events.length == 1)", 20)
        before = browser.evaluate("JSON.parse(JSON.stringify(seen))")
        origin.stop_listening()
        for connection in list(origin.connections):
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
        browser.wait_for("sources.refused.readyState == EventSource.CLOSED", 20)
        browser.wait_for("sources.held.readyState == EventSource.OPEN && sources.foreign.readyState == EventSource.OPEN", 20)
        time.sleep(1)
        assert browser.evaluate("seen.held.length") == 1 and browser.evaluate("sources.held.readyState") == 1
        origin.listen_again()
        browser.wait_for("seen.held.length == 2 && seen.foreign.length == 2", 30)
        assert browser.evaluate("sources.refused.readyState") == 2 and browser.evaluate("seen.refused.length") == 1
        errors = browser.page_errors()
    assert not errors, errors
    # A held client keeps its id. (For the foreign one, the proxy and then the browser ask the server again.)
    for name, target in (("held", b"/held"), ("foreign", b"/held/foreign")):
        first, *later = comes_with[target]
        assert first is None and later and set(later) == {before[name][0].encode()}, f"{target}: {comes_with[target]}, seen {before}"
    proxy.stream_log.wait_for(lambda r: r["event"] == "stream_end" and r["path"] == "/held/foreign" and r["cause"] == "sent_back")
