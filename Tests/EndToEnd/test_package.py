"""The packages: made twice with the same bytes, installed on a Debian that was made for it, upgraded under load, removed, purged."""

import concurrent.futures
import os
import re
import resource
import shutil
import subprocess
import time

import pytest

from support import debian
from support.client import Client, get
from support.crowd import Crowd
from support.debian import Debian
from support.paths import REPOSITORY, binary
from support.ports import reserve_port
from support.storm import Storm

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(400)]

UNIT = "usr/lib/systemd/system/heartwire.service"
CONFIGURATION = "etc/heartwire/heartwire.conf"


def build(folder, revision, **environment):
    """Packs the binary under test; returns the package and the tarball."""
    result = subprocess.run(
        [REPOSITORY / "conf/package/build", "--binary", binary(), "--revision", revision, "--output", folder],
        capture_output=True, text=True, timeout=200, env={
            **os.environ, "SOURCE_DATE_EPOCH": "1795000000", "DEBFULLNAME": "The tests", "DEBEMAIL": "tests@heartwire.example", **environment})
    assert result.returncode == 0, result.stdout + result.stderr
    package, tarball = result.stdout.splitlines()[-2:]
    return package, tarball


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Two builds of the same, and one of the next version."""
    libraries = subprocess.run(["readelf", "--dynamic", "--wide", binary()], capture_output=True, text=True).stdout
    if "libswiftCore" in libraries:
        pytest.skip("the binary under test needs a Swift runtime beside it: conf/package/compile makes one that does not")
    folder = tmp_path_factory.mktemp("packages")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(build, folder / "first", "1")
        again = pool.submit(build, folder / "again", "1", TZ="Asia/Kathmandu", LANG="de_DE.UTF-8", HOME="/nonexistent")
        second = pool.submit(build, folder / "second", "2")
        return {"first": first.result(), "again": again.result(), "second": second.result()}


@pytest.fixture(scope="module")
def machines():
    """A folder with a minimal Debian in `base`."""
    if reason := debian.why_not():
        pytest.skip(f"no Debian can be made here: {reason}")
    with debian.folder_for_machines() as folder:
        debian.bootstrap(folder / "base")
        yield folder


def test_the_same_program_gives_the_same_bytes(packages):
    for first, again in zip(packages["first"], packages["again"]):
        assert os.path.basename(first) == os.path.basename(again)
        with open(first, "rb") as one, open(again, "rb") as other:
            assert one.read() == other.read(), f"{os.path.basename(first)} differs"
    # And bytes that are meant to differ do.
    assert subprocess.run(["cmp", "-s", packages["first"][0], packages["second"][0]]).returncode == 1


def test_lintian_finds_no_error(packages):
    if not shutil.which("lintian"):
        pytest.skip("lintian is not installed")
    result = subprocess.run(["lintian", "--allow-root", "--no-cfg", packages["first"][0]], capture_output=True, text=True, timeout=120)
    print(result.stdout)
    assert not re.search(r"(?m)^E:|hardening", result.stdout) and result.returncode == 0, result.stdout + result.stderr


def test_the_tarball_holds_what_the_package_holds(packages, tmp_path):
    package, tarball = packages["first"]
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path / "package"], check=True)
    (tmp_path / "tarball").mkdir()
    subprocess.run(["tar", "-C", tmp_path / "tarball", "--strip-components=1", "-xf", tarball], check=True)
    result = subprocess.run(["diff", "-r", tmp_path / "package", tmp_path / "tarball"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    for place in (UNIT, CONFIGURATION, "usr/bin/heartwire", "usr/share/man/man5/heartwire.conf.5.gz", "usr/share/doc/heartwire/logs.md"):
        assert (tmp_path / "tarball" / place).stat().st_size > 0


# A machine's life


def handler(connection, request):
    """Ordinary answers, and streams of numbered events that a hundred clients do not make expensive."""
    if not request.target.startswith(b"/stream"):
        return connection.respond(200, b"whole")
    connection.start_stream()
    number = 0
    while True:
        connection.chunk(b"data: event %d\n\n" % number)
        number += 1
        time.sleep(0.2)


def unit_words(root) -> dict:
    return dict(re.findall(r"(?m)^(\w+)=(.*)$", (root / UNIT).read_text()))


def start(machine, port, errors) -> subprocess.Popen:
    """Starts the unit's command line as its user: there is no systemd in the folder."""
    unit = unit_words(machine.root)
    # Not every machine lets its root raise this limit.
    files = min(int(unit["LimitNOFILE"]), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    process = subprocess.Popen(
        [*machine.prefix, "prlimit", f"--nofile={files}", f"--core={unit['LimitCORE']}",
         "runuser", "-u", unit["User"], "--", *unit["ExecStart"].split()], stdin=subprocess.DEVNULL, stderr=open(errors, "ab"))
    wait_for(lambda: serves(port), lambda: f"nobody listens: {errors.read_text()}")
    return process


def serves(port) -> bool:
    try:
        return get(port).body == b"whole"
    except OSError:
        return False


def wait_for(condition, otherwise, timeout=20):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, otherwise() if callable(otherwise) else otherwise
        time.sleep(0.02)


def serving(machine) -> list:
    return machine.run("/usr/lib/heartwire/signal", "--list").stdout.split()


def is_farewell(body) -> bool:
    """Whether a stream was ended in order: between two events, with the time to come back, and no event missing."""
    data = bytes(body.data)
    numbers = [int(number) for number in re.findall(rb"data: event (\d+)\n", data)]
    return body.complete and bool(re.search(rb"\n\nretry: \d+\n\Z", data)) and numbers == list(range(len(numbers)))


def edited(text, port, origin) -> str:
    """The shipped configuration as an operator edits it. Who asks for /crowd is answered by the proxy itself."""
    for before, after in [("127.0.0.1:8080", f"127.0.0.1:{port}"), ("127.0.0.1:9000", origin.address)]:
        assert before in text
        text = text.replace(before, after)
    return text + "\ndrain 3s\ngrace 6s\nroute /crowd {\nupstream backend\nbearer_from query token\nbearer_missing refuse\n}\n"


def test_a_package_is_installed_upgraded_removed_and_purged(packages, machines, stage, tmp_path):
    root, origin, port, errors = machines / "life", stage.origin(handler), reserve_port(), tmp_path / "errors"
    debian.copy(machines / "base", root)
    for name in ("first", "second"):
        shutil.copy(packages[name][0], root / f"tmp/{name}.deb")
    with Debian(root) as machine:
        machine.apt("install", "logrotate")
        files, users = machine.files(), (root / "etc/passwd").read_text()

        # Installed: nothing runs, the configuration is good and safe.
        said = machine.apt("install", "/tmp/first.deb")
        news = re.search(r"NEW packages will be installed:\n(.*)\n", said)[1].split()
        print("installed with apt:", *news)
        assert set(news) <= {"heartwire", "libssl3", "libssl3t64"}, news
        depends = machine.run("dpkg-query", "--show", "-f", "${Depends}", "heartwire").stdout
        assert re.sub(r" \(.*?\)", "", depends).split(", ") == ["libc6", "libssl3", "adduser"]
        assert serving(machine) == []
        told = machine.run("/usr/bin/heartwire", "check", "--config", f"/{CONFIGURATION}").stdout
        assert "Listens on 127.0.0.1:8080;" in told
        assert (root / "etc/systemd/system/multi-user.target.wants/heartwire.service").is_symlink()
        places = machine.run("stat", "-c", "%U:%G %a", "/etc/heartwire", "/var/log/heartwire").stdout.split("\n")
        assert places[:2] == ["root:heartwire 750", "heartwire:heartwire 750"]
        machine.run("runuser", "-u", "nobody", "--", "cat", f"/{CONFIGURATION}", status=1)

        # One file is edited, and it serves.
        path = root / CONFIGURATION
        path.write_text(edited(path.read_text(), port, origin))
        start(machine, port, errors)
        first = serving(machine)
        assert len(first) == 1
        limits = machine.run("cat", f"/proc/{first[0]}/limits").stdout
        assert re.search(r"Max core file size +0 +0", limits)

        # Upgraded, under a hundred streams and a thousand connections a second.
        clients = [Client(port) for _ in range(100)]
        streams = [client.open_stream("/stream")[1] for client in clients]
        with Crowd(port, "/crowd", 401, rate=1100) as crowd, Storm(port, pause=0.02) as storm:
            storm.wait_for(50)
            said = machine.apt("install", "/tmp/second.deb")
            assert "Setting up heartwire" in said, said
            wait_for(lambda: "has taken over" in errors.read_text(), f"no new process serves: {said}\n{errors.read_text()}")
            storm.wait_for(50)
            for body in streams:
                body.read_to_end(20)
            wait_for(lambda: len(running(machine)) == 1, "the old process does not end")
        crowd.check()
        storm.check()
        assert crowd.rate >= 1000, f"only {crowd.rate:.0f} connections a second"
        assert all(map(is_farewell, streams)), "a stream was cut"
        second = serving(machine)
        assert len(second) == 1 and second != first
        assert os.path.samestat(os.stat(root / "usr/bin/heartwire"), os.stat(exe(machine, second[0]))), "an old program serves"
        print(f"an upgrade under 100 streams: {crowd.rate:.0f} connections a second, {crowd.answers} in all, and {storm.answers} to the server")
        for client in clients:
            client.close()

        # A configuration that the new program cannot use: the old one goes on, and says so.
        good = path.read_text()
        path.write_text(good + "nonsense\n")
        with Client(port) as client:
            body = client.open_stream("/stream")[1]
            said = machine.apt("install", "--reinstall", "/tmp/second.deb")
            assert "goes on serving" in said and "unknown directive 'nonsense'" in said, said
            assert serving(machine) == second
            count = len(body.data)
            body.wait_for(lambda data: len(data) > count + 20)
            path.write_text(good)
            machine.run("/usr/lib/heartwire/signal", "USR2")
            body.read_to_end(20)
            assert is_farewell(body)
        wait_for(lambda: serving(machine) not in ([], second) and len(running(machine)) == 1, "nobody has taken over")

        # Logs are rotated, and written on.
        log = root / "var/log/heartwire/streams.jsonl"
        machine.run("logrotate", "--force", "/etc/logrotate.d/heartwire")
        assert log.with_suffix(".jsonl.1").read_text().count("stream_end") == 101
        with Client(port) as client:
            client.open_stream("/stream?after-the-rotation")
        wait_for(lambda: "stream_end" in log.read_text(), "nothing is written into the new log")
        assert machine.run("stat", "-c", "%U %a", "/var/log/heartwire/streams.jsonl").stdout == "heartwire 640\n"

        # Removed: streams end in order; what the operator wrote stays.
        with Client(port) as client:
            body = client.open_stream("/stream")[1]
            machine.apt("remove", "heartwire")
            body.read_to_end(20)
            assert is_farewell(body)
        assert not (root / "usr/bin/heartwire").exists() and path.read_text() == good and log.exists()
        assert running(machine) == []
        machine.apt("install", "/tmp/first.deb")
        assert path.read_text() == good
        links = root / "etc/systemd/system"
        assert (links / "multi-user.target.wants/heartwire.service").is_symlink() and not (links / "heartwire.service").is_symlink()

        # Purged: nothing is left.
        machine.apt("purge", "--autoremove", "heartwire")
        # The backup is that of the list of users, the status logrotate's own.
        assert machine.files() - files <= {"etc/shadow-", "etc/gshadow-", "var/lib/logrotate/status"}
        assert (root / "etc/passwd").read_text() == users


def exe(machine, process) -> str:
    """Where this machine sees the program of a process in the folder."""
    return f"/proc/{machine.holder}/root/proc/{process}/exe"


def running(machine) -> list:
    """All processes of the program: one that serves, and those that are draining."""
    names = machine.run("sh", "-c", "grep -lx heartwire /proc/[0-9]*/comm || true").stdout
    return re.findall(r"\d+", names)


def shown(machine, *names) -> dict:
    """Properties of the service, as systemd has them."""
    text = machine.run("systemctl", "show", "heartwire", *(f"--property={name}" for name in names)).stdout
    return dict(line.split("=", 1) for line in text.splitlines())


def test_systemd_itself_has_the_service_upgraded_and_ends_it(packages, machines, stage):
    if reason := debian.why_no_boot():
        pytest.skip(f"systemd cannot be started as the first process: {reason}")
    root, origin, port = machines / "systemd", stage.origin(handler), reserve_port()
    debian.copy(machines / "base", root)
    with Debian(root) as machine:
        machine.apt("install", "systemd", "systemd-sysv")
    # systemd empties /tmp.
    for name in ("first", "second"):
        shutil.copy(packages[name][0], root / f"root/{name}.deb")
    with debian.BootedDebian(root) as machine:
        links = machine.files()
        machine.apt("install", "/root/first.deb")
        assert machine.run("systemctl", "is-enabled", "heartwire").stdout == "enabled\n"
        assert shown(machine, "ActiveState") == {"ActiveState": "inactive"}
        path = root / CONFIGURATION
        # The file takes a word of the service's environment, which the check before an upgrade has to know.
        path.write_text(edited(path.read_text(), port, origin) + "fingerprint_key {$KEY}\n")
        folder = root / "etc/systemd/system/heartwire.service.d"
        folder.mkdir()
        (folder / "key.conf").write_text("[Service]\nEnvironment='KEY=sixteen bytes and a few more'\n")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", "heartwire")
        first = shown(machine, "MainPID")

        clients = [Client(port) for _ in range(20)]
        streams = [client.open_stream("/stream")[1] for client in clients]
        with Crowd(port, "/crowd", 401, rate=500) as crowd:
            said = machine.apt("install", "/root/second.deb")
            assert "the new version serves" in said, said
            for body in streams:
                body.read_to_end(20)
        crowd.check()
        assert all(map(is_farewell, streams)), "a stream was cut"
        for client in clients:
            client.close()
        second = shown(machine, "MainPID")
        assert second != first and shown(machine, "NRestarts", "ActiveState") == {"NRestarts": "0", "ActiveState": "active"}

        good = path.read_text()
        path.write_text(good + "nonsense\n")
        said = machine.apt("install", "--reinstall", "/root/second.deb")
        assert "goes on serving" in said and shown(machine, "MainPID") == second
        path.write_text(good)
        machine.run("systemctl", "reload", "heartwire")

        with Client(port) as client:
            body = client.open_stream("/stream")[1]
            machine.apt("remove", "heartwire")
            body.read_to_end(20)
            assert is_farewell(body)
        machine.apt("purge", "--autoremove", "heartwire")
        left = {name for name in machine.files() - links if "heartwire" in name}
        assert left == {str(folder.relative_to(root)), str((folder / "key.conf").relative_to(root))}, left


# The container, without an engine


def instructions() -> list:
    """The lines of the Containerfile: each an instruction and its words."""
    lines = (REPOSITORY / "conf/package/Containerfile").read_text().splitlines()
    return [tuple(line.split(" ", 1)) for line in lines if line and not line.startswith("#")]


def words_of(name) -> list:
    """The words of an instruction in the form of JSON."""
    return re.findall(r'"([^"]*)"', dict(instructions())[name])


def test_the_container_runs_as_its_user_on_a_root_that_cannot_be_written(packages, machines, stage, tmp_path):
    root, origin, port, console = machines / "container", stage.origin(handler), reserve_port(), reserve_port()
    debian.copy(machines / "base", root)
    assert dict(instructions())["FROM"].endswith("/debian:${DEBIAN}-slim")
    with Debian(root) as machine:
        for name, rest in instructions():
            if name == "COPY":
                shutil.copy(packages["first"][0], root / rest.split()[1].lstrip("/"))
            elif name == "RUN":
                machine.run("sh", "-c", rest)
    path = root / CONFIGURATION
    text = path.read_text()
    assert "\nlisten *:8080\n" in text and "\nstream_log stdout\n" in text
    # The operator's own file, which an engine would mount there.
    path.write_text(text.replace("*:8080", f"127.0.0.1:{port}").replace("127.0.0.1:9000", origin.address) + f"console 127.0.0.1:{console}\n")
    with Debian(root, is_read_only=True) as machine:
        files = machine.files()
        machine.run("touch", "/etc/heartwire/x", status=1)
        machine.run(*words_of("HEALTHCHECK"), status=1)
        user, group = dict(instructions())["USER"].split(":")
        out = tmp_path / "out"
        process = subprocess.Popen(
            [*machine.prefix, "unshare", "--pid", "--fork", "--kill-child", "setpriv", f"--reuid={user}", f"--regid={group}",
             "--clear-groups", "--no-new-privs", "--bounding-set=-all", *words_of("ENTRYPOINT"), *words_of("CMD")],
            stdin=subprocess.DEVNULL, stdout=open(out, "wb"), stderr=subprocess.STDOUT)
        wait_for(lambda: serves(port), lambda: f"nobody listens: {out.read_text()}")
        assert len(running(machine)) == 1, "one process is meant"
        status = machine.run("cat", f"/proc/{running(machine)[0]}/status").stdout
        assert re.search(rf"Uid:\s+{user}\s+{user}", status) and re.search(r"NSpid:.*\s1\n", status)
        machine.run(*words_of("HEALTHCHECK"))
        with Client(port) as client:
            body = client.open_stream("/stream")[1]
            body.wait_for(b"event 3\n")
            machine.run("sh", "-c", f"kill -s {dict(instructions())['STOPSIGNAL'].removeprefix('SIG')} {running(machine)[0]}")
            body.read_to_end(20)
            assert is_farewell(body)
        assert process.wait(20) == 0
        assert b'"cause":"drained"' in out.read_bytes()
        machine.run(*words_of("HEALTHCHECK"), status=1)
        assert machine.files() == files
