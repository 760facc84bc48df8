"""Real programs in front of Heartwire and behind it, with the configurations of conf/hops.md.

The configurations and the log lines are read from the page, so these tests prove what it says.
"""

import queue
import re
import socket
import subprocess
import threading
import time

import pytest

from support.client import Client
from support.hops import PAGE, PROGRAMS, Hop, log_line
from support.origin import Left
from support.paths import binary

# The hop's own timeout, shortened to 2 s: words of the page's configuration, and their replacements.
SHORT_IN_FRONT = {
    "nginx": {"proxy_read_timeout 60s": "proxy_read_timeout 2s"},
    "HAProxy": {"timeout server 50s": "timeout server 2s"},
    "Caddy": {"reverse_proxy 127.0.0.1:8080": "reverse_proxy 127.0.0.1:8080 {\ntransport http {\nread_timeout 2s\n}\n}"},
    "Apache httpd": {"ProxyTimeout 60": "ProxyTimeout 2"},
    "Varnish": {".between_bytes_timeout = 60s": ".between_bytes_timeout = 2s"},
}
SHORT_BEHIND = {
    "nginx": {"proxy_read_timeout 1h": "proxy_read_timeout 2s"},
    "HAProxy": {"timeout server 1h": "timeout server 2s"},
    "Caddy": {"trusted_proxies": "transport http {\nread_timeout 2s\n}\ntrusted_proxies"},
    "Apache httpd": {"ProxyTimeout 3600": "ProxyTimeout 2"},
    "Varnish": {".between_bytes_timeout = 1h": ".between_bytes_timeout = 2s"},
}
# What the hop's own log says then.
WORDS_OF_THE_HOP = {
    "nginx": "upstream timed out (110: Connection timed out) while reading upstream",
    "Caddy": "aborting with incomplete response",
    "Apache httpd": "AH01110: error reading response",
}
SHORT_PIPE = {"Varnish": ["-p", "pipe_timeout=2"]}


class Server:
    """An event-stream server that sends one event and then what the test wants, and records when its client left."""

    def __init__(self, head=None):
        self.head, self.left, self._words = head, threading.Event(), queue.Queue()
        self.sent_at = self.left_at = None

    def say(self, words: str):
        self._words.put(words)

    def finish(self):
        """Ends the response in good order, by its framing."""
        self._words.put(None)

    def break_off(self):
        """Closes the connection in the middle of the response."""
        self._words.put(False)

    def __call__(self, connection, request):
        def send(data):
            connection.send(data) if self.head else connection.chunk(data)
            self.sent_at = time.monotonic()
        try:
            connection.send(self.head) if self.head else connection.start_stream()
            send(b"data: one\n\n")
            while True:
                try:
                    connection.receive_once(0.02)
                except socket.timeout:
                    pass
                if not self._words.empty():
                    words = self._words.get()
                    if words is False or (words is None and self.head):
                        return connection.close()
                    if words is None:
                        return connection.last_chunk()
                    send(f"data: {words}\n\n".encode())
        except Left:
            self.left_at = time.monotonic()
            self.left.set()


@pytest.fixture
def hops(stage):
    """Starts hops; ends them with the test."""
    started = []

    def start(program, place, target, change=None, **more):
        started.append(Hop(program, place, target, stage.new_folder(), change, **more))
        return started[-1]
    yield start
    for hop in started:
        hop.close()


@pytest.fixture
def in_front(stage, hops):
    """client → hop → Heartwire → server: the proxy, and the hop to which the client connects."""
    def start(program, server, change=None, heartbeat="off", **more):
        proxy = stage.heartwire(stage.origin(server), heartbeat=heartbeat, opening="off", top="trusted_proxies 127.0.0.1")
        return proxy, hops(program, "in front", proxy.port, change, **more)
    return start


@pytest.fixture
def behind(stage, hops):
    """client → Heartwire → hop → server: the proxy to which the client connects."""
    def start(program, server, change=None, heartbeat="500ms", **more):
        hop = hops(program, "behind", stage.origin(server).port, change, **more)
        return stage.heartwire(f"127.0.0.1:{hop.port}", heartbeat=heartbeat, opening="off", top="trusted_proxies 127.0.0.9")
    return start


