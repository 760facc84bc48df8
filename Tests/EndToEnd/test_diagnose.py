"""`heartwire diagnose`: the contract of its JSON, its files, its exit statuses, and a log of the running proxy itself."""

import gzip
import json
import os
import pty
import socket
import subprocess
import time

import pytest

from support.client import Client
from support.paths import binary
from support.planted_logs import Planted

REQUIRED = {"kind": str, "side": str, "seconds": (float, int, type(None)), "streams": int, "confidence": (float, int)}
KINDS = {
    "idle_timeout", "absolute_timeout", "buffering", "upstream_silent", "server_restart", "deployment", "worker_recycling", "hop_restart",
    "bad_server", "stale_token", "reconnect_storm", "slow_reader", "mobile_sleep", "connection_limit", "refused_by_limit",
    "credentials_refused", "proxy_error",
}


def run(*arguments, **options):
    return subprocess.run([binary(), "diagnose", *map(str, arguments)], capture_output=True, timeout=60, **options)


def diagnose(*arguments, **options):
    result = run("--json", *arguments, **options)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count(b"\n") == 1 and result.stdout.endswith(b"\n")
    told = json.loads(result.stdout)
    for finding in told["findings"]:
        for key, kind in REQUIRED.items():
            assert isinstance(finding[key], kind) and not isinstance(finding[key], bool), (key, finding)
        assert finding["kind"] in KINDS and finding["side"] in ("client", "upstream", "proxy")
        assert 0 <= finding["confidence"] <= 1 and finding["streams"] > 0
        for key in ("candidates", "routes", "servers", "evidence"):
            assert all(isinstance(element, str) for element in finding[key])
        assert finding["summary"] and isinstance(finding["advice"], str)
    return told


def claims(told):
    return [finding for finding in told["findings"] if finding["confidence"] >= 0.5]


@pytest.fixture
def log(tmp_path):
    def write(name="streams.jsonl", **planted):
        path = tmp_path / name
        path.write_text(Planted(**planted).text())
        return path
    return write


@pytest.mark.parametrize("planted, kind, side, seconds, candidate", [
    ({"silence": 60}, "idle_timeout", "client", 60, "nginx proxy_read_timeout"),
    ({"silence": 50}, "idle_timeout", "client", 50, "HAProxy as Debian packages it, timeout server"),
    ({"age": 300, "heartbeat": 15_000, "hops": ("google",)}, "absolute_timeout", "client", 300, "Google Cloud Run"),
    ({"silence": 60, "side": "upstream"}, "idle_timeout", "upstream", 60, "nginx proxy_read_timeout"),
    ({"age": 30, "heartbeat": 15_000, "side": "upstream"}, "absolute_timeout", "upstream", 30, "Spring MVC async with Tomcat"),
])
def test_a_planted_limit_is_the_one_claim_with_its_kind_side_seconds_and_hop(log, planted, kind, side, seconds, candidate):
    found = claims(diagnose(log(**planted)))
    assert len(found) == 1, found
    assert (found[0]["kind"], found[0]["side"]) == (kind, side)
    assert abs(found[0]["seconds"] - seconds) <= 1
    assert candidate in found[0]["candidates"]
    assert found[0]["people"] > 5 and found[0]["examples"][0]["line"] > 0


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_claimed_of_healthy_logs_and_what_the_path_bears_is_said(log, seed):
    told = diagnose(log(seed=seed, people=120, heartbeat=15_000))
    assert not claims(told)
    assert told["survived"]["client"]["age_seconds"] > 600 and told["excluded"]
    assert b"Nothing found" in run(log(seed=seed, people=120, heartbeat=15_000)).stdout


def test_rotated_and_packed_files_in_any_order_tell_what_one_file_tells(log, tmp_path):
    whole = log(silence=60)
    lines = whole.read_bytes().splitlines(keepends=True)
    third = len(lines) // 3
    (tmp_path / "log.2.gz").write_bytes(gzip.compress(b"".join(lines[:third])))
    (tmp_path / "log.1").write_bytes(b"".join(lines[third:2 * third]))
    (tmp_path / "log").write_bytes(b"".join(lines[2 * third:]))
    one = diagnose(whole)
    for order in (["log", "log.1", "log.2.gz"], ["log.2.gz", "log.1", "log"], ["log.1", "log", "log.2.gz"]):
        told = diagnose(*(tmp_path / name for name in order))
        assert told["streams"] == one["streams"] and told["lines"] == one["lines"]
        assert [f["seconds"] for f in claims(told)] == [60] and claims(told)[0]["streams"] == claims(one)[0]["streams"]


