"""TLS to clients: certificates and names, tickets, client certificates, reload, peers that break the protocol."""

import json
import re
import signal
import socket
import ssl
import struct
import subprocess
import time

import pytest

from support import eventsource
from support.certificates import openssl
from support.client import get
from support.logs import check_ending
from support.ports import reserve_port
from support.sockets import wait_until_read
from support.tls import answer, ask, connect, stream_for, tls_block, trusting, wait_for_words


def test_a_stream_is_woven_over_tls_and_the_server_is_told_so(stage, authority, identity):
    def script(connection, request):
        connection.start_stream()
        connection.chunk(b"data: a\n\n")
        time.sleep(0.7)
        connection.chunk(b"data: b\n\n")
        connection.last_chunk()

    origin = stage.origin(script)
    proxy = stage.heartwire(origin, listen=tls_block(identity), heartbeat="200ms", opening="on")
    result = subprocess.run(
        ["curl", "-sS", "-N", "--noproxy", "*", "--cacert", authority.certificate, "-H", "Accept: text/event-stream", "-D", "-",
         f"https://localhost:{proxy.port}/woven"], capture_output=True, timeout=20)
    assert result.returncode == 0, result.stderr
    head, body = result.stdout.split(b"\r\n\r\n", 1)
    reading = eventsource.read(body)
    assert [event.data for event in reading.events] == ["a", "b"] and len(reading.comments) >= 3
    assert b"strict-transport-security" not in head.lower()
    assert b"X-Forwarded-Proto: https\r\n" in origin.everything_received()
    record = proxy.stream_log.ending("/woven")
    check_ending(record, "upstream_finished")
    assert record["tls"] == "TLSv1.3" and record["tls_resumed"] is False


def test_the_certificate_is_chosen_by_the_name_and_sent_with_its_chain(stage, authority):
    lower = authority.below("lower")
    first = authority.issue("first", "DNS:first.test")
    certificate, key = lower.issue("chained", "DNS:*.chained.test,DNS:exact.test")
    chain = authority.folder / "chain.pem"
    chain.write_text(certificate.read_text() + lower.certificate.read_text())
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(first, (chain, key)))
    for name, subject in [("first.test", "first"), ("a.chained.test", "chained"), ("exact.test", "chained")]:
        with connect(proxy, trusting(authority), name) as secured:
            assert (("commonName", subject),) in secured.getpeercert()["subject"]
            assert ask(secured, wanted=b"hello")
    # Unknown names, and none, get the first one: the client decides.
    with connect(proxy, trusting(authority, check_hostname=False), "unknown.test") as secured:
        assert (("commonName", "first"),) in secured.getpeercert()["subject"]
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(proxy, trusting(authority), "unknown.test")


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_only_modern_versions_are_spoken(stage, authority, identity, version):
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(identity))
    context = trusting(authority, maximum_version=getattr(ssl.TLSVersion, version))
    with connect(proxy, context) as secured:
        assert secured.version() == version.replace("_", ".").replace("v1.", "v1.")
        assert ask(secured, wanted=b"hello")
    old = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
                         input=b"", capture_output=True, timeout=20)
    assert b"Cipher is (NONE)" in old.stdout or old.returncode != 0


def test_tls_12_can_be_refused(stage, authority, identity):
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(identity, extra="minimum_version 1.3"))
    with pytest.raises(ssl.SSLError):
        connect(proxy, trusting(authority, maximum_version=ssl.TLSVersion.TLSv1_2))
    assert proxy.access_log.wait_for(lambda record: record.get("cause") == "client_tls_error")


def test_a_staple_and_hsts_come(stage, authority, identity, tmp_path):
    index = tmp_path / "index.txt"
    index.write_text("")
    request, staple = tmp_path / "request.der", tmp_path / "staple.der"
    openssl("ocsp", "-issuer", authority.certificate, "-cert", identity[0], "-reqout", request, "-no_nonce")
    openssl("ocsp", "-index", index, "-rsigner", authority.certificate, "-rkey", authority.key, "-CA", authority.certificate, "-reqin", request,
            "-respout", staple, "-ndays", "7")
    proxy = stage.heartwire(stage.origin(answer), listen=f"tls {{\ncertificate {identity[0]} {identity[1]} {staple}\n}}\n"
                            "strict_transport_security 2h")
    shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-status"],
                           input=b"", capture_output=True, timeout=20).stdout
    assert b"OCSP Response Status: successful" in shown, shown[-3000:]
    with connect(proxy, trusting(authority)) as secured:
        assert b"Strict-Transport-Security: max-age=7200\r\n" in ask(secured, wanted=b"hello")
        assert b"400 Bad Request" in ask(secured, fields="Host: doubled\r\n", wanted=b"\r\n\r\n")


