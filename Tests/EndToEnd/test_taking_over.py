"""SIGUSR2: a new process takes over the listening sockets, and no client is refused, reset or lost."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from support.client import Client, get
from support.heartwire import configuration
from support.paths import binary
from support.ports import reserve_port
from support.storm import Storm
from support.taking_over import children, end, handler, put, successor, wait_until_gone


pytestmark = pytest.mark.usefixtures("orphans")


def test_an_upgrade_refuses_nobody_and_running_streams_go_on(stage, tmp_path, orphans):
    program = tmp_path / "heartwire"
    put(binary(), program)
    proxy = stage.heartwire(stage.origin(handler), workers=2, program=program, drain="2s", grace="5s", heartbeat="15s")
    clients = [Client(proxy.port) for _ in range(8)]
    streams = [client.open_stream(f"/stream/{place}")[1] for place, client in enumerate(clients)]
    with Storm(proxy.port, wanted=b"whole") as storm:
        storm.wait_for(300)
        inode = put(binary(), program)
        proxy.send_signal(signal.SIGUSR2)
        first = successor(proxy, orphans)
        assert os.stat(f"/proc/{first}/exe").st_ino == inode, "not the binary that lies at the path now was started"
        taken_over = time.monotonic()
        storm.wait_for(300)
        # The old process has served the streams all the time, and tells their clients when to come back.
        for body in streams:
            body.read_to_end(10)
            assert body.complete and re.search(rb"\n\nretry: \d+\n\Z", bytes(body.data))
            numbers = [int(number) for number in re.findall(rb"data: event (\d+)\n", bytes(body.data))]
            assert numbers == list(range(len(numbers)))
        last = max(body.pieces[-1][0] for body in streams) - taken_over
        assert last > 0.5, "the streams did not go on for a while"
        assert proxy.wait() == 0
        # And again, the other way round: the successor gets its own successor.
        os.kill(first, signal.SIGUSR2)
        second = successor(proxy, orphans, count=2)
        wait_until_gone(first, orphans)
        storm.wait_for(300)
    storm.check()
    for client in clients:
        client.close()
    print(f"{storm.seconds:.2f} s, streams for {last:.2f} s: {storm.answers} connections, {storm.answers / storm.seconds:.0f} a second, through two upgrades: none refused or cut")
    assert storm.answers / storm.seconds > 100
    end(second, orphans)
    records = proxy.access_log.records()
    assert sum(record["path"] == "/storm" for record in records) == storm.answers, "lines of the logs are missing"
    endings = [record for record in proxy.stream_log.records() if record["event"] == "stream_end"]
    assert sorted(record["path"] for record in endings) == [f"/stream/{place}" for place in range(8)]
    assert {record["cause"] for record in endings} == {"drained"}


@pytest.mark.parametrize("before, after", [(4, 1), (1, 4), (3, 2)])
def test_every_socket_is_accepted_from_also_by_another_number_of_workers(stage, orphans, before, after):
    proxy = stage.heartwire(stage.origin(handler), workers=before)
    path = proxy.folder / "heartwire.conf"
    with Storm(proxy.port) as storm:
        storm.wait_for(100)
        path.write_text(path.read_text().replace(f"workers {before}\n", f"workers {after}\n"))
        proxy.send_signal(signal.SIGUSR2)
        process = successor(proxy, orphans)
        assert proxy.wait() == 0
        storm.wait_for(400)
    storm.check()
    end(process, orphans)


def test_a_client_that_has_just_connected_is_still_answered_by_the_old_process(stage, orphans):
    proxy = stage.heartwire(stage.origin(handler), grace="5s")
    with Client(proxy.port) as silent, Client(proxy.port) as half:
        half.send(b"GET /half HTTP/1.1\r\nHost: a")
        get(proxy.port)
        proxy.send_signal(signal.SIGUSR2)
        process = successor(proxy, orphans)
        time.sleep(1.5)
        silent.get("/silent")
        half.send(b"\r\n\r\n")
        for client in (silent, half):
            response = client.read_response()
            assert response.body == b"whole" and b"close" in response.tokens("connection")
            client.wait_for_end()
    assert proxy.wait() == 0
    end(process, orphans)


@pytest.mark.parametrize("harm, words", [
    ("not a program", "no new process can be started: Exec format error"),
    ("bad configuration", "ended with status 78 before it served"),
    ("gone", "no new process can be started: No such file or directory (ENOENT)"),
    ("crash", "was ended by signal 9 before it served"),
])
def test_a_new_process_that_cannot_serve_changes_nothing(stage, tmp_path, orphans, harm, words):
    program = tmp_path / "heartwire"
    put(binary(), program)
    proxy = stage.heartwire(stage.origin(handler), program=program)
    with Client(proxy.port) as client:
        _, body = client.open_stream("/stream")
        body.wait_for(b"event 1\n")
        if harm == "bad configuration":
            (proxy.folder / "heartwire.conf").write_text("listen nowhere\n")
        elif harm == "gone":
            program.unlink()
        else:
            text = {"not a program": "\x7fELF nonsense", "crash": "#!/bin/sh\nkill -9 $$\n"}[harm]
            (tmp_path / "harm").write_text(text)
            (tmp_path / "harm").chmod(0o755)
            put(tmp_path / "harm", program)
        proxy.send_signal(signal.SIGUSR2)
        said = proxy.wait_for_words("this one goes on")
        assert words in said
        assert children(proxy.process.pid) == [], "a zombie is left"
        if harm == "bad configuration":
            assert "heartwire.conf:1:" in said
        seen = len(body.data)
        body.wait_for(lambda data: len(data) > seen + 100)
        assert get(proxy.port).body == b"whole"
        # It can be tried again.
        if harm == "crash":
            put(binary(), program)
            proxy.send_signal(signal.SIGUSR2)
            process = successor(proxy, orphans)
            client.close()
            assert proxy.wait() == 0
            end(process, orphans)


def test_a_new_process_that_says_nothing_is_given_up_and_leaves_no_zombie(stage, tmp_path, orphans):
    program = tmp_path / "heartwire"
    put(binary(), program)
    proxy = stage.heartwire(stage.origin(handler), program=program)
    (tmp_path / "silent").write_text("#!/bin/sh\nexec sleep 1000\n")
    (tmp_path / "silent").chmod(0o755)
    put(tmp_path / "silent", program)
    proxy.send_signal(signal.SIGUSR2)
    said = proxy.wait_for_words("is to take over")
    child = int(re.search(r"process (\d+) is to take over", said)[1])
    proxy.send_signal(signal.SIGUSR2)
    proxy.wait_for_words("is being started already")
    assert get(proxy.port).body == b"whole"
    # The end of the old process is the end of the attempt.
    assert proxy.stop() == 0
    assert not pathlib.Path(f"/proc/{child}").exists()


def test_nothing_but_the_sockets_is_handed_on(stage, orphans):
    proxy = stage.heartwire(stage.origin(handler), workers=2)
    with Client(proxy.port) as client:
        client.get("/kept")
        client.read_response()
        proxy.send_signal(signal.SIGUSR2)
        process = successor(proxy, orphans)
        assert proxy.wait() == 0
    kinds = {}
    for name in os.listdir(f"/proc/{process}/fd"):
        target = os.readlink(f"/proc/{process}/fd/{name}")
        kinds.setdefault(re.sub(r"\d+", "N", target.split("/")[-1]), []).append(name)
    # Two workers, each with an epoll, a waker and its listening socket, which the proxy itself holds too.
    assert {kind: len(found) for kind, found in kinds.items() if "N" in kind or "anon" in kind} == {
        "socket:[N]": 4, "anon_inode:[eventpoll]": 2, "anon_inode:[eventfd]": 2}, kinds
    names = [entry.split(b"=")[0] for entry in pathlib.Path(f"/proc/{process}/environ").read_bytes().split(b"\0")]
    assert len(names) == len(set(names)) and b"LISTEN_PID" not in names and b"NOTIFY_SOCKET" not in names
    # The signal mask of a worker: the main thread has an empty mask while it waits for signals.
    tasks = pathlib.Path(f"/proc/{process}/task").iterdir()
    worker = next(task for task in tasks if (task / "comm").read_text().startswith("worker-0"))
    blocked = int(re.search(r"SigBlk:\s+(\w+)", (worker / "status").read_text())[1], 16)
    assert blocked == sum(1 << (number - 1) for number in (
        signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP))
    end(process, orphans)


def test_lines_stay_whole_in_a_pipe_into_which_both_processes_write(stage, orphans):
    reading, writing = os.pipe()
    folder, port = stage.new_folder(), reserve_port()
    text = configuration(port, folder, [stage.origin(handler).address], grace="2s", pattern="/no/*")
    (folder / "heartwire.conf").write_text(text.replace(f"{folder}/access.log", "stdout"))
    errors = folder / "errors"
    with open(errors, "wb") as sink:
        old = subprocess.Popen([binary(), "run", "--config", folder / "heartwire.conf"], stdout=writing, stderr=sink)
    os.close(writing)
    data, ending = bytearray(), threading.Event()

    def read_slowly():
        while piece := os.read(reading, 3000):
            data.extend(piece)
            time.sleep(0.002 if not ending.is_set() else 0)

    def ask():
        """Many refusals at once, on a connection that stays with its process."""
        requests = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"p" * 300) * 20
        while not ending.is_set():
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                    for _ in range(50):
                        connection.sendall(requests)
                        received = b""
                        while received.count(b"HTTP/1.1 404") < 20 and (piece := connection.recv(65536)):
                            received += piece
            except OSError:
                time.sleep(0.01)

    threads = [threading.Thread(target=read_slowly)] + [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    old.send_signal(signal.SIGUSR2)
    deadline = time.monotonic() + 10
    while not (found := re.search(r"process (\d+) has taken over", errors.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    orphans.append(int(found[1]))
    time.sleep(1)
    ending.set()
    assert old.wait(15) == 0
    end(int(found[1]), orphans)
    for thread in threads:
        thread.join(20)
    os.close(reading)
    lines = bytes(data).splitlines()
    broken = [line for line in lines if not (line.startswith(b'{"time":') and line.endswith(b"}") and line.count(b'"time"') == 1)]
    assert len(lines) > 500 and not broken, f"{len(broken)} of {len(lines)}: {broken[:1]}"


def test_what_the_old_process_was_given_without_knowing_is_not_handed_on(stage, orphans):
    proxy = stage.heartwire(stage.origin(handler), prefix=["bash", "-c", 'exec "$@" 9</etc/passwd', "bash"])
    assert os.readlink(f"/proc/{proxy.process.pid}/fd/9") == "/etc/passwd"
    proxy.send_signal(signal.SIGUSR2)
    process = successor(proxy, orphans)
    folder = pathlib.Path(f"/proc/{process}/fd")
    assert "/etc/passwd" not in {os.readlink(descriptor) for descriptor in folder.iterdir()}
    assert proxy.wait() == 0
    end(process, orphans)


def test_a_reload_while_the_new_process_starts_is_not_lost(stage, orphans):
    def origin_named(name):
        return stage.origin(lambda connection, request: connection.respond(200, name))

    before, after = origin_named(b"before"), origin_named(b"after")
    proxy = stage.heartwire(before)
    path = proxy.folder / "heartwire.conf"
    proxy.send_signal(signal.SIGUSR2)
    said = proxy.wait_for_words("is to take over")
    child = int(re.search(r"process (\d+) is to take over", said)[1])
    # When it listens, it has read its file.
    while "listening on" not in proxy.stderr().split("is to take over")[1]:
        time.sleep(0.001)
    path.write_text(path.read_text().replace(before.address, after.address))
    # The signal is meant for the process that serves, whether the old process gets it before or after the handover.
    proxy.send_signal(signal.SIGHUP)
    assert successor(proxy, orphans) == child
    assert proxy.wait() == 0
    deadline = time.monotonic() + 5
    while get(proxy.port).body != b"after":
        assert time.monotonic() < deadline, "the reload was lost"
        time.sleep(0.01)
    end(child, orphans)
