"""`heartwire probe` in front of the proxy's endpoint, through real hops and through forwarders that misbehave: each of them is named with
its kind, its side and its seconds, and a clean path gets nothing."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import pty
import re
import select
import subprocess
import threading
import time

import pytest

from support.forwarders import Forwarder
from support.paths import binary
from test_hops import hops  # noqa: F401 (a fixture)

SECRET = "a secret of the endpoint's own"


@pytest.fixture
def endpoint(stage, tmp_path):
    """A proxy with an endpoint for probes."""
    (tmp_path / "secret").write_text(SECRET + "\n")
    return stage.heartwire("127.0.0.1:1", heartbeat="1s", top=f"probe_endpoint /probe secret_file {tmp_path}/secret")


@pytest.fixture
def forwarders():
    started = []

    def start(target, **options):
        started.append(Forwarder(target, **options))
        return started[-1]
    yield start
    for forwarder in started:
        forwarder.close()


def run(*arguments, timeout=60) -> subprocess.CompletedProcess:
    return subprocess.run([str(binary()), "probe", *map(str, arguments)], capture_output=True, text=True, timeout=timeout)


def probe(port, tmp_path, steps, seconds="6s", *more, scheme="http", host="127.0.0.1") -> dict:
    done = run("--json", "--secret-file", tmp_path / "secret", "--steps", steps, "--for", seconds, *more,
               f"{scheme}://{host}:{port}/probe")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def only(report: dict) -> dict:
    assert len(report["findings"]) == 1, report
    finding = report["findings"][0]
    assert finding["side"] == "client" and finding["confidence"] >= 0.5, finding
    return finding


def test_a_clean_path_gets_nothing_and_what_it_was_proved_to_bear(endpoint, tmp_path):
    report = probe(endpoint.port, tmp_path, "1-10")
    assert report["findings"] == [] and report["untold"] == [] and "stopped" not in report, report
    proved = "\n".join(report["proved"])
    for words in ("the head comes at once", "a single event comes at once", "events come one by one", "comments pass",
                  "no idle limit below 4.5 s", "no absolute limit below 6.0 s", "a silence of 6.0 s is survived",
                  "a head may come 6.0 s after", "hears within", "8 streams", "no cache answers"):
        assert words in proved, f"{words!r} is not proved:\n{proved}"
    assert report["heartbeat_seconds"] == 1.0
    records = endpoint.stream_log.records()
    assert {record["route"] for record in records} == {"probe_endpoint"}
    assert all(record["heartbeats"] == 0 for record in records if record["event"] == "stream_end")


NGINX = {"buffered": {}, "heeding": {}, "unbuffered": {"proxy_read_timeout 60s;": "proxy_read_timeout 60s; proxy_buffering off;"},
         "gzip": {"proxy_read_timeout 60s;": "proxy_read_timeout 60s; gzip on; gzip_proxied any; gzip_http_version 1.0; "
                                             "gzip_min_length 0; gzip_types text/event-stream;"}}


def test_nginx_holds_the_head_unless_its_buffering_is_off(endpoint, hops, tmp_path):
    buffered = hops("nginx", "in front", endpoint.port)
    finding = only(probe(buffered.port, tmp_path, "1"))
    assert finding["kind"] == "head_held" and finding["seconds"] == pytest.approx(3, abs=0.3) and "proxy_buffering" in finding["advice"]
    open_hop = hops("nginx", "in front", endpoint.port, NGINX["unbuffered"])
    report = probe(open_hop.port, tmp_path, "1-4,9")
    assert report["findings"] == [] and "nginx" in report["hops"], report


def test_nginx_over_http_1_0_holds_all_events_and_heeds_x_accel_buffering(endpoint, hops, tmp_path):
    hop = hops("nginx", "in front", endpoint.port, {"proxy_http_version 1.1;": "proxy_http_version 1.0;"})
    finding = only(probe(hop.port, tmp_path, "3"))
    assert finding["kind"] == "buffering" and "until the response ends" in finding["summary"], finding
    assert any("X-Accel-Buffering: no" in line for line in finding["evidence"]), finding
    assert any("KiB" in line for line in finding["evidence"]), finding


def test_nginx_with_gzip_holds_compressed_events_alone(endpoint, hops, tmp_path):
    report = probe(hops("nginx", "in front", endpoint.port, NGINX["gzip"]).port, tmp_path, "3")
    finding = only(report)
    assert finding["kind"] == "buffering" and "with gzip allowed" in finding["summary"], finding
    assert any("compressed: gzip" in line for line in finding["evidence"]), finding


def test_nginx_ends_idle_streams_after_its_read_timeout(endpoint, hops, tmp_path):
    hop = hops("nginx", "in front", endpoint.port, {"proxy_read_timeout 60s;": "proxy_read_timeout 3s; proxy_buffering off;"})
    report = probe(hop.port, tmp_path, "5", "8s")
    finding = only(report)
    assert finding["kind"] == "idle_timeout" and finding["seconds"] == pytest.approx(3, abs=1) and finding["streams"] == 2, finding
    assert finding["confidence"] >= 0.9 and any("client_closed" in line for line in finding["evidence"]), finding
    assert any("no absolute limit below" in line for line in report["proved"]), report


def test_haproxy_ends_idle_streams_after_its_server_timeout(endpoint, hops, tmp_path):
    hop = hops("HAProxy", "in front", endpoint.port, {"timeout server 50s": "timeout server 3s"})
    finding = only(probe(hop.port, tmp_path, "5", "8s"))
    assert finding["kind"] == "idle_timeout" and finding["seconds"] == pytest.approx(3, abs=1), finding
    assert any("client_reset" in line for line in finding["evidence"]), finding


def test_haproxy_without_its_two_options_delays_events_and_hides_that_a_client_left(endpoint, hops, tmp_path):
    hop = hops("HAProxy", "in front", endpoint.port, {"option http-no-delay": "", "option abortonclose": ""})
    found = {finding["kind"]: finding for finding in probe(hop.port, tmp_path, "3,9")["findings"]}
    assert set(found) == {"buffering", "leaving_unnoticed"}, found
    assert found["buffering"]["seconds"] == pytest.approx(0.2, abs=0.1) and "http-no-delay" in found["buffering"]["advice"]
    assert "abortonclose" in found["leaving_unnoticed"]["advice"]


def test_a_late_head_is_answered_by_nginx_itself(endpoint, hops, tmp_path):
    hop = hops("nginx", "in front", endpoint.port, {"proxy_read_timeout 60s;": "proxy_read_timeout 2s;"})
    finding = only(probe(hop.port, tmp_path, "8", "6s"))
    assert finding["kind"] == "first_byte_timeout" and finding["seconds"] == pytest.approx(2, abs=1), finding
    assert any("504" in line for line in finding["evidence"]), finding


def test_a_hop_that_forgets_is_found_and_its_limit_searched(endpoint, forwarders, tmp_path):
    hop = forwarders(endpoint.port, forgets=3.2)
    found = probe(hop.port, tmp_path, "5,6", "6s")["findings"]
    assert {(finding["kind"], finding["side"], finding["silent_drop"]) for finding in found} == {("idle_timeout", "client", True)}, found
    finding = next(finding for finding in found if finding["seconds"])
    assert finding["seconds"] == pytest.approx(3.2, abs=1) and finding["survived_seconds"] <= 3.2 <= finding["fatal_seconds"] + 0.1, finding


def test_a_hop_that_cuts_at_an_age_is_no_idle_timeout(endpoint, forwarders, tmp_path):
    finding = only(probe(forwarders(endpoint.port, cuts=3).port, tmp_path, "5", "8s"))
    assert finding["kind"] == "absolute_timeout" and finding["seconds"] == pytest.approx(3, abs=1), finding


def test_a_hop_that_holds_the_head_is_named(endpoint, forwarders, tmp_path):
    finding = only(probe(forwarders(endpoint.port, holds_head=True).port, tmp_path, "1"))
    assert finding["kind"] == "head_held" and finding["seconds"] == pytest.approx(3, abs=0.5), finding


# Any URL


def test_any_url_is_watched_and_what_cannot_be_told_is_said(stage):
    def talk(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nVia: 1.1 vegur\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"a\r\ndata: \x1b]\n\n\r\n")
        time.sleep(2)
        connection.close()
    origin = stage.origin(talk)
    done = run("--json", "--for", "6s", f"http://127.0.0.1:{origin.port}/events")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["hops"] == ["heroku"], report
    finding = report["findings"][0]
    assert finding["kind"] == "idle_timeout" and finding["side"] == "unknown" and finding["seconds"] == pytest.approx(2, abs=0.5), finding
    assert any("without its last chunk" in line for line in finding["evidence"]), finding
    assert any("who ended a stream" in line for line in report["untold"]), report


def test_tls_is_verified_and_its_end_without_close_notify_is_seen(stage, identity, authority, tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    certificate, key = identity
    proxy = stage.heartwire("127.0.0.1:1", listen=f"tls {{\ncertificate {certificate} {key}\n}}",
                            top=f"probe_endpoint /probe secret_file {tmp_path}/secret")
    refused = run("--secret-file", tmp_path / "secret", "--steps", "1", f"https://localhost:{proxy.port}/probe")
    assert refused.returncode == 69 and "certificate verify failed" in refused.stdout, refused
    report = probe(proxy.port, tmp_path, "1", "2s", "--ca", authority.certificate, "--connect-to", "elsewhere.example:443:127.0.0.1:1",
                   scheme="https", host="localhost")
    assert report["findings"] == [] and any("TLSv1.3" in fact for fact in report["facts"]), report


# The endpoint itself


def ask(port, path, **fields):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=fields)
    response = connection.getresponse()
    return response.status, response.read()


def test_the_endpoint_refuses_without_the_proof_and_the_secret_is_nowhere(endpoint, tmp_path):
    query = f"nonce={'0' * 32}&at={int(time.time())}&hold=0&play=1e0&stay=0&accel=0"
    assert ask(endpoint.port, f"/probe?{query}")[0] == 403
    assert ask(endpoint.port, f"/probe?{query}", **{"X-Heartwire-Probe": "0" * 64})[0] == 403
    assert ask(endpoint.port, f"/probe/seen?nonce={'0' * 32}&at=1")[0] == 403
    assert ask(endpoint.port, "/probes")[0] == 502
    (tmp_path / "other").write_text("another secret of some length")
    done = run("--secret-file", tmp_path / "other", "--steps", "1", f"http://127.0.0.1:{endpoint.port}/probe")
    assert done.returncode == 69 and "refuses the proof" in done.stdout, done
    probe(endpoint.port, tmp_path, "4")
    for path in filter(pathlib.Path.is_file, endpoint.folder.iterdir()):
        assert SECRET.encode() not in path.read_bytes(), path


def test_the_endpoint_plays_few_streams_at_once(endpoint, tmp_path):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(lambda _: run("--json", "--secret-file", tmp_path / "secret", "--steps", "10",
                                              f"http://127.0.0.1:{endpoint.port}/probe"), range(3)))
    found = [json.loads(done.stdout) for done in reports]
    limits = [finding for report in found for finding in report["findings"]]
    stopped = [report for report in found if "stopped" in report]
    assert limits or stopped, found
    assert {finding["kind"] for finding in limits} <= {"connection_limit"}, found


def test_the_secret_is_read_again_at_a_reload(endpoint, tmp_path):
    (tmp_path / "secret").write_text("short")
    endpoint.send_signal(1)
    endpoint.wait_for_words("fewer than 16 bytes")
    (tmp_path / "secret").write_text(SECRET)
    probe(endpoint.port, tmp_path, "4")


# The command


@pytest.mark.parametrize("arguments, words", [
    ([], "needs at least one URL"), (["ftp://x/"], "is no URL to probe"), (["http://x/", "http://y/"], "takes one URL"),
    (["--steps", "1", "http://x/"], "needs --secret-file"), (["--header", "a\nb: c", "http://x/"], "without control characters"),
    (["--connect-to", "a:b", "http://x/"], "is not HOST:PORT:ADDR:PORT"), (["--for", "1s", "http://x/"], "out of range"),
    (["--ca", "f", "http://x/"], "without an https:// URL"),
])
def test_mistakes_on_the_command_line(arguments, words):
    done = run(*arguments)
    assert done.returncode == 64 and words in done.stderr and done.stdout == "", done


def test_no_connection_ends_with_69_and_a_missing_secret_with_66(tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    done = run("--secret-file", tmp_path / "secret", "http://127.0.0.1:1/probe")
    assert done.returncode == 69 and "ECONNREFUSED" in done.stdout, done
    assert run("--secret-file", tmp_path / "none", "http://127.0.0.1:1/probe").returncode == 66


def test_a_terminal_gets_a_live_line_for_each_step_and_nothing_that_acts_on_it(endpoint, tmp_path):
    main, other = pty.openpty()
    process = subprocess.Popen(
        [str(binary()), "probe", "--secret-file", str(tmp_path / "secret"), "--steps", "1,4,5", "--for", "4s",
         f"http://127.0.0.1:{endpoint.port}/probe"], stdout=subprocess.PIPE, stderr=other, stdin=subprocess.DEVNULL)
    os.close(other)
    said = b""
    while select.select([main], [], [], 20)[0]:
        try:
            said += os.read(main, 65536)
        except OSError:
            break
    assert process.wait(20) == 0 and b"Nothing found" in process.stdout.read()
    os.close(main)
    # Which second a line is drawn in depends on how busy the machine is.
    assert re.search(rb"idle and absolute limits: [123] of 4 s, [1-4] open", said), said.decode()
    assert b"comments: comments pass" in said


def test_an_interrupted_probe_reports_what_it_saw(endpoint, tmp_path):
    process = subprocess.Popen(
        [str(binary()), "probe", "--secret-file", str(tmp_path / "secret"), f"http://127.0.0.1:{endpoint.port}/probe"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    threading.Timer(4, lambda: process.send_signal(2)).start()
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 69 and "interrupted" in said and "comments pass" in said, said
