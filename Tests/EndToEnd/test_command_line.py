"""The command line: synopsis, one-line errors, exit statuses 64, 78 and 69."""

import os
import signal
import socket
import subprocess

import pytest

from support.client import Client, get
from support.heartwire import configuration
from support.paths import REPOSITORY, binary
from support.ports import reserve_port


def run(*arguments, **options):
    return subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True, timeout=20, **options)


def one_clear_line(result, status):
    assert result.returncode == status, f"status {result.returncode}: {result.stderr}"
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, f"not one line: {result.stderr!r}"
    assert result.stdout == ""
    return lines[0]


def test_the_version_is_told_on_standard_output():
    result = run("--version")
    assert result.returncode == 0 and result.stdout.startswith("heartwire ") and not result.stderr


@pytest.mark.parametrize("arguments", [
    ["--help"], ["proxy", "--help"], ["run", "--help"], ["check", "--help"], ["diagnose", "--help"], ["demo", "--help"]])
def test_help_is_told_on_standard_output(arguments):
    result = run(*arguments)
    assert result.returncode == 0 and not result.stderr
    assert "heartwire " + (arguments[0] if len(arguments) > 1 else "") in result.stdout
    for name in ("proxy", "run", "check", "diagnose", "demo") if len(arguments) == 1 else ():
        assert name in result.stdout


def test_the_help_of_proxy_names_every_option():
    text = run("proxy", "--help").stdout
    for option in ("--upstream", "--listen", "--heartbeat", "--bearer-from", "--workers", "--stream-log", "--access-log"):
        assert option in text


UPSTREAM = ["--upstream", "http://127.0.0.1:9"]


@pytest.mark.parametrize("arguments, hint", [
    ([], ""), (["serve"], ""), (["prox"], "proxy"), (["proxy"], "--upstream"),
    (["proxy", "--upstrem", "http://127.0.0.1:9"], "--upstream"),
    (["proxy", *UPSTREAM, "--listen", "127.0.0.1:8", "--heartbeat", "15"], "15"),
    (["proxy", *UPSTREAM, "--listen", "127.0.0.1:8", "--heartbeat", "50ms"], "100"),
    (["proxy", *UPSTREAM, "--listen", "127.0.0.1:8", "--heartbeat", "2h"], "1h"),
    (["proxy", *UPSTREAM, "--listen", "nonsense"], "nonsense"),
    (["proxy", *UPSTREAM, "--listen", "127.0.0.1:99999"], "99999"),
    (["proxy", "--upstream", "ftp://a", "--listen", "127.0.0.1:8"], "ftp"),
    (["proxy", "--upstream", "", "--listen", "127.0.0.1:8"], "--upstream"),
    (["proxy", *UPSTREAM, "--listen"], "--listen"),
    (["proxy", *UPSTREAM, "--listen", "127.0.0.1:8", "--bearer-from", "header:x"], "header"),
    (["proxy", *UPSTREAM, "--listen", "127.0.0.1:8", "--workers", "-1"], "-1"),
    (["proxy", *UPSTREAM, "--listen", "127.0.0.1:8", "extra"], "extra"),
    (["run"], "--config"), (["check"], "--config"), (["run", "--confg", "x"], "--config"),
    (["demo", "--listen", "127.0.0.1"], "127.0.0.1"),
])
def test_a_usage_error_is_one_clear_line_and_64(arguments, hint):
    assert hint in one_clear_line(run(*arguments), 64)


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_missing_configuration_file_is_one_clear_line_and_78(command, tmp_path):
    line = one_clear_line(run(command, "--config", tmp_path / "missing.conf"), 78)
    assert "missing.conf" in line and "No such file" in line


def test_a_bad_configuration_shows_every_error_with_its_place_and_the_nearest_word(tmp_path):
    path = tmp_path / "bad.conf"
    path.write_text("listen 127.0.0.1:8080\nupstream a {\n    server 127.0.0.1:9\n}\n"
                    "route /* {\n    upstream b\n    hartbeat 15s\n    opening maybe\n}\n")
    for command in ("check", "run"):
        result = run(command, "--config", path)
        assert result.returncode == 78 and result.stdout == ""
        assert f"{path}:6:14: " in result.stderr
        assert f"{path}:7:5: " in result.stderr and "'heartbeat'" in result.stderr
        assert f"{path}:8:13: " in result.stderr
        assert "    hartbeat 15s\n" in result.stderr and "^" in result.stderr


def test_check_says_that_a_good_configuration_is_good():
    result = run("check", "--config", REPOSITORY / "conf" / "heartwire.conf")
    assert result.returncode == 0, result.stderr


