"""TLS to clients: certificates and names, tickets, client certificates, reload, peers that do not keep to it."""

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
from support.certificates import Authority, openssl
from support.client import get
from support.logs import check_ending
from support.ports import reserve_port


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def identity(authority):
    return authority.issue("localhost")


def tls_block(*identities, extra="", listen=""):
    lines = "\n".join(f"certificate {certificate} {key}" for certificate, key in identities)
    return f"tls {{\n{lines}\n{extra}\n}}\n{listen}"


def trusting(authority, **options) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    for name, value in options.items():
        setattr(context, name, value)
    return context


def connect(proxy, context, name="localhost", session=None):
    plain = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    return context.wrap_socket(plain, server_hostname=name, session=session)


def ask(secured, path="/", fields="", wanted=b"\r\n\r\n", timeout=10) -> bytes:
    secured.settimeout(timeout)
    secured.sendall(f"GET {path} HTTP/1.1\r\nHost: test.example\r\n{fields}\r\n".encode())
    received = b""
    while wanted not in received:
        data = secured.recv(65536)
        assert data, f"ended before {wanted!r}: {received!r}"
        received += data
    return received


def answer(connection, request):
    connection.respond(200, b"hello")


def stream_for(seconds):
    def script(connection, request):
        connection.start_stream()
        connection.chunk(b"id: 1\ndata: first\n\n")
        connection.wait_until_left(seconds)
    return script


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


def test_alpn_offers_http_11_and_staples_and_hsts_come(stage, authority, identity, tmp_path):
    index = tmp_path / "index.txt"
    index.write_text("")
    request, staple = tmp_path / "request.der", tmp_path / "staple.der"
    openssl("ocsp", "-issuer", authority.certificate, "-cert", identity[0], "-reqout", request, "-no_nonce")
    openssl("ocsp", "-index", index, "-rsigner", authority.certificate, "-rkey", authority.key, "-CA", authority.certificate, "-reqin", request,
            "-respout", staple, "-ndays", "7")
    proxy = stage.heartwire(stage.origin(answer), listen=f"tls {{\ncertificate {identity[0]} {identity[1]} {staple}\n}}\n"
                            "strict_transport_security 2h")
    shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-status", "-alpn", "h2,http/1.1"],
                           input=b"", capture_output=True, timeout=20).stdout
    assert b"ALPN protocol: http/1.1" in shown and b"OCSP Response Status: successful" in shown, shown[-3000:]
    with connect(proxy, trusting(authority)) as secured:
        assert b"Strict-Transport-Security: max-age=7200\r\n" in ask(secured, wanted=b"hello")
        assert b"400 Bad Request" in ask(secured, fields="Host: doubled\r\n", wanted=b"\r\n\r\n")


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_sessions_are_resumed_whichever_worker_takes_them(stage, authority, identity, version):
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(identity), workers=4)
    context = trusting(authority, maximum_version=getattr(ssl.TLSVersion, version))
    session, resumed, connections = None, 0, 40
    for _ in range(connections):
        with connect(proxy, context, session=session) as secured:
            ask(secured, wanted=b"hello")
            resumed += secured.session_reused
            session = secured.session
    print(f"{version}: {resumed} of {connections - 1} handshakes resumed a session")
    assert resumed == connections - 1
    records = proxy.access_log.wait_for(lambda record: record.get("tls_resumed"))
    workers = {record["stream"].split("-")[0] for record in records}
    assert len(workers) > 1, "the connections all went to one worker, so this proves nothing"


def test_sessions_outlive_a_reload(stage, authority, identity):
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(identity))
    context = trusting(authority)
    with connect(proxy, context) as secured:
        ask(secured, wanted=b"hello")
        session = secured.session
    proxy.send_signal(signal.SIGHUP)
    wait_for_words(proxy, "read anew")
    with connect(proxy, context, session=session) as secured:
        ask(secured, wanted=b"hello")
        assert secured.session_reused


def wait_for_words(proxy, words, count=1):
    deadline = time.monotonic() + 10
    while proxy.stderr().count(words) < count:
        assert time.monotonic() < deadline, f"{words!r} did not come: {proxy.stderr()}"
        time.sleep(0.02)


