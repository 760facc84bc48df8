"""Heartwire under a service manager: what it says (sd_notify), and the sockets that it is given."""

import ctypes
import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from support.client import Client, get
from support.heartwire import Heartwire, configuration
from support.paths import binary
from support.ports import reserve_port
from support.service_manager import ServiceManager


def answer(connection, request):
    connection.respond(200, b"hello")


@pytest.fixture
def manager():
    manager = ServiceManager()
    yield manager
    manager.close()


# Reports to the manager


@pytest.mark.parametrize("is_abstract", [True, False])
def test_the_manager_hears_when_it_listens_and_when_it_ends(stage, tmp_path, is_abstract):
    manager = ServiceManager(None if is_abstract else tmp_path)
    proxy = stage.heartwire(stage.origin(answer), environment=manager.environment)
    _, process, words = manager.wait_for("READY", "1")
    assert process == proxy.process.pid
    assert words["STATUS"] == f"Listening on http://127.0.0.1:{proxy.port}"
    assert proxy.stop() == 0
    manager.wait_for("STOPPING", "1")
    assert [next(iter(words)) for _, _, words in manager.messages] == ["READY", "STOPPING"]
    manager.close()


def test_it_is_ready_only_when_it_listens(stage, manager):
    port = reserve_port()
    with socket.create_server(("127.0.0.1", port)):
        proxy = stage.heartwire("127.0.0.1:1", port=port, environment=manager.environment, popen={"wait": False})
        assert proxy.wait() == 69
    assert not manager.all("READY")


