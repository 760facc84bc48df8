"""`heartwire diagnose` on logs that Heartwire itself wrote while real programs cut its streams: the cause is known, and has to be said.

The people and the backend are the programs of examples/diagnose.
"""

import json
import random
import signal
import subprocess
import sys
import time

import pytest

from support import namespaces, planted
from support.client import Client
from support.hops import Hop
from support.origin import Left
from support.paths import REPOSITORY, binary
from support.ports import reserve_port

EXAMPLE = REPOSITORY / "examples" / "diagnose"
LIMIT = 3
pytestmark = pytest.mark.timeout(180)

IN_FRONT = {"nginx": {"proxy_read_timeout 60s": f"proxy_read_timeout {LIMIT}s"}, "HAProxy": {"timeout server 50s": f"timeout server {LIMIT}s"}}
BEHIND = {"nginx": {"proxy_read_timeout 1h": f"proxy_read_timeout {LIMIT}s"}, "HAProxy": {"timeout server 1h": f"timeout server {LIMIT}s"}}


class Backend:
    """examples/diagnose/backend.py as a process that can be killed and started again on its port."""

    def __init__(self, *arguments):
        self.port, self.arguments = reserve_port(), list(map(str, arguments))
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, EXAMPLE / "backend.py", str(self.port), *self.arguments])
        deadline = time.monotonic() + 10
        while True:
            try:
                Client(self.port, timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "the backend does not listen"
                time.sleep(0.02)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self):
        self.kill()
        self.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


@pytest.fixture
def backends():
    started = []

    def start(*arguments):
        started.append(Backend(*arguments))
        return started[-1]
    yield start
    for backend in started:
        backend.kill()


@pytest.fixture
def hop():
    started = []

    def start(*arguments):
        started.append(Hop(*arguments))
        return started[-1]
    yield start
    for one in started:
        one.close()


def people(port, seconds=22, count=40, stay=40, **options):
    """Starts people who read streams for so long."""
    arguments = {"people": count, "seconds": seconds, "stay": stay, **options}
    return subprocess.Popen(
        [sys.executable, EXAMPLE / "clients.py", str(port), *(str(part) for key, value in arguments.items() for part in (f"--{key}", value))])