def test_client_certificates_reach_the_server_in_a_field_that_cannot_be_forged(stage, authority, identity):
    known = authority.issue("known", "DNS:known.test", subject="/O=Example/CN=known")
    origin = stage.origin(answer)
    proxy = stage.heartwire(origin, listen=tls_block(
        identity, extra=f"client_certificates optional\nclient_authority {authority.certificate}\nclient_subject_field X-Client-Subject"))
    forged = "X-Client-Subject: CN=admin\r\nx-client-SUBJECT: CN=admin\r\nX_Client_Subject: CN=admin\r\n"
    context = trusting(authority)
    with connect(proxy, context) as secured:
        ask(secured, "/without", forged, b"hello")
    context.load_cert_chain(*map(str, known))
    with connect(proxy, context) as secured:
        ask(secured, "/with", forged, b"hello")
    received = origin.everything_received()
    assert b"CN=admin" not in received
    assert received.count(b"X-Client-Subject: CN=known,O=Example\r\n") == 1
    # Another listener cannot be used to forge it either; one without TLS has no subject to tell.
    strangers = Authority(authority.folder / "strangers", "strangers")
    context = trusting(authority)
    context.load_cert_chain(*map(str, strangers.issue("stranger")))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with connect(proxy, context) as secured:
            ask(secured, wanted=b"hello")
    assert any("certificate verify failed" in record["evidence"] for record in proxy.access_log.wait_for(
        lambda record: record.get("cause") == "client_tls_error"))


def test_client_certificates_can_be_demanded(stage, authority, identity):
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(
        identity, extra=f"client_certificates required\nclient_authority {authority.certificate}"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with connect(proxy, trusting(authority)) as secured:
            ask(secured, wanted=b"hello")
    context = trusting(authority)
    context.load_cert_chain(*map(str, authority.issue("known")))
    with connect(proxy, context) as secured:
        assert ask(secured, wanted=b"hello")


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_ticket_does_not_stand_in_for_a_certificate_that_a_reload_demands(stage, authority, identity, tmp_path, version):
    first, second = Authority(tmp_path / "first", "first"), Authority(tmp_path / "second", "second")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(first.certificate.read_bytes())
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(identity))
    path = proxy.folder / "heartwire.conf"
    demanding = f"client_certificates required\nclient_authority {trusted}\n"

    def visit(context, session=None):
        with connect(proxy, context, session=session) as secured:
            assert ask(secured, wanted=b"hello")
            return secured.session, secured.session_reused

    def reload(count):
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_for_words("SIGHUP: done", count)

    def client(pair=None):
        context = trusting(authority, maximum_version=getattr(ssl.TLSVersion, version))
        if pair:
            context.load_cert_chain(*map(str, pair))
        return context

    nobody, known = client(), client(first.issue("known"))
    of_nobody, _ = visit(nobody)
    path.write_text(path.read_text().replace("certificate ", demanding + "certificate ", 1))
    reload(1)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        visit(nobody, of_nobody)
    of_known, _ = visit(known)
    # What is asked stays the same: so do the sessions.
    reload(2)
    of_known, resumed = visit(known, of_known)
    assert resumed
    # The authority goes, in the same file: whoever it vouched for is not let in any more.
    trusted.write_bytes(second.certificate.read_bytes())
    reload(3)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        visit(known, of_known)
    assert visit(client(second.issue("newcomer")))


def test_certificates_are_read_anew_under_load_and_no_stream_notices(stage, authority, tmp_path):
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
    wait_for_words(proxy, "read anew")
    assert subject() == "after"
    # A pair that does not belong together is refused and named; the old one stays.
    put("broken", pair=authority.issue("foreign"))
    proxy.send_signal(signal.SIGHUP)
    wait_for_words(proxy, "does not belong to the certificate")
    wait_for_words(proxy, "read anew", 2)
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
    records = proxy.access_log.wait_for(lambda record: record.get("cause") == "handshake_timeout")
    assert len(records) == 2
    assert proxy.stop() == 0
    assert "2 TLS handshakes failed or were not finished in time" in proxy.stderr()


def test_whoever_is_one_too_many_has_not_long_for_a_handshake(stage, authority, identity):
    proxy = stage.heartwire(
        stage.origin(stream_for(20)), listen=tls_block(identity), limits="connections 2", timeouts="handshake 20s", heartbeat="5s")
    context = trusting(authority)
    time.sleep(0.2)  # The harness's own look at the port is counted until the proxy has seen it go.
    served = [connect(proxy, context) for _ in range(2)]
    for client in served:
        ask(client, "/held", "Accept: text/event-stream\r\n")
    # Four are heard, and four refused, which both begins with a handshake.
    silent = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(8)]
    started = time.monotonic()
    for peer in silent:
        peer.settimeout(10)
        assert peer.recv(100) == b""
    assert 1.5 < time.monotonic() - started < 5
    records = proxy.access_log.wait_for(lambda record: record.get("cause") == "handshake_timeout")
    assert len(records) == 8 and all("within 2000 ms" in record["evidence"] for record in records)
    # So there is room again for who wants to be told.
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
    time.sleep(0.2)
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