def check_line(record: dict, program: str, place: str):
    """A stream's end has the keys and values that the page shows, and about the page's silence, scaled to 2 s."""
    shown = log_line(program, place)
    seconds = float(re.search(r"(?m)^\| %s \|[^|]*\|[^|]*?(\d+) s\b" % re.escape(program), PAGE.read_text())[1])
    for key, value in shown.items():
        if key.endswith("_ms"):
            assert value / 1000 == pytest.approx(seconds, rel=0.05), f"{key} of the page is no {seconds} s"
            # nginx rounds its timers by up to 0.3 s and may be early by that much; Varnish is up to a second late.
            assert 1650 <= record[key] <= 6000, f"{key} is {record[key]}, not about 2,000"
        else:
            assert record.get(key) == value, f"{key} is {record.get(key)!r}, and the page says {value!r}: {record}"


@pytest.mark.parametrize("program", PROGRAMS)
def test_in_front_heartbeats_carry_an_idle_stream_past_the_hops_timeout(in_front, program):
    server = Server()
    proxy, hop = in_front(program, server, SHORT_IN_FRONT[program], heartbeat="500ms")
    with Client(hop.port, source="127.0.0.9") as client:
        response, body = client.open_stream("/events")
        assert response.value("content-type").startswith(b"text/event-stream")
        body.wait_for(b"data: one\n\n")
        body.collect(3.5)
        assert not body.ended, f"{program} cut the stream in spite of heartbeats: {hop.said()}"
        server.say("two")
        body.wait_for(b"data: two\n\n")
    # The second heartbeat at the latest finds out that a client left, whatever the hop watches.
    record = proxy.stream_log.ending("/events")
    assert record["cause"] in ("client_closed", "client_reset") and record["heartbeats"] >= 3
    assert server.left.wait(5)
    assert proxy.stream_log.opening("/events")["client_forwarded"] == "127.0.0.9"


@pytest.mark.parametrize("program", PROGRAMS)
def test_in_front_the_first_event_comes_at_once_and_silence_is_cut_as_the_page_says(in_front, program):
    server = Server()
    proxy, hop = in_front(program, server, SHORT_IN_FRONT[program])
    with Client(hop.port) as client:
        _, body = client.open_stream("/events")
        body.wait_for(b"data: one\n\n")
        body.read_to_end(10)
        assert time.monotonic() - body.pieces[0][0] > 1.2, "the event came with the end only"
        # Only Caddy makes a proper end of it.
        assert body.complete == (program == "Caddy")
    check_line(proxy.stream_log.ending("/events"), program, "in front")
    assert server.left.wait(5)
    if words := WORDS_OF_THE_HOP.get(program):
        assert words in " ".join(PAGE.read_text().split()) and words in hop.said()
    assert "WARNING" not in hop.said(), hop.said()


@pytest.mark.parametrize("program, change, notices", [
    ("nginx", {}, True), ("HAProxy", {}, True), ("Caddy", {}, True), ("Apache httpd", {}, False), ("Varnish", {}, False),
    ("HAProxy", {"option abortonclose": ""}, False), ("Varnish", {"return (pass)": "return (pipe)"}, True),
])
def test_in_front_some_hops_tell_of_a_client_that_left_and_others_only_when_something_is_written(in_front, program, change, notices):
    server = Server()
    proxy, hop = in_front(program, server, change)
    with Client(hop.port) as client:
        _, body = client.open_stream("/events")
        body.wait_for(b"data: one\n\n")
    if notices:
        assert server.left.wait(5), f"{program} did not tell"
    else:
        assert not server.left.wait(1.5), f"{program} told by itself: the page says that it does not"
        say_until_left(server)


@pytest.mark.parametrize("program", PROGRAMS)
def test_behind_events_come_at_once_and_the_server_learns_that_its_client_left(behind, stage, program):
    server = Server()
    proxy = behind(program, server)
    with Client(proxy.port, source="127.0.0.9") as client:
        client.get("/events", "Accept: text/event-stream\r\nX-Forwarded-For: 192.0.2.7\r\n")
        response = client.read_head()
        body = client.body(response)
        body.wait_for(b"data: one\n\n")
        server.say("two")
        body.wait_for(b"data: two\n\n")
    assert proxy.stream_log.ending("/events")["cause"] == "client_closed"
    request = stage.origins[0].requests[0]
    assert request.value("host") == b"test.example" and request.value("x-forwarded-host") == b"test.example"
    assert request.value("x-forwarded-for").startswith(b"192.0.2.7, 127.0.0.9")
    if program == "Apache httpd":
        assert not server.left.wait(1.5), "Apache noticed by itself: the page says that it does not"
        say_until_left(server)
    else:
        assert server.left.wait(5), f"{program} keeps the server's stream whose client left"