def test_a_port_in_use_is_one_clear_line_and_69(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        assert address in one_clear_line(run("proxy", *UPSTREAM, "--listen", address), 69)
        assert address in one_clear_line(run("demo", "--listen", address), 69)
        path = tmp_path / "taken.conf"
        path.write_text(f"listen {address}\nupstream a {{\n    server 127.0.0.1:9\n}}\nroute /* {{\n    upstream a\n}}\n")
        assert address in one_clear_line(run("run", "--config", path), 69)


def test_an_address_of_another_machine_is_69():
    assert "192.0.2.1" in one_clear_line(run("proxy", *UPSTREAM, "--listen", "192.0.2.1:8080"), 69)


def test_a_second_heartwire_on_the_same_port_is_69(stage):
    proxy = stage.heartwire(stage.origin(lambda connection, request: connection.respond()))
    one_clear_line(run("proxy", *UPSTREAM, "--listen", f"127.0.0.1:{proxy.port}"), 69)


def test_a_log_file_that_cannot_be_opened_is_one_clear_line(tmp_path):
    port = reserve_port()
    result = run("proxy", *UPSTREAM, "--listen", f"127.0.0.1:{port}", "--stream-log", tmp_path / "no" / "such" / "dir.log")
    assert result.returncode != 0 and "dir.log" in one_clear_line(result, result.returncode)


@pytest.mark.parametrize("style", ["{} {}", "{}={}"])
def test_proxy_with_every_option_in_both_spellings(stage, style):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: %s\n\n" % (request.value("authorization") or b"none"))
        connection.wait_until_left(20)
    origin, port, folder = stage.origin(handler), reserve_port(), stage.new_folder()
    options = [("--upstream", f"http://{origin.address}"), ("--listen", f"127.0.0.1:{port}"), ("--heartbeat", "250ms"),
               ("--bearer-from", "query:key"), ("--bearer-from", "cookie:jar"), ("--workers", "2"),
               ("--stream-log", folder / "s.log"), ("--access-log", folder / "a.log")]
    arguments = ["proxy"]
    for name, value in options:
        arguments += style.format(name, value).split(" ")
    stage.command(arguments, port)
    for path, fields, expected in (("/?key=fromQuery", "", b"Bearer fromQuery"), ("/", "Cookie: jar=fromCookie\r\n", b"Bearer fromCookie")):
        with Client(port) as client:
            _, body = client.open_stream(path, fields)
            body.wait_for(b"data: " + expected + b"\n\n")
            body.wait_for(lambda data: data.count(b":\n\n") >= 3, timeout=4)
    assert (folder / "s.log").exists() and (folder / "a.log").exists()


def test_the_committed_configuration_runs_as_it_is(stage):
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8080)) == 0:
            pytest.skip("something else listens on 127.0.0.1:8080 here")
    stage.command(["run", "--config", REPOSITORY / "conf" / "heartwire.conf"], 8080)
    assert get(8080, "/").status in (502, 503), "nobody is behind it in this test"


def test_a_configuration_takes_values_from_the_environment(stage):
    origin = stage.origin(lambda connection, request: connection.respond(200, b"here"))

    def text(port, folder):
        return ("listen {$ADDRESS}\nupstream origin {\n    server {$SERVER}\n}\n"
                "route /* {\n    upstream origin\n    heartbeat {$BEAT:20s}\n}\n")
    port = reserve_port()
    proxy = stage.heartwire(text=text, port=port, environment={"ADDRESS": f"127.0.0.1:{port}", "SERVER": origin.address})
    assert get(proxy.port).body == b"here"


def test_a_configuration_may_come_out_of_a_pipe_once(stage, tmp_path):
    port = reserve_port()
    path = tmp_path / "heartwire.conf"
    path.write_text(configuration(port, tmp_path, ["127.0.0.1:1"]))
    assert subprocess.run(
        ["bash", "-c", f'"$1" check --config <(sleep 0.3; cat {path})', "bash", binary()], capture_output=True, timeout=20).returncode == 0
    with open(path) as source, subprocess.Popen(["cat"], stdin=source, stdout=subprocess.PIPE) as writer:
        assert subprocess.run([binary(), "check", "--config", "/dev/stdin"], stdin=writer.stdout, capture_output=True, timeout=20).returncode == 0
    with subprocess.Popen(
        ["bash", "-c", f'exec "$1" run --config <(sleep 0.3; cat {path})', "bash", binary()], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert "listening on" in process.stderr.readline()
            process.send_signal(signal.SIGHUP)
            assert "it is a pipe, and cannot be read again" in process.stderr.readline()
            assert "the one in force stays" in process.stderr.readline()
            assert get(port).status == 502
        finally:
            process.terminate()
            assert process.wait(10) == 0


@pytest.mark.parametrize("path, words", [("/dev/zero", "larger than 1MiB"), ("/", "Is a directory"), ("/dev/null", "there is no 'listen'")])
def test_a_configuration_that_is_no_file_ends_with_one_line(path, words):
    result = run("check", "--config", path)
    assert result.returncode == 78 and words in result.stderr, result


@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_certificate_that_is_a_pipe_holds_up_no_start(tmp_path, verb):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "heartwire.conf").write_text(
        f"listen 127.0.0.1:{reserve_port()} {{\ntls {{\ncertificate {tmp_path}/pipe {tmp_path}/pipe\n}}\n}}\nroute /* {{\nupstream 127.0.0.1:9\n}}\n")
    result = run(verb, "--config", tmp_path / "heartwire.conf")
    assert result.returncode == 78 and f"{tmp_path}/pipe: it cannot be read: it is a pipe" in result.stderr, result


@pytest.mark.parametrize("line", [
    "fingerprint_key=PLANTED-S3CRET", "fingerprint_keys PLANTED-S3CRET", "fingerprint_key\n    PLANTED-S3CRET",
    "upstream u {\n    server http://user:PLANTED-S3CRET@127.0.0.1:9000\n}", "listen https://user:PLANTED-S3CRET@127.0.0.1:8080"])
def test_check_never_shows_a_secret(tmp_path, line):
    path = tmp_path / "heartwire.conf"
    path.write_text(f"listen 127.0.0.1:8080\nroute /* {{\n    upstream 127.0.0.1:9000\n}}\n{line}\n")
    for verb in ("check", "run"):
        result = subprocess.run([binary(), verb, "--config", path], capture_output=True, timeout=20)
        assert result.returncode == 78 and b"heartwire.conf:" in result.stderr
        assert b"S3CRET" not in result.stderr + result.stdout
