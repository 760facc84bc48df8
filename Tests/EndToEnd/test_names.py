"""Servers' names while the DNS server does not answer: a start and a reload wait for all names together, and not for long."""

import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from support.client import get
from support.heartwire import configuration


class NameServer:
    """Answers every name with 127.0.0.1, or does not answer. It listens on this process's own address, port 53."""

    def __init__(self):
        self.address = f"127.53.{os.getpid() // 200 % 200}.{os.getpid() % 200 + 1}"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))
        self.answers, self.asked = True, set()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            query, client = self.socket.recvfrom(2048)
            if not query:
                return
            end = query.index(b"\0", 12)
            kind, = struct.unpack("!H", query[end + 1:end + 3])
            self.asked.add(bytes(query[12:end]))
            if not self.answers:
                continue
            found = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton("127.0.0.1") if kind == 1 else b""
            head = query[:2] + b"\x81\x80" + struct.pack("!HHHH", 1, 1 if found else 0, 0, 0)
            self.socket.sendto(head + query[12:end + 5] + found, client)

    def close(self):
        # The address is free when its thread has stopped reading.
        self.socket.sendto(b"", (self.address, 53))
        self.thread.join()
        self.socket.close()


@pytest.fixture
def names(tmp_path):
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
        pytest.skip("no file can be put in the place of /etc/resolv.conf here")
    try:
        server = NameServer()
    except OSError as problem:
        pytest.skip(f"no DNS server can be had here: {problem}")
    yield server
    server.close()


def start(stage, tmp_path, names, text, options=""):
    """A proxy that asks this DNS server and no other."""
    (tmp_path / "resolv.conf").write_text(f"nameserver {names.address}\n{options}\n")
    return stage.heartwire(
        text=text,
        prefix=["unshare", "--mount", "bash", "-c", f'mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec "$@"', "bash"])


def routes(count, port, word="server") -> str:
    return "".join(
        f"route /{word}-{number} {{\n    upstream {word}-{number}.example:{port}\n    outage refuse\n}}\n" for number in range(count))


def test_a_start_waits_for_all_names_together(stage, tmp_path, names):
    names.answers = False
    origin = stage.origin(lambda connection, request: connection.respond(200, b"whole"))
    begun = time.monotonic()
    proxy = start(
        stage, tmp_path, names, lambda port, folder: configuration(port, folder, [origin.address], pattern="/whole") + routes(30, 9),
        options="options timeout:1 attempts:2")
    seconds = time.monotonic() - begun
    print(f"{seconds:.1f} s for thirty names that nobody knows")
    assert len(names.asked) == 30 and seconds < 9
    said = proxy.stderr()
    assert {int(number) for number in re.findall(r"name server-(\d+)\.example has no address yet", said)} == set(range(30))
    assert get(proxy.port, "/whole").body == b"whole" and get(proxy.port, "/server-3").status == 502


def test_a_reload_waits_for_all_names_together_and_takes_late_answers_when_they_come(stage, tmp_path, names):
    origin = stage.origin(lambda connection, request: connection.respond(200, b"whole"))
    proxy = start(stage, tmp_path, names, lambda port, folder: configuration(port, folder, [], top="resolve_interval 2s")
                  + routes(1, origin.port, "known"))
    assert get(proxy.port, "/known-0").body == b"whole"
    names.answers = False
    path = proxy.folder / "heartwire.conf"
    path.write_text(path.read_text() + routes(30, origin.port))
    begun = time.monotonic()
    proxy.send_signal(signal.SIGHUP)
    # New requests are served during that time, and the operator's next signal does not wait for long.
    while "SIGHUP: done" not in proxy.stderr():
        assert time.monotonic() - begun < 9, proxy.stderr()
        assert get(proxy.port, "/known-0").body == b"whole"
        time.sleep(0.05)
    seconds = time.monotonic() - begun
    print(f"a reload with thirty names that are not answered: {seconds:.1f} s")
    assert seconds > 4
    said = proxy.stderr()
    assert {int(number) for number in re.findall(r"name server-(\d+)\.example could not be looked up within 5 s", said)} == set(range(30))
    assert "known-0" not in said.split("SIGHUP")[1]
    assert get(proxy.port, "/server-7").status == 502
    names.answers = True
    deadline = time.monotonic() + 15
    while get(proxy.port, "/server-7").status != 200:
        assert time.monotonic() < deadline, "the answer that came late was lost"
        time.sleep(0.1)
