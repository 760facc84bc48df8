"""SIGHUP: the file is read anew. What comes from then on goes by the new one, what runs goes on by the old one."""

import os
import pathlib
import re
import signal
import socket
import ssl
import time

import pytest

from support.certificates import Authority
from support.client import Client, get
from support.heartwire import configuration
from support.ports import reserve_port
from support.storm import Storm


def origin_named(name):
    """Ordinary answers that say which server gave them; streams whose events do, until the client leaves."""
    def handler(connection, request):
        if b"/stream" not in request.target:
            return connection.respond(200, name)
        connection.start_stream()
        while True:
            connection.chunk(b"data: %s\n\n" % name)
            time.sleep(0.05)
    return handler


def silent_stream(connection, request):
    connection.start_stream()
    connection.chunk(b"data: first\n\n")
    connection.wait_until_left(30)


class File:
    """The configuration file of a running proxy."""

    def __init__(self, proxy):
        self.proxy, self.path, self.reloads = proxy, proxy.folder / "heartwire.conf", 0

    def put(self, text):
        self.path.write_text(text)

    def edit(self, *changes):
        text = self.path.read_text()
        for old, new in changes:
            assert old in text, f"{old!r} is not in the configuration"
            text = text.replace(old, new)
        self.put(text)

    def reload(self, words="SIGHUP: done") -> str:
        """Sends SIGHUP and waits for these words; returns what was said since."""
        before = len(self.proxy.stderr())
        self.proxy.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        while not re.search(f"{re.escape(words)}.*\n", (said := self.proxy.stderr()[before:])):
            assert time.monotonic() < deadline, f"{words!r} did not come: {said}"
            time.sleep(0.005)
        return said