def test_certificates_are_read_again_under_load_and_no_stream_notices(stage, authority, tmp_path):
    certificate, key = tmp_path / "site.pem", tmp_path / "site.key"

    def put(name, pair=None):
        made = authority.issue(name)
        certificate.write_bytes(made[0].read_bytes())
        key.write_bytes((pair or made)[1].read_bytes())
        return made

    put("before")
    proxy = stage.heartwire(stage.origin(stream_for(60)), listen=tls_block((certificate, key)), heartbeat="200ms", workers=2)
    context = trusting(authority)

    def subject():
        with connect(proxy, context) as secured:
            return dict(item[0] for item in secured.getpeercert()["subject"])["commonName"]

    streams = [connect(proxy, context) for _ in range(8)]
    for secured in streams:
        ask(secured, wanted=b"first")
    assert subject() == "before"
    put("after")
    proxy.send_signal(signal.SIGHUP)
    wait_for_words(proxy, "read again")
    assert subject() == "after"
    # A pair that does not belong together is refused and named; the old one stays.
    put("broken", pair=authority.issue("foreign"))
    proxy.send_signal(signal.SIGHUP)
    wait_for_words(proxy, "does not belong to the certificate")
    wait_for_words(proxy, "read again", 2)
    assert subject() == "after"
    for secured in streams:
        secured.settimeout(5)
        assert secured.recv(65536), "a stream ended by a reload"
        secured.close()


def test_a_plain_http_request_is_told_that_the_port_speaks_tls(stage, identity):
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(identity))
    response = get(proxy.port)
    assert response.status == 400 and b"https://" in response.body
    assert proxy.access_log.wait_for(lambda record: record.get("cause") == "client_tls_error" and record["status"] == 400)


def test_a_handshake_that_stalls_is_ended_and_counted(stage, authority, identity):
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(identity), timeouts="handshake 500ms")
    silent = socket.create_connection(("127.0.0.1", proxy.port))
    begun = socket.create_connection(("127.0.0.1", proxy.port))
    begun.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
    started = time.monotonic()
    for peer in (silent, begun):
        peer.settimeout(5)
        assert peer.recv(100) == b""
    assert 0.3 < time.monotonic() - started < 3
    records = proxy.access_log.wait_for(lambda record: record.get("cause") == "handshake_timeout", count=2)
    assert len(records) == 2
    assert proxy.stop() == 0
    assert "2 TLS handshakes failed or were not finished in time" in proxy.stderr()


def test_a_client_above_the_limit_has_little_time_for_a_handshake(stage, authority, identity):
    proxy = stage.heartwire(
        stage.origin(stream_for(20)), listen=tls_block(identity), limits="connections 2", timeouts="handshake 20s", heartbeat="5s")
    context = trusting(authority)
    proxy.wait_for_connections()
    served = [connect(proxy, context) for _ in range(2)]
    for client in served:
        ask(client, "/held", "Accept: text/event-stream\r\n")
    # Four are read, and four refused; both begin with a handshake.
    silent = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(8)]
    started = time.monotonic()
    for peer in silent:
        peer.settimeout(10)
        assert peer.recv(100) == b""
    assert 1.5 < time.monotonic() - started < 5
    records = proxy.access_log.wait_for(lambda record: record.get("cause") == "handshake_timeout", count=8)
    assert len(records) == 8 and all("within 2000 ms" in record["evidence"] for record in records)
    # So there is room again for a client that can be told.
    late = connect(proxy, context)
    assert b"HTTP/1.1 503" in ask(late)
    for client in [*served, late]:
        client.close()


def test_a_client_that_breaks_tls_in_a_stream_has_a_cause_of_its_own(stage, authority, identity):
    proxy = stage.heartwire(stage.origin(stream_for(20)), listen=tls_block(identity), heartbeat="300ms")
    context = trusting(authority)

    def stream(path):
        secured = connect(proxy, context)
        ask(secured, path, wanted=b"first")
        return secured

    def plain(secured):
        return socket.socket(fileno=secured.detach())

    def end(path, cause, words):
        record = proxy.stream_log.ending(path, timeout=10)
        check_ending(record, cause)
        assert words in record["evidence"], record

    garbage = plain(stream("/garbage"))
    garbage.sendall(b"\x17\x03\x03\x00\x20" + b"\x07" * 32)
    end("/garbage", "client_tls_error", "bad record mac")
    no_record = plain(stream("/no-record"))
    no_record.sendall(b"GET / HTTP/1.1\r\n\r\n")
    end("/no-record", "client_tls_error", "wrong version number")
    half = plain(stream("/half"))
    half.sendall(b"\x17\x03\x03\x00\x20\x07\x07")
    wait_until_read(half)
    half.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    half.close()
    end("/half", "client_reset", "in the middle of a TLS record")
    plain(stream("/fin")).close()
    end("/fin", "client_closed", "FIN received without close_notify")
    orderly = stream("/orderly")
    orderly.settimeout(5)
    try:
        orderly.unwrap()
    except (ssl.SSLError, OSError):
        pass
    end("/orderly", "client_closed", "close_notify received")


