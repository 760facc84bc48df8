"""SIGHUP and listeners: what is added, what goes, and whose sockets stay."""

import signal
import socket
import ssl
import time

import pytest

from support.certificates import Authority
from support.client import Client, get
from support.ports import reserve_port
from support.reloading import File, connects, listening_sockets, origin_named
from support.storm import Storm


def test_a_listener_is_added_and_the_others_keep_their_very_sockets(stage):
    proxy = stage.heartwire(stage.origin(origin_named(b"a")), workers=2)
    file, second = File(proxy), reserve_port()
    before = listening_sockets(proxy.process.pid, proxy.port)
    assert len(before) == 2
    file.edit(("workers 2\n", f"workers 2\nlisten 127.0.0.1:{second}\n"))
    assert f"listen 127.0.0.1:{second} added" in file.reload()
    for _ in range(10):
        assert get(second).body == b"a"
    assert listening_sockets(proxy.process.pid, proxy.port) == before
    assert len(listening_sockets(proxy.process.pid, second)) == 2


def test_an_address_that_is_written_otherwise_keeps_its_socket(stage):
    port, extra = reserve_port(), reserve_port()
    proxy = stage.heartwire(stage.origin(origin_named(b"a")), port=port, top=f"listen *:{extra}")
    file = File(proxy)
    before = listening_sockets(proxy.process.pid, extra)
    assert len(before) == 1
    with Storm(extra, wanted=b"a", threads=2) as storm:
        file.edit((f"listen *:{extra}", f"listen [::]:{extra}"))
        file.reload()
        assert listening_sockets(proxy.process.pid, extra) == before
        # From all addresses to one of them and back: no client is refused in between.
        for old, new in [(f"[::]:{extra}", f"127.0.0.1:{extra}"), (f"127.0.0.1:{extra}", f"*:{extra}")]:
            storm.wait_for(50)
            file.edit((f"listen {old}", f"listen {new}"))
            file.reload()
            storm.wait_for(50)
    storm.check()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_listener_that_goes_serves_the_clients_that_had_reached_it(stage, workers):
    proxy = stage.heartwire(stage.origin(origin_named(b"a")), workers=workers, heartbeat="10s")
    file, going = File(proxy), reserve_port()
    line = f"listen 127.0.0.1:{going}\n"
    file.edit((f"workers {workers}\n", f"workers {workers}\n{line}"))
    file.reload()
    with Client(going) as streaming, Client(going) as kept:
        _, stream = streaming.open_stream("/stream")
        stream.wait_for(b"data: a")
        kept.get()
        assert kept.read_response().body == b"a"
        file.edit((line, ""))
        # A backlog: connections that the kernel has taken and the proxy has not.
        proxy.pause()
        waiting = [Client(going) for _ in range(600)]
        for client in waiting[::2]:
            client.get()
        proxy.process.send_signal(signal.SIGHUP)
        proxy.send_signal(signal.SIGCONT)
        assert f"listen 127.0.0.1:{going} removed" in proxy.wait_for_words("removed")
        deadline = time.monotonic() + 5
        while connects(going):
            assert time.monotonic() < deadline, "a listener that was removed is still connected to"
            time.sleep(0.01)
        for client in waiting[1::2]:
            client.get()
        for client in waiting:
            assert client.read_response().body == b"a"
            client.close()
        # Connections of the removed address are served to their end.
        kept.get()
        assert kept.read_response().body == b"a"
        seen = len(stream.data)
        stream.wait_for(lambda data: len(data) > seen + 100)
    assert listening_sockets(proxy.process.pid, going) == set()


def test_a_listener_becomes_a_tls_one_at_the_same_address(stage, tmp_path):
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("localhost", "DNS:localhost")
    proxy = stage.heartwire(stage.origin(origin_named(b"a")))
    file = File(proxy)
    with Client(proxy.port) as plain:
        plain.get()
        assert plain.read_response().body == b"a"
        file.edit((f"listen 127.0.0.1:{proxy.port}\n", f"listen 127.0.0.1:{proxy.port} {{\ntls {{\ncertificate {certificate} {key}\n}}\n}}\n"))
        assert f"listen 127.0.0.1:{proxy.port} changed" in file.reload()
        plain.get()
        assert plain.read_response().body == b"a"
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        with context.wrap_socket(connection, server_hostname="localhost") as secured:
            secured.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert secured.recv(65536).startswith(b"HTTP/1.1 200")