def listening_sockets(process, port) -> set:
    """The inodes of a process's own sockets that listen on a port."""
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:] + pathlib.Path("/proc/net/tcp6").read_text().splitlines()[1:]
    inodes = {line.split()[9] for line in lines if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"}
    owned = set()
    for link in pathlib.Path(f"/proc/{process}/fd").iterdir():
        try:
            owned.add(os.readlink(link))
        except FileNotFoundError:
            # A connection that has been closed since.
            continue
    return {inode for inode in inodes if f"socket:[{inode}]" in owned}


def connects(port) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
        return True
    except ConnectionResetError:
        # The connection stood in the backlog when the listener was closed.
        return True
    except ConnectionRefusedError:
        return False


# What changes for whom


def test_a_route_changes_for_new_requests_and_an_old_stream_goes_on_untouched(stage):
    old, new = stage.origin(origin_named(b"old")), stage.origin(origin_named(b"new"))
    proxy = stage.heartwire(old, heartbeat="10s")
    file = File(proxy)
    with Client(proxy.port) as streaming, Client(proxy.port) as kept:
        _, stream = streaming.open_stream("/stream/old")
        stream.wait_for(b"data: old")
        kept.get("/before")
        assert kept.read_response().body == b"old"
        file.edit((f"server {old.address}", f"server {new.address}"))
        said = file.reload()
        assert "upstream origin changed" in said
        assert get(proxy.port).body == b"new"
        # A connection between two requests is served by the new configuration.
        kept.get("/after")
        assert kept.read_response().body == b"new"
        seen = len(stream.data)
        stream.wait_for(lambda data: len(data) > seen + 200)
        assert b"new" not in stream.data
    assert proxy.stream_log.ending("/stream/old")["server"] == old.address


def test_a_heartbeat_changes_for_new_streams_only(stage):
    proxy = stage.heartwire(stage.origin(silent_stream), heartbeat="10s")
    file = File(proxy)
    with Client(proxy.port) as first, Client(proxy.port) as second:
        _, old = first.open_stream("/old")
        old.wait_for(b"first")
        file.edit(("heartbeat 10s", "heartbeat 200ms"))
        assert "route /* changed" in file.reload()
        _, new = second.open_stream("/new")
        new.wait_for(lambda data: data.count(b":\n") >= 5)
        old.collect(0.1)
        assert b":" not in bytes(old.data).replace(b"data: first", b"")
        # The way back: a stream keeps its pace.
        file.edit(("heartbeat 200ms", "heartbeat off"))
        file.reload()
        count = new.data.count(b":\n")
        new.wait_for(lambda data: data.count(b":\n") >= count + 5)


def test_a_timeout_of_a_running_exchange_is_the_one_that_it_began_with(stage):
    proxy = stage.heartwire(stage.origin(lambda connection, request: connection.respond()), timeouts="request_body 900ms")
    file = File(proxy)

    def begin(client):
        client.send(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        time.sleep(0.1)
        return time.monotonic()
    with Client(proxy.port) as early, Client(proxy.port) as late:
        started = begin(early)
        file.edit(("request_body 900ms", "request_body 20s"))
        assert "timeouts request_body 20s (was 900ms)" in file.reload()
        begin(late)
        assert early.read_response().status == 408
        assert 0.5 < time.monotonic() - started < 3
        file.edit(("request_body 20s", "request_body 200ms"))
        file.reload()
        assert not late.receive_once(1)
        late.send(b"1234567")
        assert late.read_response().status == 200
        started = begin(late)
        assert late.read_response().status == 408
        assert time.monotonic() - started < 3


def test_limits_change_at_once(stage):
    proxy = stage.heartwire(stage.origin(silent_stream), limits="connections_per_client 100", heartbeat="5s")
    file = File(proxy)
    with Client(proxy.port) as first, Client(proxy.port) as second:
        for client in (first, second):
            client.open_stream("/")[1].wait_for(b"first")
        file.edit(("connections_per_client 100", "connections_per_client 2"))
        assert "limits connections_per_client 2 (was 100)" in file.reload()
        assert get(proxy.port).status == 503
        file.edit(("connections_per_client 2", "connections_per_client 0"))
        file.reload()
        with Client(proxy.port) as third:
            third.open_stream("/")[1].wait_for(b"first")
    # Those who left while nobody counted are not counted off those who come later.
    file.edit(("connections_per_client 0", "connections_per_client 1"))
    file.reload()
    with Client(proxy.port) as only:
        only.open_stream("/")[1].wait_for(b"first")
        assert get(proxy.port).status == 503


def test_whose_word_is_taken_changes_with_the_next_request(stage):
    origin = stage.origin(lambda connection, request: connection.respond())
    proxy = stage.heartwire(origin)
    file = File(proxy)
    with Client(proxy.port) as client:
        for number, (old, new) in enumerate([("", ""), ("workers 1\n", "workers 1\ntrusted_proxies 127.0.0.0/8\n")]):
            if old:
                file.edit((old, new))
                assert "trusted_proxies changed" in file.reload()
            client.get("/", "X-Forwarded-For: 192.0.2.77\r\n")
            client.read_response()
            request = origin.wait_for_requests(number + 1)[-1]
            assert (b"192.0.2.77" in request.value("X-Forwarded-For")) == bool(old)


def test_idle_connections_stay_with_servers_whose_description_stays(stage):
    kept, changed = stage.origin(origin_named(b"kept")), stage.origin(origin_named(b"changed"))
    text = "\n".join([
        f"upstream kept {{\nserver {kept.address}\nkeep_alive 1m\n}}", f"upstream changed {{\nserver {changed.address}\nkeep_alive 1m\n}}",
        "route /kept {\nupstream kept\n}", "route /changed {\nupstream changed\n}", ""])
    proxy = stage.heartwire(extra=text)
    file = File(proxy)
    for path in ("/kept", "/changed"):
        get(proxy.port, path)
    file.edit((f"server {changed.address}\nkeep_alive 1m", f"server {changed.address}\nkeep_alive 30s"))
    assert "upstream changed changed" in file.reload()
    # The pool of the one that changed is closed at once.
    deadline = time.monotonic() + 5
    while not changed.connections[0].closed:
        assert time.monotonic() < deadline, "the idle connection to a server that is gone was kept"
        time.sleep(0.01)
    for path in ("/kept", "/changed"):
        get(proxy.port, path)
    assert len(kept.connections) == 1 and len(changed.connections) == 2


# What cannot be used


@pytest.mark.parametrize("harm", ["errors", "gone", "taken", "certificate", "log"])
def test_what_cannot_be_used_changes_nothing_at_all(stage, tmp_path, harm):
    old, new = stage.origin(origin_named(b"old")), stage.origin(origin_named(b"new"))
    proxy = stage.heartwire(old, heartbeat="10s")
    file, second = File(proxy), reserve_port()
    good = file.path.read_text()
    # Each file also says things that would be good by themselves.
    changes = [(f"server {old.address}", f"server {new.address}"), ("workers 1\n", f"workers 1\nlisten 127.0.0.1:{second}\n")]
    with Client(proxy.port) as client:
        _, stream = client.open_stream("/stream")
        stream.wait_for(b"old")
        descriptors = proxy.descriptors()
        file.edit(*changes)
        blocker = None
        if harm == "errors":
            file.put(file.path.read_text() + "nonsense 1\nroute /x {\n  heartbeat 1\n}\n")
        elif harm == "gone":
            file.path.unlink()
        elif harm == "taken":
            taken = reserve_port()
            blocker = socket.create_server(("127.0.0.1", taken))
            file.edit(("workers 1\n", f"workers 1\nlisten 127.0.0.1:{taken}\n"))
        elif harm == "certificate":
            file.edit((f"listen 127.0.0.1:{second}\n", f"listen 127.0.0.1:{second} {{\ntls {{\ncertificate /no/cert /no/key\n}}\n}}\n"))
        elif harm == "log":
            file.edit((f"access_log {proxy.folder}/access.log", "access_log /no/such/folder/access.log"))
        said = file.reload("nothing has changed")
        expected = {
            "errors": ["unknown directive 'nonsense'", "heartbeat"], "gone": ["cannot read the configuration file"],
            "taken": ["cannot listen on"], "certificate": ["/no/cert"], "log": ["cannot open the log file /no/such/folder/access.log"]}
        for words in expected[harm]:
            assert words in said, said
        assert get(proxy.port).body == b"old" and not connects(second)
        assert proxy.descriptors() <= descriptors + 2, "descriptors were left behind"
        seen = len(stream.data)
        stream.wait_for(lambda data: len(data) > seen + 100)
        if blocker:
            blocker.close()
        # And the next good one is taken.
        file.put(good)
        file.edit(*changes)
        file.reload()
        assert get(proxy.port).body == b"new" and connects(second)


def test_a_certificate_that_cannot_be_read_stays_while_the_rest_changes(stage, tmp_path):
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("site")
    origin = stage.origin(origin_named(b"here"))
    proxy = stage.heartwire(origin, listen=f"tls {{\ncertificate {certificate} {key}\n}}")
    plain = reserve_port()
    file = File(proxy)
    certificate.write_text("nonsense")
    file.edit(("workers 1\n", f"workers 1\nlisten 127.0.0.1:{plain}\n"))
    said = file.reload()
    assert str(certificate) in said and "certificates were read anew" in said
    assert get(plain).body == b"here"


@pytest.mark.parametrize("harm, words", [
    ("pipe", "it is a pipe, and cannot be read again"),
    ("folder", "Is a directory"),
    ("zero", "it is no regular file"),
    ("huge", "the file is larger than 1MiB"),
])
def test_a_file_that_would_hold_up_the_proxy_is_refused(stage, harm, words):
    proxy = stage.heartwire(stage.origin(origin_named(b"here")))
    path, good = proxy.folder / "heartwire.conf", proxy.folder / "good"
    path.rename(good)
    spoil(path, harm)
    file = File(proxy)
    said = file.reload("SIGHUP: the configuration cannot be used; the one in force stays")
    assert words in said and "heartwire.conf" in said
    assert get(proxy.port).body == b"here"
    # The next signal is heard.
    path.rmdir() if harm == "folder" else path.unlink()
    good.rename(path)
    file.reload("SIGHUP: done")


def spoil(path, harm):
    if harm == "pipe":
        os.mkfifo(path)
    elif harm == "folder":
        path.mkdir()
    elif harm == "zero":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, 10 << 30)


@pytest.mark.parametrize("harm, words", [
    ("pipe", "it is a pipe, and cannot be read again"),
    ("folder", "Is a directory"),
    ("zero", "it is no regular file"),
    ("huge", "it is larger than 16MiB"),
])
@pytest.mark.parametrize("which", ["certificate", "key", "staple", "authority"])
def test_a_file_of_tls_that_would_hold_up_the_proxy_is_refused(stage, tmp_path, which, harm, words):
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("site")
    proxy = stage.heartwire(stage.origin(origin_named(b"here")), listen=f"tls {{\ncertificate {certificate} {key}\n}}")
    spoiled = tmp_path / "spoiled"
    spoil(spoiled, harm)
    files = f"{certificate} {spoiled}" if which == "key" else f"{spoiled} {key}" if which == "certificate" else f"{certificate} {key}"
    more = f" {spoiled}" if which == "staple" else f"\nclient_certificates optional\nclient_authority {spoiled}" if which == "authority" else ""
    file = File(proxy)
    file.edit((f"certificate {certificate} {key}", f"certificate {files}{more}"))
    said = file.reload("the configuration in force stays, and nothing has changed")
    assert f"{spoiled}: it cannot be read: {words}" in said


def test_what_cannot_change_is_named(stage):
    proxy = stage.heartwire(stage.origin(origin_named(b"a")), workers=2)
    file = File(proxy)
    file.edit(("workers 2", "workers 5"))
    said = file.reload()
    assert "workers stays 2" in said and "the file asks for 5" in said and "nothing in the configuration has changed" in said


def test_without_a_file_certificates_are_read_anew_and_nothing_else(stage):
    origin, port = stage.origin(origin_named(b"a")), reserve_port()
    proxy = stage.command(["proxy", "--upstream", origin.address, "--listen", f"127.0.0.1:{port}", "--stream-log", "stream.log"], port)
    proxy.send_signal(signal.SIGHUP)
    proxy.wait_for_words("SIGHUP: there are no certificates to read anew")
    assert get(port).body == b"a"


# Listeners


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
        # From all addresses to one of them and back: nobody in between is refused.
        for old, new in [(f"[::]:{extra}", f"127.0.0.1:{extra}"), (f"127.0.0.1:{extra}", f"*:{extra}")]:
            storm.wait_for(50)
            file.edit((f"listen {old}", f"listen {new}"))
            file.reload()
            storm.wait_for(50)
    storm.check()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_listener_that_goes_serves_whoever_had_reached_it(stage, workers):
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
        # Connections that came by it are served to their end.
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


# Logs


def test_logs_go_where_the_new_file_says_and_no_line_is_lost(stage):
    proxy = stage.heartwire(stage.origin(origin_named(b"a")), heartbeat="10s", workers=2)
    file = File(proxy)
    with Client(proxy.port) as client:
        _, stream = client.open_stream("/stream/across")
        stream.wait_for(b"data: a")
        with Storm(proxy.port, wanted=b"a", threads=2) as storm:
            for number in range(1, 6):
                storm.wait_for(50)
                file.put(re.sub(r"(stream|access)[0-9]*\.log", rf"\g<1>{number}.log", file.path.read_text()))
                assert f"access_log {proxy.folder}/access{number}.log" in file.reload()
        storm.check()
    deadline = time.monotonic() + 5
    while not (proxy.folder / "stream5.log").exists() or b"stream_end" not in (proxy.folder / "stream5.log").read_bytes():
        assert time.monotonic() < deadline, "a stream that began before ends in the log of now"
        time.sleep(0.01)
    proxy.stop()
    lines = [line for number in ["", *range(1, 6)] for line in (proxy.folder / f"access{number}.log").read_bytes().splitlines(True)]
    assert all(line.endswith(b"}\n") for line in lines)
    assert len(lines) == storm.answers
    open_files = b"".join((proxy.folder / f"stream{number}.log").read_bytes() for number in range(1, 5))
    assert b"stream_end" not in open_files


# All of it, again and again


@pytest.mark.heavy
def test_two_hundred_reloads_under_load_lose_nothing_and_leave_nothing(stage):
    origins = [stage.origin(origin_named(b"whole")) for _ in range(2)]
    ports = [reserve_port() for _ in range(3)]
    main = reserve_port()

    def text(number, folder):
        """One of many configurations; what it serves is the same."""
        return configuration(
            main, folder, [origins[number % 2].address], workers=2, heartbeat=f"{100 + number % 3 * 50}ms",
            top="".join(f"listen 127.0.0.1:{port}\n" for place, port in enumerate(ports) if number >> place & 1),
            limits=f"connections {5000 + number % 7}", timeouts=f"keep_alive {10 + number % 5}s").replace(
                "access.log", f"access{number % 4}.log")
    proxy = stage.heartwire(text=lambda port, folder: text(0, folder), port=main)
    file = File(proxy)
    clients = [Client(main) for _ in range(10)]
    for client in clients:
        client.keep_bytes = False
    streams = [client.open_stream(f"/stream/{place}")[1] for place, client in enumerate(clients)]
    figures = []
    with Storm(main, threads=2, pause=0.002) as storm:
        for number in range(1, 221):
            file.put(text(number, proxy.folder))
            file.reload()
            if number in (20, 220):
                storm.wait_for(20)
                file.put(text(0, proxy.folder))
                file.reload()
                # A connection of the storm may be on its way; the streams are held all the while.
                time.sleep(0.5)
                figures.append((proxy.descriptors(), proxy.memory()["Pss_Anon"]))
            if number % 10 == 0:
                for body in streams:
                    body.collect(0.001)
    storm.check()
    for body in streams:
        body.data.clear()
        body.wait_for(b"data: whole")
        assert not body.ended
    for client in clients:
        client.close()
    (descriptors, memory), (descriptors_after, memory_after) = figures
    print(f"220 reloads, {storm.answers} connections: descriptors {descriptors} -> {descriptors_after}, "
          f"anonymous memory {memory} -> {memory_after}")
    assert abs(descriptors_after - descriptors) <= 8
    assert memory_after - memory < 2 << 20
    for place in range(10):
        proxy.stream_log.ending(f"/stream/{place}")
    proxy.stop()
    lines = sum(len((proxy.folder / f"access{number}.log").read_bytes().splitlines()) for number in range(4))
    assert lines == storm.answers