def test_a_reload_is_announced_with_its_moment_and_its_end(stage, manager):
    proxy = stage.heartwire(stage.origin(answer), environment=manager.environment)
    manager.wait_for("READY", "1")
    before = time.monotonic_ns() // 1000
    proxy.send_signal(signal.SIGHUP)
    _, _, words = manager.wait_for("RELOADING", "1")
    assert before <= int(words["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    manager.wait_for("READY", "1", count=2)


# The watchdog


class Tracer:
    """Stops one thread of a process, like a loop that hangs; needs permission to trace it."""

    SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17

    def __init__(self):
        self.library = ctypes.CDLL(None, use_errno=True)

    def call(self, request, thread) -> bool:
        return self.library.ptrace(request, thread, None, None) == 0


def threads_named(process, prefix) -> list:
    folders = pathlib.Path(f"/proc/{process}/task").iterdir()
    return [int(folder.name) for folder in folders if (folder / "comm").read_text().startswith(prefix)]


def test_the_watchdog_is_fed_while_every_worker_turns_and_not_when_one_stands(stage, manager):
    proxy = stage.heartwire(stage.origin(answer), workers=2, environment={**manager.environment, "WATCHDOG_USEC": "400000"})
    manager.wait_for("WATCHDOG", "1", count=8, timeout=5)
    times = [moment for moment, _, _ in manager.all("WATCHDOG")]
    # A report came after half of the watchdog time at the latest, even on a busy machine.
    assert max(later - earlier for earlier, later in zip(times, times[1:])) < 0.4
    tracer = Tracer()
    thread = threads_named(proxy.process.pid, "worker-1")[0]
    if not tracer.call(Tracer.SEIZE, thread):
        pytest.skip(f"a thread cannot be stopped here: ptrace says {os.strerror(ctypes.get_errno())}")
    try:
        assert tracer.call(Tracer.INTERRUPT, thread)
        os.waitpid(thread, 0x40000000)
        # One report may have been on its way.
        time.sleep(0.3)
        count = len(manager.all("WATCHDOG"))
        time.sleep(1.2)
        assert len(manager.all("WATCHDOG")) == count, "the watchdog is fed while a worker stands"
    finally:
        assert tracer.call(Tracer.DETACH, thread)
    manager.wait_for("WATCHDOG", "1", count=count + 3, timeout=5)


def test_a_watchdog_that_is_meant_for_another_process_is_not_fed(stage, manager):
    stage.heartwire(
        stage.origin(answer), environment={**manager.environment, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
    manager.wait_for("READY", "1")
    time.sleep(0.5)
    assert not manager.all("WATCHDOG")


# Inherited sockets


def listening(address, port, share=False):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if share:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((address, port))
    made.listen(100)
    return made


def start_with(stage, sockets, text, port, names="", process="$$"):
    """Starts the proxy as systemd would: the sockets from descriptor 3 on, and the environment that tells of them.

    A shell puts them there and becomes the proxy, so that LISTEN_PID is right.
    """
    folder = stage.new_folder()
    (folder / "heartwire.conf").write_text(text(folder))
    copies = [os.dup(made.fileno()) for made in sockets]
    # High numbers first, so that no copy is overwritten before it is put in its place.
    # The kernel chooses them: a number that another thread is just given is busy for dup2.
    high = [fcntl.fcntl(copy, fcntl.F_DUPFD, 200) for copy in copies]
    places = " ".join(f"{3 + place}<&{copy}-" for place, copy in enumerate(high))
    script = f"export LISTEN_PID={process} LISTEN_FDS={len(high)} LISTEN_FDNAMES={names}; exec \"$@\" {places}"
    try:
        proxy = Heartwire(
            folder, ["run", "--config", folder / "heartwire.conf"], port, prefix=["bash", "-c", script, "bash"],
            pass_fds=high)
    finally:
        for descriptor in copies + high:
            os.close(descriptor)
    stage.proxies.append(proxy)
    return proxy


@pytest.mark.parametrize("workers", [1, 3])
def test_an_inherited_socket_is_accepted_from_and_its_backlog_answered(stage, workers):
    origin, port = stage.origin(answer), reserve_port()
    inherited = listening("127.0.0.1", port)
    early = socket.create_connection(("127.0.0.1", port))
    early.sendall(b"GET /early HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    proxy = start_with(
        stage, [inherited], lambda folder: configuration(port, folder, [origin.address], workers=workers), port, names="web")
    inherited.close()
    early.settimeout(5)
    assert early.recv(65536).startswith(b"HTTP/1.1 200"), "the connection that waited before the start was not answered"
    for number in range(40):
        assert get(port, f"/{number}").body == b"hello"
    workers_seen = {record["stream"].split("-")[0] for record in proxy.access_log.records()}
    print(f"{workers} workers, of which {len(workers_seen)} served from one socket")
    assert "inherited" not in proxy.stderr()
    # No other program can have the address, and no socket was opened besides the inherited one.
    sockets = subprocess.run(["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True).stdout.splitlines()
    assert len(sockets) == 1, sockets


def test_inherited_sockets_are_matched_by_address_and_the_others_are_named_and_closed(stage):
    origin, port, foreign = stage.origin(answer), reserve_port(), reserve_port()
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    sockets = [listening("127.0.0.1", foreign), datagrams, listening("127.0.0.1", port)]
    proxy = start_with(
        stage, sockets, lambda folder: configuration(port, folder, [origin.address]), port, names="stray:talk:web")
    for made in sockets:
        made.close()
    assert get(port).body == b"hello"
    proxy.wait_for_words(f"no 'listen' fits the inherited socket ('stray') on 127.0.0.1:{foreign}; clients that connect to it are refused")
    proxy.wait_for_words("inherited descriptor 4 ('talk') is no listening TCP socket; it was closed")
    assert is_refused(foreign)


def is_refused(port) -> bool:
    """Whether a client is refused at once, and does not wait."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            return client.recv(1) is None
    except ConnectionError:
        return True


def test_an_address_that_the_manager_holds_too_is_refused_when_it_goes_and_served_when_it_comes_back(stage, orphans):
    origin, port, second = stage.origin(answer), reserve_port(), reserve_port()
    with listening("127.0.0.1", second) as held:
        proxy = start_with(stage, [held], lambda folder: configuration(port, folder, [origin.address], top=f"listen 127.0.0.1:{second}"), port)
        path = proxy.folder / "heartwire.conf"
        both = path.read_text()
        assert get(second).body == b"hello"
        kept = Client(second)
        kept.get("/kept")
        assert kept.read_response().body == b"hello"

        def reload(text, count, process):
            path.write_text(text)
            os.kill(process, signal.SIGHUP)
            return proxy.wait_for_words("SIGHUP: done", count)

        said = reload(both.replace(f"listen 127.0.0.1:{second}\n", ""), 1, proxy.process.pid)
        assert f"127.0.0.1:{second} is the service manager's too; clients that connect to it are refused" in said
        assert is_refused(second) and get(port).body == b"hello"
        # Clients that were connected already are served.
        kept.get("/kept")
        assert kept.read_response().body == b"hello"
        kept.close()
        reload(both, 2, proxy.process.pid)
        assert get(second).body == b"hello"
        # Also by the next process, which learns who holds the socket.
        reload(both.replace(f"listen 127.0.0.1:{second}\n", ""), 3, proxy.process.pid)
        proxy.send_signal(signal.SIGUSR2)
        said = proxy.wait_for_words("has taken over")
        process = int(re.search(r"process (\d+) has taken over", said)[1])
        orphans.append(process)
        assert proxy.wait() == 0
        assert is_refused(second) and get(port).body == b"hello"
        reload(both, 4, process)
        assert get(second).body == b"hello" and get(port).body == b"hello"


def test_a_listener_without_an_inherited_socket_gets_its_own(stage):
    origin, port, second = stage.origin(answer), reserve_port(), reserve_port()
    inherited = listening("127.0.0.1", port)
    start_with(
        stage, [inherited],
        lambda folder: configuration(port, folder, [origin.address], top=f"listen 127.0.0.1:{second}"), port)
    inherited.close()
    assert get(port).body == b"hello" and get(second).body == b"hello"


def test_sockets_that_were_meant_for_another_process_are_left_alone(stage):
    origin, port, other = stage.origin(answer), reserve_port(), reserve_port()
    inherited = listening("127.0.0.1", other)
    proxy = start_with(stage, [inherited], lambda folder: configuration(port, folder, [origin.address]), port, process="1")
    assert get(port).body == b"hello"
    assert "inherited" not in proxy.stderr()
    inherited.close()


def test_it_works_under_systemds_own_socket_activation(stage):
    program = shutil.which("systemd-socket-activate")
    if not program:
        pytest.skip("systemd-socket-activate is not installed")
    origin, port = stage.origin(answer), reserve_port()
    proxy = stage.heartwire(
        origin, port=port, workers=2, prefix=[program, "-l", f"127.0.0.1:{port}", "--fdname=web"])
    assert get(port).body == b"hello"
    assert "inherited" not in proxy.stderr() and "cannot listen" not in proxy.stderr()


def test_descriptors_that_are_announced_and_not_open_are_told_and_not_closed_in_place_of_others(stage):
    folder, port, origin = stage.new_folder(), reserve_port(), stage.origin(answer)
    (folder / "heartwire.conf").write_text(configuration(port, folder, [origin.address]))
    proxy = Heartwire(
        folder, ["run", "--config", folder / "heartwire.conf"], port,
        prefix=["bash", "-c", 'export LISTEN_PID=$$ LISTEN_FDS=6; exec "$@"', "bash"])
    stage.proxies.append(proxy)
    proxy.wait_for_words("LISTEN_FDS announces 6 descriptors, of which only 0 are open")
    get(port, "/written")
    assert proxy.access_log.wait_for(lambda record: record["path"] == "/written")


def test_standard_streams_that_are_closed_become_no_other_file(stage):
    folder, port, origin = stage.new_folder(), reserve_port(), stage.origin(answer)
    (folder / "heartwire.conf").write_text(configuration(port, folder, [origin.address]))
    proxy = Heartwire(
        folder, ["run", "--config", folder / "heartwire.conf"], port,
        prefix=["bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash"])
    stage.proxies.append(proxy)
    for stream in range(3):
        assert os.readlink(f"/proc/{proxy.process.pid}/fd/{stream}") == "/dev/null"


def test_a_socket_that_fits_no_listener_is_told_also_when_it_is_in_the_way(stage):
    folder, port = stage.new_folder(), reserve_port()
    (folder / "heartwire.conf").write_text(configuration(port, folder, ["127.0.0.1:1"]).replace(f"listen 127.0.0.1:{port}", f"listen *:{port}"))
    with listening("0.0.0.0", port) as inherited:
        result = subprocess.run(
            ["bash", "-c", f'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&{inherited.fileno()}', "bash", binary(), "run", "--config",
             folder / "heartwire.conf"], pass_fds=[inherited.fileno()], capture_output=True, text=True, timeout=20)
    assert result.returncode == 69
    assert f"no 'listen' fits the inherited socket on 0.0.0.0:{port}" in result.stderr
    assert f"cannot listen on *:{port}" in result.stderr


def test_every_address_means_ipv4_too_whatever_the_system_says(stage):
    folder, port = stage.new_folder(), reserve_port()
    (folder / "heartwire.conf").write_text(configuration(port, folder, ["127.0.0.1:1"]).replace(f"listen 127.0.0.1:{port}", f"listen *:{port}"))
    script = 'ip link set lo up && echo 1 > /proc/sys/net/ipv6/bindv6only && exec "$@"'
    if subprocess.run(["unshare", "--net", "bash", "-c", script, "bash", "true"], capture_output=True).returncode != 0:
        pytest.skip("no network namespace with IPv6 can be made here")
    proxy = Heartwire(
        folder, ["run", "--config", folder / "heartwire.conf"], port, wait=False, prefix=["unshare", "--net", "bash", "-c", script, "bash"])
    stage.proxies.append(proxy)
    proxy.wait_for_words("listening on")
    for host in ("127.0.0.1", "[::1]"):
        subprocess.run(
            ["nsenter", "--net", "--target", str(proxy.process.pid), "curl", "-sS", "--noproxy", "*", f"http://{host}:{port}/"], check=True)


# Runs a program for which `socket(AF_INET6, …)` fails with EAFNOSUPPORT, as on a kernel without IPv6.
WITHOUT_IPV6 = """
import ctypes, errno, os, socket, struct, sys
instruction = lambda code, yes, no, value: struct.pack("HBBI", code, yes, no, value)
number = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
program = b"".join([
    instruction(0x20, 0, 0, 0),                                        # the number of the call
    instruction(0x15, 0, 3, number),                                   # socket?
    instruction(0x20, 0, 0, 16),                                       # its first argument
    instruction(0x15, 0, 1, socket.AF_INET6),
    instruction(0x06, 0, 0, 0x00050000 | errno.EAFNOSUPPORT),
    instruction(0x06, 0, 0, 0x7FFF0000)])
memory = ctypes.create_string_buffer(program)
filter = struct.pack("HL", 6, ctypes.addressof(memory))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, ctypes.create_string_buffer(filter), 0, 0) != 0:
    sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_every_address_means_ipv4_alone_on_a_system_without_ipv6(stage):
    origin, port = stage.origin(answer), reserve_port()
    prefix = [sys.executable, "-c", WITHOUT_IPV6]
    if subprocess.run([*prefix, "/bin/true"], capture_output=True).returncode == 77:
        pytest.skip("system calls cannot be filtered here")
    probe = "import socket; socket.socket(socket.AF_INET6)"
    assert b"Address family not supported" in subprocess.run([*prefix, sys.executable, "-c", probe], capture_output=True).stderr
    proxy = stage.heartwire(
        port=port, prefix=prefix,
        text=lambda port, folder: configuration(port, folder, [origin.address]).replace(f"listen 127.0.0.1:{port}", f"listen *:{port}"))
    assert get(port).body == b"hello"
    proxy.wait_for_words(f"listening on http://0.0.0.0:{port}")
    # A reload changes nothing, and a new address is IPv4 only too.
    path, second = proxy.folder / "heartwire.conf", reserve_port()
    path.write_text(path.read_text().replace(f"listen *:{port}", f"listen *:{port} *:{second}"))
    proxy.send_signal(signal.SIGHUP)
    proxy.wait_for_words("SIGHUP: done")
    assert get(port).body == b"hello" and get(second).body == b"hello"


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGILL, signal.SIGSEGV], ids=lambda number: number.name)
def test_a_process_that_fails_ends_at_once(stage, number):
    proxy = stage.heartwire(stage.origin(answer))
    proxy.expected_to_stop_by_itself = True
    proxy.send_signal(number)
    assert proxy.process.wait(5) == -number