def test_a_large_body_arrives_whole_at_a_client_that_pauses_and_is_not_kept_in_memory(stage, authority, identity):
    size = 64 << 20
    block = bytes(range(256)) * 256

    def script(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(block)):
            connection.send(block)

    proxy = stage.heartwire(stage.origin(script), listen=tls_block(identity))
    with connect(proxy, trusting(authority)) as secured:
        secured.settimeout(20)
        secured.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        before = proxy.memory()["Pss_Anon"]
        time.sleep(0.5)
        received = b""
        while b"\r\n\r\n" not in received:
            received += secured.recv(65536)
        body = received.split(b"\r\n\r\n", 1)[1]
        count = len(body)
        assert body == (block * (len(body) // len(block) + 1))[: len(body)]
        while count < size:
            data = secured.recv(1 << 20)
            assert data, f"ended after {count} bytes"
            start = count % len(block)
            assert data == (block * (len(data) // len(block) + 2))[start: start + len(data)]
            count += len(data)
        assert proxy.memory()["Pss_Anon"] - before < 2 << 20


@pytest.mark.heavy
def test_ten_thousand_failed_handshakes_leave_nothing_behind(stage, authority, identity):
    # A small log queue, so that lines which wait for a busy disk are not taken for a leak.
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(identity), workers=2, limits="log_queue 64KiB")
    strict = ssl.create_default_context()  # Trusts nobody here, so the client refuses the certificate.
    hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"

    def fail(number):
        if number % 2:
            peer = socket.create_connection(("127.0.0.1", proxy.port))
            peer.sendall(hello)
            peer.settimeout(5)
            peer.recv(100)
            peer.close()
        else:
            with pytest.raises(ssl.SSLError):
                connect(proxy, strict)

    for number in range(1000):
        fail(number)
    settle(proxy)
    before, descriptors = proxy.memory()["Pss_Anon"], proxy.descriptors()
    for number in range(10_000):
        fail(number)
    settle(proxy)
    grown = proxy.memory()["Pss_Anon"] - before
    print(f"10000 failed handshakes: memory grew by {grown} bytes")
    assert grown < 256 * 1024 and proxy.descriptors() == descriptors


def settle(proxy):
    time.sleep(1)
    assert proxy.process.poll() is None


@pytest.mark.heavy
def test_memory_of_idle_tls_streams(stage, authority, identity):
    streams = 400

    def script(connection, request):
        connection.start_stream()
        connection.chunk(b"data: a\n\n")
        connection.wait_until_left(110)

    proxy = stage.heartwire(stage.origin(script), listen=tls_block(identity), heartbeat="1s", workers=2, limits="log_queue 64KiB")
    context = trusting(authority)
    open_streams = []

    def open_some(count):
        for _ in range(count):
            secured = connect(proxy, context)
            ask(secured, wanted=b"data: a")
            open_streams.append(secured)

    open_some(40)
    time.sleep(2)
    before = proxy.memory()["Pss_Anon"]
    open_some(streams)
    time.sleep(2.5)
    each = (proxy.memory()["Pss_Anon"] - before) / streams
    print(f"memory per idle TLS stream: {each:.0f} bytes ({streams} streams, TLS 1.3, ECDSA P-256)")
    assert each < 18.9 * 1024, f"{each:.0f} bytes: more than HAProxy's 18.9 KiB"
    for secured in open_streams:
        secured.close()


def test_check_reads_the_certificates(stage, authority, identity, tmp_path):
    def check(text):
        path = tmp_path / "check.conf"
        path.write_text(f"listen 127.0.0.1:1 {{\n{text}\n}}\nroute /* {{\n upstream 127.0.0.1:2\n}}\n")
        from support.paths import binary
        return subprocess.run([binary(), "check", "--config", path], capture_output=True, text=True, timeout=20)

    good = check(tls_block(identity))
    assert (good.returncode, good.stderr) == (0, ""), good.stderr
    ending = check(tls_block(authority.issue("ending", days=5)))
    assert ending.returncode == 0 and re.search(r"ending\.pem: the certificate ends in [45] days", ending.stderr), ending.stderr
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