def say_until_left(server, most=4):
    """A server that writes to a client that is gone learns so from the second or third write."""
    for _ in range(most):
        server.say("are you there")
        if server.left.wait(0.5):
            return
    raise AssertionError(f"not noticed by {most} events")


@pytest.mark.parametrize("program, change", [
    ("nginx", {"proxy_buffering off": "proxy_ignore_client_abort on"}),
    ("HAProxy", {"option abortonclose": ""}),
    ("HAProxy", {"option abortonclose": "", "backend servers": "backend servers\n    option abortonclose"}),
    ("Varnish", {"return (pipe)": "return (pass)"}),
])
def test_behind_without_what_the_page_sets_a_dead_stream_lives_until_the_server_speaks(behind, program, change):
    server = Server()
    proxy = behind(program, server, change)
    with Client(proxy.port) as client:
        _, body = client.open_stream("/events")
        body.wait_for(b"data: one\n\n")
    proxy.stream_log.ending("/events")
    assert not server.left.wait(1.5), f"{program} noticed by itself: the page says that it does not"
    say_until_left(server)


@pytest.mark.parametrize("program, change", [
    ("HAProxy", {"option abortonclose": ""}),
    ("Apache httpd", {}),
    ("Varnish", {"return (pipe)": "return (pass)"}),
])
def test_behind_a_dead_stream_ends_at_the_latest_with_the_hops_timeout(behind, program, change):
    server = Server()
    proxy = behind(program, server, {**SHORT_BEHIND[program], **change})
    with Client(proxy.port) as client:
        _, body = client.open_stream("/events")
        body.wait_for(b"data: one\n\n")
    assert server.left.wait(8)
    assert server.left_at - server.sent_at > 1.5, "it noticed before its timeout"


@pytest.mark.parametrize("program", PROGRAMS)
def test_behind_heartbeats_do_nothing_for_the_hops_timeout_and_the_log_says_what_the_page_says(behind, program):
    server = Server()
    proxy = behind(program, server, SHORT_BEHIND[program], arguments=SHORT_PIPE.get(program, ()))
    with Client(proxy.port) as client:
        _, body = client.open_stream("/events")
        body.wait_for(b"data: one\n\n")
        body.read_to_end(10)
    record = proxy.stream_log.ending("/events")
    check_line(record, program, "behind")
    assert record["heartbeats"] >= 2
    assert server.left.wait(5)


def test_varnish_behind_measures_the_silence_of_a_stream_that_is_not_piped_by_its_other_timeout(behind):
    server = Server()
    proxy = behind("Varnish", server, {**SHORT_BEHIND["Varnish"], "return (pipe)": "return (pass)"})
    with Client(proxy.port) as client:
        _, body = client.open_stream("/events")
        body.wait_for(b"data: one\n\n")
        body.read_to_end(10)
    check_line(proxy.stream_log.ending("/events"), "Varnish", "behind")


def test_the_page_has_a_row_for_each_hop_that_says_what_its_lines_say():
    for program in PROGRAMS:
        rows = re.findall(rf"(?m)^\| {re.escape(program)} \|.*$", PAGE.read_text())
        assert len(rows) == 1
        causes = [cell.strip(" `") for cell in rows[0].split("|")[4:6]]
        assert causes == [log_line(program, place)["cause"] for place in ("in front", "behind")]


def test_the_pages_own_configuration_is_one(tmp_path):
    text = re.search(r"(?ms)^```heartwire\n(.*?)^```$", PAGE.read_text())[1]
    (tmp_path / "heartwire.conf").write_text(text)
    check = subprocess.run([binary(), "check", "--config", tmp_path / "heartwire.conf"], capture_output=True, text=True, timeout=20)
    assert check.returncode == 0, check.stderr
