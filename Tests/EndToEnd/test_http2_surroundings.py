"""HTTP/2 behind a PROXY header, under TLS 1.2 and 1.3, with client certificates, and on several workers: its clients, and its attackers."""

import signal
import socket
import ssl
import threading
import time

import pytest

from support import eventsource
from support.http2 import HTTP2Client
from support.logs import check_ending
from support.tls import tls_block
from test_certificate_ends import issue_ending
from test_http2 import BOTH, CODES, hello, idle
from test_proxy_protocol import LINE, binary_header, forwarded_for

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


def client_context(version="TLSv1_3", identity=None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    if identity:
        context.load_cert_chain(*identity)
    return context


class Surroundings:
    """How clients reach the proxy: what the listener says, and what each connection brings."""

    def __init__(self, name, identity):
        self.name, self.secured = name, name != "h2c behind PROXY"
        self.version = "TLSv1_2" if "1.2" in name else "TLSv1_3"
        self.context = client_context(self.version) if self.secured else None
        self.has_header = "PROXY" in name
        self.listen = tls_block(identity) if self.secured else BOTH
        self.top = ""
        if self.has_header:
            self.listen, self.top = f"proxy_protocol on\n{self.listen}", "trusted_proxies 127.0.0.1"

    def header(self, number=7) -> bytes:
        return b"PROXY TCP4 192.0.2.%d 10.0.0.1 50000 443\r\n" % number if self.has_header else b""

    def client(self, proxy, number=7, **options) -> HTTP2Client:
        return HTTP2Client(proxy.port, context=self.context, preamble=self.header(number), **options)

    def address(self, number=7) -> str:
        return f"192.0.2.{number}:50000" if self.has_header else "127.0.0.1:"


@pytest.fixture(params=["TLS 1.2", "TLS 1.3", "TLS 1.2 behind PROXY", "TLS 1.3 behind PROXY", "h2c behind PROXY"])
def around(request, identity):
    return Surroundings(request.param, identity)


def start(stage, around, server, workers=3, **options):
    return stage.heartwire(stage.origin(server), listen=around.listen, top=around.top, workers=workers, **options)


def test_streams_of_many_connections_on_several_workers_have_their_events_heartbeats_and_lines(stage, around):
    def script(connection, request):
        connection.start_stream()
        connection.chunk(b"data: first of " + request.target + b"\n\n")
        time.sleep(1)
        connection.chunk(b"data: last\n\n")
        connection.last_chunk()

    origin = stage.origin(script)
    proxy = stage.heartwire(origin, listen=around.listen, top=around.top, workers=3, heartbeat="250ms", opening="on")
    clients = [around.client(proxy, number) for number in range(1, 13)]
    streams = []
    for number, client in enumerate(clients, 1):
        streams += [(number, index, client, client.request(f"/c{number}/s{index}", flush=False)) for index in range(10)]
        client.flush()
    for number, index, client, stream in streams:
        reading = eventsource.read(client.whole(stream, 20).data)
        assert [event.data for event in reading.events] == [f"first of /c{number}/s{index}", "last"] and len(reading.comments) >= 3
    for client in clients:
        client.close()
    workers = set()
    for number in range(1, 13):
        records = [proxy.stream_log.ending(f"/c{number}/s{index}") for index in range(10)]
        for record in records:
            check_ending(record, "upstream_finished")
            assert record["http"] == "2" and record["client"].startswith(around.address(number))
            assert record.get("tls") == (around.version.replace("_", ".") if around.secured else None)
        # One connection is one number, on one worker.
        assert len({(record["stream"].split("-")[0], record["connection"]) for record in records}) == 1
        workers.add(records[0]["stream"].split("-")[0])
    assert len(workers) > 1, "twelve connections came to one worker"
    if around.has_header:
        assert set(forwarded_for(origin)) == {f"192.0.2.{number}" for number in range(1, 13)}


def test_the_header_the_handshake_and_the_preface_come_in_any_pieces(stage, identity):
    around = Surroundings("h2c behind PROXY", identity)
    proxy = start(stage, around, hello)
    for header in (LINE, binary_header(), binary_header(payload=binary_header()[16:] + b"\x04\0\x03abc\x20\0\x01x")):
        for pieces in ([header + PREFACE], [header, PREFACE], [header + PREFACE[:3], PREFACE[3:]],
                       [bytes([byte]) for byte in header + PREFACE]):
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for piece in pieces:
                    client.sendall(piece)
                    time.sleep(0.001)
                received = b""
                while b"\0\0\0\4\1" not in received:
                    data = client.recv(65536)
                    assert data, f"ended behind {header!r} in {len(pieces)} pieces: {received!r}"
                    received += data
                assert received[3] == 4, "our SETTINGS come first, then the acknowledgement of theirs"


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", PREFACE, LINE + LINE])
def test_without_its_header_http2_is_not_served_either(stage, identity, sent):
    around = Surroundings("h2c behind PROXY", identity)
    origin = stage.origin(hello)
    proxy = stage.heartwire(origin, listen=around.listen, top=around.top, timeouts="request_head 500ms")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        client.sendall(sent)
        try:
            received = client.makefile("rb").read()
        except ConnectionResetError:
            received = b""
    # Behind a header whose client begins with another one stands no HTTP: that is HTTP/1.1's answer.
    assert received == b"" or sent == LINE + LINE and received.startswith(b"HTTP/1.1 400 "), received
    assert not origin.requests


def test_the_limit_of_a_clients_connections_counts_the_client_of_the_header(stage, identity):
    around = Surroundings("TLS 1.3 behind PROXY", identity)
    proxy = start(stage, around, idle, limits="connections_per_client 2", workers=1)
    with around.client(proxy, 1) as first, around.client(proxy, 1) as second, around.client(proxy, 2) as other:
        for client in (first, second, other):
            stream = client.request("/x")
            client.wait(lambda: stream.head)
            assert stream.status == 200
        with around.client(proxy, 1) as third:
            refused = third.request("/x", accept=None)
            third.wait(lambda: refused.head or third.closed)
            assert refused.status == 503


# Attacks


def flood(proxy, around, attack, seconds=20) -> list:
    """An attacker beside three bystanders on other connections: the attacker's connection is ended, and nobody else notices. Returns the codes
    of the GOAWAY frames that the attacker got."""
    bystanders = [around.client(proxy, number) for number in (1, 2, 3)]
    streams = [client.request(f"/kept{number}") for number, client in enumerate(bystanders)]
    for client, stream in zip(bystanders, streams):
        client.wait(lambda: stream.data)
    attacker = around.client(proxy, 66)
    attacker.receive_once()
    deadline = time.monotonic() + seconds
    attacker.socket.settimeout(5)
    try:
        for piece in attack(attacker):
            attacker.socket.sendall(piece)
            if time.monotonic() > deadline:
                break
    except OSError:
        pass
    # The library would not take answers to what it has not sent itself.
    received, codes = attacker.partial, []
    try:
        while data := attacker.socket.recv(262144):
            received += data
    except TimeoutError:
        pytest.fail("the attacker's connection goes on")
    except OSError:
        pass
    while len(received) >= 9:
        size = 9 + int.from_bytes(received[:3], "big")
        if received[3] == 7 and len(received) >= size:
            codes.append(int.from_bytes(received[13:17], "big"))
        received = received[size:]
    before = [len(stream.data) for stream in streams]
    for client in bystanders:
        client.read_for(0.5)
    assert all(len(stream.data) > count for stream, count in zip(streams, before)), "a bystander's heartbeats stopped"
    for client in [*bystanders, attacker]:
        client.close()
    return codes


def resets(client):
    for number in range(3000):
        stream = client.request(f"/a{number}", flush=False)
        client.h2.reset_stream(stream.number, CODES.CANCEL)
        if number % 50 == 49:
            yield client.h2.data_to_send()


def pings(client):
    for _ in range(2000):
        yield (b"\0\0\x08\6\0\0\0\0\0" + b"12345678") * 100


def settings(client):
    for _ in range(2000):
        yield (b"\0\0\6\4\0\0\0\0\0" + b"\0\4\0\0\xff\xff") * 50


def continuations(client):
    yield b"\0\0\1\1\0\0\0\0\1\x82"
    for _ in range(200):
        yield b"\0\0\1\x09\0\0\0\0\1\x84"


def endless_field(client):
    yield b"\0\0\1\1\0\0\0\0\1\x82"
    for _ in range(40):
        yield b"\0\x40\0\x09\0\0\0\0\1" + b"\x00\x7f" + b"x" * 16382


def faults_that_make_us_reset(client):
    """CVE-2025-8671: a window update of 0 on each new stream."""
    block = b"\x82\x84\x41\1a" + (b"\x87" if client.scheme == b"https" else b"\x86")
    for number in range(1, 6000, 2):
        stream = number.to_bytes(4, "big")
        yield bytes([0, 0, len(block), 1, 5]) + stream + block + b"\0\0\4\x08\0" + stream + bytes(4)


@pytest.mark.parametrize("attack", [resets, pings, settings, continuations, endless_field, faults_that_make_us_reset], ids=lambda attack: attack.__name__)
def test_an_attack_ends_its_own_connection_and_no_other(stage, around, attack):
    proxy = start(stage, around, idle, heartbeat="200ms", opening="on")
    codes = flood(proxy, around, attack)
    # A reset may overtake the last frames of a connection that still sends.
    assert not codes or codes[-1] in (CODES.ENHANCE_YOUR_CALM, CODES.PROTOCOL_ERROR, CODES.COMPRESSION_ERROR), codes
    record = proxy.access_log.wait_for(lambda record: record.get("cause") == "client_protocol_error")[0]
    assert record["client"].startswith(around.address(66)), record
    assert record["evidence"] and proxy.process.poll() is None


def test_a_process_that_ends_lets_streams_of_all_workers_go_in_order(stage, around):
    proxy = start(stage, around, idle, heartbeat="200ms", drain="1s", grace="8s")
    clients = [around.client(proxy, number) for number in range(1, 9)]
    streams = [client.request(f"/s{number}") for number, client in enumerate(clients)]
    for client, stream in zip(clients, streams):
        client.wait(lambda: stream.data)
    readers = [threading.Thread(target=client.whole, args=(stream,)) for client, stream in zip(clients, streams)]
    proxy.send_signal(signal.SIGTERM)
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    for client, stream in zip(clients, streams):
        assert stream.ended and stream.data.count(b"retry: ") == 1
        client.wait(lambda: client.closed)
        assert [goaway[1] for goaway in client.goaways] == [CODES.NO_ERROR] * 2
    assert proxy.wait() == 0


# Client certificates


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_client_certificate_holds_for_every_stream_of_its_connection(stage, authority, identity, version):
    certificates = f"client_certificates required\nclient_authority {authority.certificate}\nclient_subject_field X-Client-Subject"
    origin = stage.origin(hello)
    proxy = stage.heartwire(origin, listen=tls_block(identity, extra=certificates), workers=2)
    mine = authority.issue("somebody", subject="/CN=somebody")
    with HTTP2Client(proxy.port, context=client_context(version, mine)) as client:
        streams = [client.request(f"/s{number}", accept=None, extra=[(b"x-client-subject", b"forged"), (b"x_client_subject", b"forged")])
                   for number in range(5)]
        for stream in streams:
            assert client.whole(stream).data == b"hello"
    assert [request.values("x-client-subject") for request in origin.requests] == [[b"CN=somebody"]] * 5
    assert b"forged" not in origin.everything_received()
    with pytest.raises((OSError, AssertionError)):
        with HTTP2Client(proxy.port, context=client_context(version)) as client:
            client.whole(client.request("/nobody", accept=None))
    assert len(origin.requests) == 5
    assert proxy.access_log.wait_for(lambda record: record.get("cause") == "client_tls_error")


def test_a_connection_takes_no_request_behind_the_end_of_its_certificate_and_its_stream_goes_on(stage, authority, identity):
    goes_on = threading.Event()

    def serve(connection, request):
        if request.target != b"/stream":
            return connection.respond(200, b"hello")
        connection.start_stream()
        connection.chunk(b"data: 1\n\n")
        goes_on.wait(120)
        connection.chunk(b"data: 2\n\n")
        connection.last_chunk()

    certificates = f"client_certificates required\nclient_authority {authority.certificate}"
    origin = stage.origin(serve)
    proxy = stage.heartwire(origin, listen=tls_block(identity, extra=certificates))

    def use(certificate, key):
        client = HTTP2Client(proxy.port, context=client_context(identity=(certificate, key)))
        stream = client.request("/stream")
        client.wait(lambda: b"data: 1" in stream.data)
        assert client.whole(client.request("/before", accept=None)).data == b"hello"
        return client, stream

    client, stream = issue_ending(authority, "kept-h2", use)
    late = client.whole(client.request("/after", accept=None))
    assert late.status == 403
    record = proxy.access_log.access("/after")
    assert record["cause"] == "client_tls_error" and "expired" in record["evidence"]
    assert b"/after" not in origin.everything_received()
    goes_on.set()
    client.whole(stream)
    assert stream.ended and b"data: 2" in stream.data
    client.close()


# What else a listener says


def test_hosts_of_one_certificate_share_a_connection_and_each_request_finds_its_own_route(stage, authority):
    """Browsers use one connection for all hosts of a certificate at one address (RFC 9113 section 9.1.1)."""
    origins = {name: stage.origin(lambda connection, request, name=name: connection.respond(200, name)) for name in (b"first", b"second")}
    identity = authority.issue("wild", "DNS:*.example.test")
    proxy = stage.heartwire(listen=tls_block(identity, listen="strict_transport_security 2h"), extra="".join(
        f"route {name.decode()}.example.test/* {{\n    upstream 127.0.0.1:{origin.port}\n}}\n" for name, origin in origins.items()))
    with HTTP2Client(proxy.port, secured=True) as client:
        for name in (b"first", b"second", b"first"):
            fields = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", name + b".example.test"), (b":path", b"/x")]
            stream = client.whole(client.request(fields=fields))
            assert (stream.status, stream.data, stream.field(b"strict-transport-security")) == (200, name, b"max-age=7200")
        fields[2] = (b":authority", b"third.example.test")
        assert client.whole(client.request(fields=fields)).status == 404


def test_a_plain_listener_redirects_http2_too(stage):
    proxy = stage.heartwire(stage.origin(hello), listen="protocols h2 http/1.1\nredirect_to_https 8443")
    with HTTP2Client(proxy.port) as client:
        stream = client.whole(client.request("/x?y=1", accept=None))
        assert stream.status == 308 and stream.field(b"location") == b"https://test.example:8443/x?y=1"