def test_standard_input_is_read_too(log):
    path = log(silence=60)
    assert diagnose("-", input=path.read_bytes())["findings"] == [
        finding | {"examples": [{"file": "-", "line": example["line"]} for example in finding["examples"]]}
        for finding in diagnose(path)["findings"]
    ]


@pytest.mark.parametrize("how", ["again", "symbolic", "hard", "standard input"])
def test_a_file_that_is_named_twice_counts_once_and_that_is_said(log, tmp_path, how):
    path, other = log(silence=60), tmp_path / "other.jsonl"
    if how == "again":
        other = path
    elif how == "symbolic":
        other.symlink_to(path)
    elif how == "hard":
        other.hardlink_to(path)
    else:
        other = "-"
    once = diagnose(path)
    with path.open("rb") as file:
        result = run("--json", path, other, stdin=file)
    told = json.loads(result.stdout)
    assert (told["lines"], told["streams"], told["files"]) == (once["lines"], once["streams"], once["files"])
    assert claims(told) == claims(once) and told["repeated_files"] == [str(other)]
    assert result.returncode == 0 and result.stderr.count(b"\n") == 1 and b"read once" in result.stderr
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(path.read_bytes())
    assert diagnose(path, copy)["repeated_files"] == []


@pytest.mark.parametrize("through", ["cat {} | {} diagnose --json -", "{1} diagnose --json <(cat {0})", "{1} diagnose --json - <{0}"])
def test_a_packed_log_is_unpacked_from_a_pipe_too(log, tmp_path, through):
    path, packed = log(silence=60), tmp_path / "packed"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    result = subprocess.run(["bash", "-c", through.format(packed, binary())], capture_output=True, timeout=60)
    told = json.loads(result.stdout)
    assert result.returncode == 0 and told["skipped_lines"] == 0 and told["lines"] == path.read_bytes().count(b"\n")
    assert [finding["seconds"] for finding in claims(told)] == [60]