def test_renegotiation_is_refused(stage, authority, identity):
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(identity))
    shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-tls1_2"], input=b"R\n", capture_output=True, timeout=20)
    assert b"no renegotiation" in shown.stderr + shown.stdout, shown.stderr


def test_plain_http_can_be_sent_on_to_https(stage, authority, identity):
    secure_port, origin = reserve_port(), stage.origin(answer)
    block = tls_block(identity).replace("\n", "\n    ")
    proxy = stage.heartwire(origin, listen=f"redirect_to_https {secure_port}", top=f"listen 127.0.0.1:{secure_port} {{\n{block}\n}}")
    response = get(proxy.port, "/events?x=1")
    assert (response.status, response.value("Location")) == (308, f"https://test.example:{secure_port}/events?x=1".encode())
    result = subprocess.run(["curl", "-sS", "-L", "--noproxy", "*", "--cacert", authority.certificate, f"http://localhost:{proxy.port}/a"],
                            capture_output=True, timeout=20)
    assert result.stdout == b"hello", result.stderr
    assert origin.everything_received().count(b"GET ") == 1


def test_check_reads_the_certificates(stage, authority, identity, tmp_path):
    def check(text):
        path = tmp_path / "check.conf"
        path.write_text(f"listen 127.0.0.1:1 {{\n{text}\n}}\nroute /* {{\n upstream 127.0.0.1:2\n}}\n")
        from support.paths import binary
        return subprocess.run([binary(), "check", "--config", path], capture_output=True, text=True, timeout=20)

    good = check(tls_block(identity))
    assert (good.returncode, good.stderr) == (0, ""), good.stderr
    ending = check(tls_block(authority.issue("ending", days=5)))
    assert ending.returncode == 0 and re.search(r"ending\.pem: the certificate expires in [45] days", ending.stderr), ending.stderr
    other = authority.issue("other")
    broken = check(tls_block((identity[0], other[1])))
    assert broken.returncode == 78 and "does not belong to the certificate" in broken.stderr and broken.stderr.count("\n") == 1
    missing = check(tls_block((tmp_path / "nowhere.pem", other[1])))
    assert missing.returncode == 78 and "nowhere.pem" in missing.stderr
    encrypted = tmp_path / "encrypted.key"
    openssl("pkey", "-in", identity[1], "-aes256", "-passout", "pass:secret", "-out", encrypted)
    locked = check(tls_block((identity[0], encrypted)))
    assert locked.returncode == 78 and "the key is encrypted" in locked.stderr


def test_the_quick_form_serves_tls(stage, authority, identity):
    port, origin = reserve_port(), stage.origin(answer)
    stage.command(["proxy", "--upstream", origin.address, "--listen", f"127.0.0.1:{port}", "--tls-certificate", identity[0], "--tls-key", identity[1]],
                  port)
    result = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", authority.certificate, f"https://localhost:{port}/"],
                            capture_output=True, timeout=20)
    assert result.stdout == b"hello", result.stderr


@pytest.mark.heavy
def test_an_event_source_in_chromium_reads_over_tls(stage, authority, identity, tmp_path):
    from support.browser import Browser

    def script(connection, request):
        if request.target.startswith(b"/events"):
            connection.start_stream()
            for number in range(3):
                connection.chunk(b"id: %d\ndata: event %d\n\n" % (number, number))
                time.sleep(0.5)
            connection.wait_until_left(20)
        else:
            connection.respond(200, b"<!doctype html><title>page</title>", [("Content-Type", "text/html")])

    proxy = stage.heartwire(stage.origin(script), listen=tls_block(identity), heartbeat="200ms")
    with Browser(tmp_path) as browser:
        browser.call("Security.setIgnoreCertificateErrors", ignore=True)
        browser.open(f"https://localhost:{proxy.port}/")
        browser.wait_for("document.title == 'page'", 10)
        browser.evaluate("window.seen = []; window.source = new EventSource('/events'); source.onmessage = e => seen.push(e.data); 1")
        browser.wait_for("seen.length >= 3", 20)
        assert json.loads(browser.evaluate("JSON.stringify(seen.slice(0, 3))")) == ["event 0", "event 1", "event 2"]