def diagnosed(proxy, *more) -> list:
    """The findings of the proxy's logs once all its streams are over, in words that a failure shows."""
    proxy.stop()
    logs = [str(log.path) for log in (proxy.stream_log, proxy.access_log, *more) if log.path.exists()]
    result = subprocess.run([binary(), "diagnose", "--json", *logs], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    findings = json.loads(result.stdout)["findings"]
    for finding in findings:
        print({key: finding.get(key) for key in ("kind", "side", "seconds", "streams", "confidence", "evidence")})
    return findings


def claims(findings) -> list:
    return [(finding["kind"], finding["side"], finding["seconds"] and round(finding["seconds"]))
            for finding in findings if finding["confidence"] >= 0.5]


@pytest.mark.parametrize("program", ["nginx", "HAProxy"])
def test_an_idle_timeout_of_a_real_hop_in_front(stage, backends, hop, program):
    proxy = stage.heartwire(backends("--pause", 1.5).address, top="trusted_proxies 127.0.0.1")
    front = hop(program, "in front", proxy.port, stage.new_folder(), IN_FRONT[program])
    assert people(front.port).wait() == 0
    assert claims(diagnosed(proxy)) == [("idle_timeout", "client", LIMIT)]


@pytest.mark.parametrize("program", ["nginx", "HAProxy"])
def test_an_idle_timeout_of_a_real_hop_behind_which_heartbeats_do_not_prevent(stage, backends, hop, program):
    behind = hop(program, "behind", backends("--pause", 1.5).port, stage.new_folder(), BEHIND[program])
    proxy = stage.heartwire(f"127.0.0.1:{behind.port}", heartbeat="1s")
    assert people(proxy.port).wait() == 0
    assert claims(diagnosed(proxy)) == [("idle_timeout", "upstream", LIMIT)]


def test_a_server_with_a_limit_on_a_streams_whole_life(stage, backends):
    proxy = stage.heartwire(backends("--pause", 1, "--limit", LIMIT).address, heartbeat="1s")
    assert people(proxy.port).wait() == 0
    assert claims(diagnosed(proxy)) == [("absolute_timeout", "upstream", LIMIT)]


def test_heartbeats_carry_everybody_past_a_hop_and_then_nobody_is_accused(stage, backends, hop):
    proxy = stage.heartwire(backends("--pause", 1.5).address, heartbeat="1s", top="trusted_proxies 127.0.0.1")
    front = hop("nginx", "in front", proxy.port, stage.new_folder(), IN_FRONT["nginx"])
    assert people(front.port, stay=8).wait() == 0
    assert claims(diagnosed(proxy)) == []


def test_a_backend_that_is_killed(stage, backends):
    backend = backends("--pause", 1)
    proxy = stage.heartwire(backend.address, heartbeat="1s")
    crowd = people(proxy.port, seconds=36, stay=60)
    time.sleep(16)
    backend.restart()
    assert crowd.wait() == 0
    assert claims(diagnosed(proxy)) == [("server_restart", "upstream", None)]


def test_a_rolling_restart_of_two_backends(stage, backends):
    both = [backends("--pause", 1) for _ in range(2)]
    proxy = stage.heartwire(*(backend.address for backend in both), heartbeat="1s")
    crowd = people(proxy.port, seconds=32, count=60, stay=80)
    time.sleep(13)
    both[0].restart()
    time.sleep(8)
    both[1].restart()
    assert crowd.wait() == 0
    assert claims(diagnosed(proxy)) == [("deployment", "upstream", None)]


def test_a_stale_token_that_clients_come_back_with(stage):
    def handler(connection, request):
        connection.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    proxy = stage.heartwire(stage.origin(handler), route="bearer_from query access_token")
    tokens = [planted.plant() for _ in range(2)]
    for _ in range(6):
        for token in tokens:
            with Client(proxy.port) as client:
                client.get(f"/events?access_token={token}", "Accept: text/event-stream\r\n")
                assert client.read_response().status == 401
        time.sleep(0.3)
    assert claims(diagnosed(proxy)) == [("stale_token", "client", None)]


def test_clients_that_read_too_slowly(stage):
    def handler(connection, request):
        connection.start_stream()
        try:
            while True:
                connection.chunk(b"data: " + b"x" * 65000 + b"\n\n")
                if b"/quick" in request.target:
                    time.sleep(0.2)
        except Left:
            pass
    proxy = stage.heartwire(stage.origin(handler), timeouts="client_stall 1s")
    slow = [Client(proxy.port, receive_buffer=4096) for _ in range(6)]
    for client in slow:
        client.get("/slow", "Accept: text/event-stream\r\n")
    for number in range(8):
        with Client(proxy.port) as client:
            _, body = client.open_stream(f"/quick{number}")
            body.collect(random.uniform(0.2, 1))
    proxy.stream_log.wait_for(lambda r: r.get("cause") == "client_stalled", 60, count=4)
    for client in slow:
        client.close()
    assert claims(diagnosed(proxy)) == [("slow_reader", "client", None)]


WATCHERS = """
import socket, sys, time
clients = []
for number in range(int(sys.argv[3])):
    client = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    client.sendall(b"GET /watch%d HTTP/1.1\\r\\nHost: a\\r\\nAccept: text/event-stream\\r\\n\\r\\n" % number)
    clients.append(client)
    time.sleep(0.3)
print("there", flush=True)
time.sleep(1000)
"""


@pytest.mark.skipif(namespaces.why_not() is not None, reason=f"nobody can be made to vanish here: {namespaces.why_not()}")
def test_clients_that_vanish_without_a_word(stage, backends):
    with namespaces.Namespace() as space:
        proxy = stage.heartwire(backends("--pause", 0.4).address, host=space.outside, heartbeat="300ms", timeouts="client_stall 3s")
        watchers = space.popen([sys.executable, "-c", WATCHERS, space.outside, str(proxy.port), "12"], stdout=subprocess.PIPE)
        try:
            assert watchers.stdout.readline() == b"there\n"
            space.cut()
            proxy.stream_log.wait_for(lambda r: r.get("cause") == "client_vanished", 60, count=12)
        finally:
            watchers.kill()
            watchers.wait()
    assert claims(diagnosed(proxy)) == [("mobile_sleep", "client", None)]
