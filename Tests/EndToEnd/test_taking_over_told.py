"""SIGUSR2 under a service manager: what it hears of the new process and of the old one, and when nobody takes over."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

from support.client import Client, get
from support.service_manager import ServiceManager
from support.taking_over import children, end, handler, successor, wait_until_gone


pytestmark = pytest.mark.usefixtures("orphans")


def test_the_manager_hears_of_the_new_process_from_the_old_one(stage, orphans):
    manager = ServiceManager()
    proxy = stage.heartwire(
        stage.origin(handler), environment={**manager.environment, "WATCHDOG_USEC": "400000"}, grace="2s")
    old = proxy.process.pid
    manager.wait_for("WATCHDOG", "1")
    proxy.send_signal(signal.SIGUSR2)
    new = successor(proxy, orphans)
    _, sender, words = manager.wait_for("MAINPID")
    assert sender == old and words == {"MAINPID": str(new)}
    manager.wait_for("READY", "1", count=2)
    assert proxy.wait() == 0
    manager.wait_for("WATCHDOG", "1", count=len(manager.all("WATCHDOG")) + 4)
    handed_over = next(place for place, message in enumerate(manager.messages) if "MAINPID" in message[2])
    # Before that the manager does not accept reports of the new process; after that the old process sends none.
    assert {process for _, process, _ in manager.messages[:handed_over + 1]} == {old}
    assert {process for _, process, _ in manager.messages[handed_over + 1:]} == {new}
    end(new, orphans)
    assert manager.wait_for("STOPPING", "1")[1] == new
    manager.close()


@pytest.mark.parametrize("is_late", [True, False])
def test_nobody_takes_over_whom_the_manager_does_not_know_of(stage, tmp_path, orphans, is_late):
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, contextlib.ExitStack() as others:
        manager.bind(name)
        proxy = stage.heartwire(stage.origin(handler), environment={"NOTIFY_SOCKET": name})
        assert manager.recv(4096).startswith(b"READY=1")
        # A manager with more to read than its socket holds. A sender's own room may be used up before that, so more of them send, until one
        # cannot send at all.
        count = 1
        while count > 0:
            busy = others.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            busy.setblocking(False)
            count = 0
            with contextlib.suppress(BlockingIOError):
                while True:
                    busy.sendto(b"X=1", name)
                    count += 1
        proxy.send_signal(signal.SIGUSR2)
        proxy.wait_for_words("listening on", count=2)
        if is_late:
            time.sleep(1)
            manager.settimeout(5)
            while not (message := manager.recv(4096)).startswith(b"MAINPID="):
                pass
            process = successor(proxy, orphans)
            assert message == b"MAINPID=%d" % process and manager.recv(4096).startswith(b"READY=1")
            assert proxy.wait() == 0
            end(process, orphans)
        else:
            proxy.wait_for_words("it was ended, this one goes on")
            assert children(proxy.process.pid) == []
            assert get(proxy.port).body == b"whole"


def test_process_1_of_a_container_is_not_succeeded(stage):
    if subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True).returncode != 0:
        pytest.skip("no process namespace can be made here")
    proxy = stage.heartwire(
        stage.origin(handler), prefix=["unshare", "--pid", "--fork", "--kill-child=SIGTERM", "--mount-proc"])
    first = children(proxy.process.pid)[0]
    os.kill(first, signal.SIGUSR2)
    proxy.wait_for_words("as process 1 of a container this one cannot be succeeded")
    assert children(first) == [] and get(proxy.port).body == b"whole"
    os.kill(first, signal.SIGTERM)
    assert proxy.wait() == 0


@pytest.mark.parametrize("is_managed", [True, False])
def test_a_manager_that_says_twice_that_all_ends_does_not_cut_the_drain_short(stage, orphans, is_managed):
    """systemd signals all processes of a service, and again those that are left when the main process has ended."""
    manager = ServiceManager()
    proxy = stage.heartwire(
        stage.origin(handler), environment=manager.environment if is_managed else {}, drain="2s", grace="3s", heartbeat="15s")
    clients = [Client(proxy.port) for _ in range(4)]
    streams = [client.open_stream(f"/stream/{place}")[1] for place, client in enumerate(clients)]
    proxy.send_signal(signal.SIGUSR2)
    process = successor(proxy, orphans)
    for each in (proxy.process.pid, process):
        os.kill(each, signal.SIGTERM)
    proxy.wait_for_words("ending already")
    # The new process waits for nothing. It stays a child of the old one while the old one lives.
    while "State:\tZ" not in pathlib.Path(f"/proc/{process}/status").read_text():
        time.sleep(0.01)
    proxy.send_signal(signal.SIGTERM)
    if is_managed:
        for body in streams:
            body.read_to_end(5)
            assert body.complete and re.search(rb"\n\nretry: \d+\n\Z", bytes(body.data))
    assert proxy.wait() == (0 if is_managed else 1)
    wait_until_gone(process, orphans)
    for client in clients:
        client.close()
    manager.close()


@pytest.mark.parametrize("is_managed", [True, False])
def test_the_end_of_the_new_process_is_told_while_the_old_one_drains(stage, orphans, is_managed):
    manager = ServiceManager()
    proxy = stage.heartwire(
        stage.origin(handler), environment=manager.environment if is_managed else {}, drain="16s", grace="16s", heartbeat="30s")
    # Enough streams that one ends in the later half of the drain: with six, all were early once in a hundred runs.
    clients = [Client(proxy.port) for _ in range(24)]
    streams = [client.open_stream(f"/stream/{place}")[1] for place, client in enumerate(clients)]
    proxy.send_signal(signal.SIGUSR2)
    process = successor(proxy, orphans)
    os.kill(process, signal.SIGKILL)
    killed = time.monotonic()
    said = proxy.wait_for_words(f"process {process}, which had taken over, was ended by signal 9; no process serves now")
    assert ("ends its exchanges at once" in said) == is_managed
    # In any case the streams' clients are told when to come back.
    for body in streams:
        body.read_to_end(30)
        assert body.complete and re.search(rb"\n\nretry: \d+\n\Z", bytes(body.data))
    assert proxy.wait() == 0
    # Only then can a manager start another process; without a manager there is no reason to hurry.
    assert (time.monotonic() - killed < 8) == is_managed
    # The old process did not collect its status: the parent of both can still do so.
    orphans.remove(process)
    assert os.waitpid(process, 0)[1] == signal.SIGKILL
    assert said.count("no process serves now") == 1
    for client in clients:
        client.close()
    manager.close()


def test_a_new_process_that_is_ended_in_order_is_not_taken_for_a_crash(stage, orphans):
    def open_event(connection, request):
        # An event that stays open holds the old process until its grace period is over, wherever its stream's moment lies.
        connection.start_stream()
        connection.chunk(b"data: open\n")
        connection.wait_until_left(60)
    manager = ServiceManager()
    proxy = stage.heartwire(stage.origin(open_event), environment=manager.environment, drain="4s", grace="4s", heartbeat="15s")
    with Client(proxy.port) as client:
        _, body = client.open_stream("/stream")
        proxy.send_signal(signal.SIGUSR2)
        process = successor(proxy, orphans)
        os.kill(process, signal.SIGTERM)
        proxy.wait_for_words(f"process {process}, which had taken over, has ended in order", timeout=3)
        body.read_to_end(8)
        assert body.complete
    assert proxy.wait() == 0
    assert "no process serves" not in proxy.stderr()
    orphans.remove(process)
    assert os.waitpid(process, 0)[1] == 0
    manager.close()
