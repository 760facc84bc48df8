"""Thousands of idle streams: all of them get their heartbeats, and each costs the proxy less than a kibibyte."""

import os
import resource
import select
import socket
import threading
import time

import pytest

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180)]

# Four descriptors a stream: two in this process, two in the proxy.
STREAMS = int(os.environ.get("HEARTWIRE_IDLE_STREAMS", "3000"))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n"


class SilentOrigin:
    """One thread, one epoll: answers every request with one event and is then silent."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.listener.setblocking(False)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.peers, self.left, self._stop = {}, 0, False
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        poll = select.epoll()
        poll.register(self.listener, select.EPOLLIN)
        while not self._stop:
            for number, _ in poll.poll(0.2):
                if number == self.listener.fileno():
                    self._accept(poll)
                    continue
                peer = self.peers[number]
                try:
                    data = peer.recv(65536)
                except BlockingIOError:
                    continue
                except ConnectionError:
                    data = b""
                if data:
                    peer.send(HEAD)
                else:
                    poll.unregister(number)
                    self.peers.pop(number).close()
                    self.left += 1
        poll.close()

    def _accept(self, poll):
        while True:
            try:
                peer, _ = self.listener.accept()
            except BlockingIOError:
                return
            peer.setblocking(False)
            self.peers[peer.fileno()] = peer
            poll.register(peer, select.EPOLLIN)

    def close(self):
        self._stop = True
        self.listener.close()


class Watchers:
    """Many clients in one epoll; counts events and heartbeats of each."""

    def __init__(self, port):
        self.port, self.poll, self.clients = port, select.epoll(), {}
        self.events, self.beats = {}, {}

    def request(self) -> bytes:
        return b"GET /idle HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"

    def open(self, count):
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", self.port))
            client.sendall(self.request())
            client.setblocking(False)
            number = client.fileno()
            self.clients[number], self.events[number], self.beats[number] = client, 0, 0
            self.poll.register(client, select.EPOLLIN)
            # In batches: memory for requests in progress must not count as memory of idle streams.
            if len(self.clients) % 50 == 0:
                self.read_until(lambda: min(self.events.values()) >= 1, 30)
        return self

    def read(self, timeout):
        for number, _ in self.poll.poll(timeout, 4096):
            data = self.clients[number].recv(65536)
            assert data, "the proxy ended an idle stream"
            self.events[number] += data.count(b"data: a\n\n")
            self.beats[number] += data.count(b":\n\n")

    def read_until(self, reached, timeout):
        deadline = time.monotonic() + timeout
        while not reached():
            assert time.monotonic() < deadline, (
                f"after {timeout} s: {sum(self.events.values())} events, fewest heartbeats {min(self.beats.values())}")
            self.read(0.1)

    def close(self):
        for client in self.clients.values():
            client.close()


def test_thousands_of_idle_streams_are_held_with_heartbeats_for_less_than_a_kibibyte_each(stage):
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    streams = min(STREAMS, (soft - 500) // 2)
    assert streams >= 1000, f"only {soft} descriptors are allowed here"
    origin = SilentOrigin()
    # A small log queue: lines that wait for a busy disk must not count as the streams' memory.
    proxy = stage.heartwire(origin.address, heartbeat="1s", opening="on", workers=2,
                            limits=f"connections {2 * streams + 100}\nlog_queue 64KiB")
    watchers = Watchers(proxy.port)
    try:
        # Some streams first, so that memory that is allocated only once exists before the measurement.
        watchers.open(20)
        watchers.read_until(lambda: min(watchers.beats.values()) >= 3, 10)
        before, threads_before = proxy.memory()["Pss_Anon"], len(os.listdir(f"/proc/{proxy.process.pid}/task"))
        watchers.open(streams)
        watchers.read_until(lambda: min(watchers.events.values()) >= 1, 30)
        watchers.read_until(lambda: min(watchers.beats.values()) >= 4, 20)
        after = proxy.memory()["Pss_Anon"]
        each = (after - before) / streams
        print(f"memory per idle stream: {each:.0f} bytes ({streams} streams, anonymous {before} before, {after} after)")
        assert len(os.listdir(f"/proc/{proxy.process.pid}/task")) == threads_before, "threads grow with streams"

        # One second of heartbeats for all streams, and its cost.
        beats, busy, started = sum(watchers.beats.values()), proxy.processor_seconds(), time.monotonic()
        while time.monotonic() - started < 3.0:
            watchers.read(0.1)
        rate = (sum(watchers.beats.values()) - beats) / len(watchers.clients) / (time.monotonic() - started)
        print(f"heartbeats per stream and second: {rate:.2f}; processor {(proxy.processor_seconds() - busy) / 3:.0%}")
        assert 0.6 < rate <= 1.05
        assert each < 1024, f"{each:.0f} bytes per idle stream"
    finally:
        watchers.close()
    # All clients leave at once: the upstream learns of every one.
    deadline = time.monotonic() + 10
    while origin.left < streams + 20:
        assert time.monotonic() < deadline, f"only {origin.left} of {streams + 20} upstream connections were let go"
        time.sleep(0.05)
    origin.close()