def test_a_packed_log_is_known_by_its_first_two_bytes_when_they_come_one_by_one_and_from_a_socket(log):
    lines = log(silence=60).read_bytes()
    packed = gzip.compress(lines)
    with subprocess.Popen([binary(), "diagnose", "--json", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for piece in (packed[:1], packed[1:2], packed[2:]):
            process.stdin.write(piece)
            process.stdin.flush()
            time.sleep(0.2)
        process.stdin.close()
        assert json.loads(process.stdout.read())["lines"] == lines.count(b"\n")
    ours, theirs = socket.socketpair()
    with ours, subprocess.Popen([binary(), "diagnose", "--json", "-"], stdin=theirs, stdout=subprocess.PIPE) as process:
        theirs.close()
        ours.sendall(packed)
        ours.shutdown(socket.SHUT_WR)
        assert json.loads(process.stdout.read())["lines"] == lines.count(b"\n")
    for piece in (b"", b"\x1f", b"\x1f\x8b"):
        told = run("--json", "-", input=piece)
        assert told.returncode == (66 if len(piece) == 2 else 0), told


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_full_disk_is_told_and_no_success(log, arguments):
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [binary(), "diagnose", *arguments, log(silence=60)], stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert result.returncode == 74 and result.stderr == b"heartwire: standard output cannot be written: No space left on device (ENOSPC)\n"
    page = run(*arguments, "--html", "/dev/full", log(silence=60))
    assert page.returncode == 73 and page.stderr == b"heartwire: /dev/full cannot be written: No space left on device (ENOSPC)\n"
    # What was found is not lost with the page.
    assert b"proxy_read_timeout" in page.stdout


def test_lines_that_are_no_log_are_counted_and_skipped(log):
    path = log(silence=60)
    path.write_bytes(b"\x00\xff{\n" + b'{"time":"x","event":"stream_end"}\n[]\n' + path.read_bytes() + b'{"time":"2026-11-21T0')
    told = diagnose(path)
    assert told["skipped_lines"] == 4 and [finding["seconds"] for finding in claims(told)] == [60]


def test_a_log_of_nothing_says_which_log_is_needed(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    assert diagnose(tmp_path / "empty")["findings"] == []
    assert b"stream_log has the lines that are needed" in run(tmp_path / "empty").stdout


def test_a_file_that_cannot_be_read_is_one_clear_line_and_66(tmp_path):
    (tmp_path / "broken.gz").write_bytes(gzip.compress(b"x" * 100_000)[:60])
    for path in (tmp_path / "none", tmp_path, tmp_path / "broken.gz"):
        result = run("--json", path)
        assert result.returncode == 66 and str(path) in result.stderr.decode() and not result.stdout, result
        assert result.stderr.decode().splitlines()[-1].startswith("heartwire: ")


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--html"], ["--jsn", "a"], ["-x", "a"], ["--json", "--json", "a"]])
def test_a_mistake_on_the_command_line_is_64(arguments):
    result = run(*arguments)
    assert result.returncode == 64 and len(result.stderr.splitlines()) == 1 and not result.stdout


def test_the_page_holds_the_same_and_nothing_that_acts(log, tmp_path):
    result = run("--html", tmp_path / "why.html", log(silence=60))
    assert result.returncode == 0
    page = (tmp_path / "why.html").read_text()
    assert page.startswith("<!DOCTYPE html>") and page.endswith("</html>\n")
    assert "Idle timeout, 60 s" in page and "proxy_read_timeout 1h" in page and "the wall" in page
    assert "<script" not in page and "http:" not in page and "https:" not in page
    assert os.stat(tmp_path / "why.html").st_mode & 0o777 == 0o640
    assert run("--html", tmp_path / "no" / "folder.html", log()).returncode == 73


def test_text_has_colours_on_a_terminal_only_and_not_with_no_color(log):
    path = log(silence=60)

    def seen(**environment):
        main, other = pty.openpty()
        with subprocess.Popen([binary(), "diagnose", path], stdout=other, stderr=other, env=os.environ | environment) as process:
            os.close(other)
            text = b""
            try:
                while piece := os.read(main, 65_536):
                    text += piece
            except OSError:
                pass
            assert process.wait() == 0
        os.close(main)
        return text

    assert b"\x1b[1;31m" in seen(TERM="xterm", NO_COLOR="")
    assert b"\x1b[1" not in seen(TERM="xterm", NO_COLOR="1")
    assert b"\x1b" not in run(path).stdout


def test_it_ends_at_once_when_its_reader_or_the_operator_has_enough(log):
    path = log(silence=60)
    with subprocess.Popen([binary(), "diagnose", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(path.read_bytes())
        process.terminate()
        assert process.wait(5) == -15
    shell = subprocess.run(f"'{binary()}' diagnose {path} | head -n 1", shell=True, capture_output=True, timeout=20)
    assert shell.stdout.count(b"\n") == 1 and not shell.stderr


def test_the_running_proxys_own_log_is_read_whole(stage):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"id: 1\ndata: a\n\n")
        connection.wait_until_left(20)
    proxy = stage.heartwire(stage.origin(handler))
    for _ in range(6):
        with Client(proxy.port) as client:
            _, body = client.open_stream("/events")
            body.wait_for(b"data: a")
    deadline = time.time() + 10
    while (told := diagnose(proxy.folder / "stream.log"))["ended"] < 6 and time.time() < deadline:
        time.sleep(0.1)
    assert told["streams"] == told["ended"] == 6 and told["skipped_lines"] == 0 and not claims(told)


@pytest.mark.heavy
def test_two_million_lines_take_less_than_two_hundred_mebibytes(log, tmp_path):
    seed = log(people=400, silence=60).read_bytes()
    path = tmp_path / "large.jsonl"
    copies = 2_000_000 // seed.count(b"\n") + 1
    with path.open("wb") as file:
        for number in range(copies):
            file.write(seed.replace(b'"198.51.100.', b'"10.%d.100.' % (number % 250)).replace(b'"w0-', b'"w%d-' % number))
    started = time.monotonic()
    process = subprocess.Popen([binary(), "diagnose", "--json", path], stdout=subprocess.PIPE)
    told = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - started
    print(f"diagnose: {told['lines']} lines in {seconds:.2f} s, {usage.ru_utime:.2f} s of them its own, {usage.ru_maxrss / 1024:.0f} MiB")
    assert process.returncode == 0 and told["lines"] >= 2_000_000 and told["skipped_lines"] == 0
    assert usage.ru_maxrss < 200 * 1024
    assert [finding["seconds"] for finding in claims(told)] == [60]
