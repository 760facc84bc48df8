"""Certificates that expire while the proxy runs: a session or a connection with an expired certificate lets no client in."""

import ssl
import threading
import time

import pytest

from support.client import get
from support.tls import ask, connect, tls_block, trusting


def issue_ending(authority, name, use):
    """Calls `use` with a certificate that has not expired (a busy machine gets one that lives longer). Returns its result after the expiry."""
    for seconds in (4, 20, 90):
        certificate, key, end = authority.issue_ending_in(seconds, f"{name}-{seconds}")
        result = use(certificate, key)
        if time.time() < end - 0.5:
            time.sleep(max(0, end + 1.1 - time.time()))
            return result
    pytest.fail("the machine is too busy")


@pytest.mark.parametrize("mode", ["required", "optional"])
@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_session_is_not_resumed_behind_the_end_of_the_clients_certificate(stage, authority, version, mode):
    certificates = f"client_certificates {mode}\nclient_authority {authority.certificate}\nclient_subject_field X-Client-Subject"
    origin = stage.origin(lambda connection, request: connection.respond(200, b"hello"))
    proxy = stage.heartwire(origin, listen=tls_block(authority.issue("localhost"), extra=certificates))

    def visit(context, session=None):
        with connect(proxy, context, session=session) as secured:
            assert ask(secured, wanted=b"hello")
            return secured.session, secured.session_reused

    def use(certificate, key):
        context = trusting(authority, maximum_version=getattr(ssl.TLSVersion, version))
        context.load_cert_chain(certificate, key)
        session, resumed = visit(context)
        assert not resumed
        session, resumed = visit(context, session)
        # Each visit gets another ticket, but the certificate's expiry stays.
        session, again = visit(context, session)
        return context, session, resumed and again

    context, session, resumed = issue_ending(authority, f"client-{version}-{mode}", use)
    assert resumed
    count = len(origin.requests)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        visit(context, session)
    assert len(origin.requests) == count
    assert "expired" in proxy.access_log.wait_for(lambda record: record.get("cause") == "client_tls_error")[0]["evidence"]


def test_a_connection_takes_no_request_behind_the_end_and_a_stream_goes_on(stage, authority):
    goes_on = threading.Event()

    def serve(connection, request):
        if request.target == b"/stream":
            connection.start_stream()
            connection.chunk(b"data: 1\n\n")
            goes_on.wait(120)
            connection.chunk(b"data: 2\n\n")
            connection.last_chunk()
        else:
            connection.respond(200, b"hello")

    certificates = f"client_certificates required\nclient_authority {authority.certificate}"
    origin = stage.origin(serve)
    proxy = stage.heartwire(origin, listen=tls_block(authority.issue("localhost"), extra=certificates), timeouts="keep_alive 5m")

    def use(certificate, key):
        context = trusting(authority)
        context.load_cert_chain(certificate, key)
        streaming, idle = connect(proxy, context), connect(proxy, context)
        ask(streaming, "/stream", wanted=b"data: 1")
        ask(idle, "/before", wanted=b"hello")
        ask(idle, "/before-too", wanted=b"hello")
        return streaming, idle

    streaming, idle = issue_ending(authority, "kept", use)
    assert b"403" in ask(idle, "/after")
    record = proxy.access_log.access("/after")
    assert record["cause"] == "client_tls_error" and "expired" in record["evidence"]
    assert b"/after" not in origin.everything_received()
    goes_on.set()
    received = b""
    while b"data: 2" not in received:
        received += streaming.recv(65536) or pytest.fail("the stream was ended")
    streaming.close()
    idle.close()


def test_a_servers_certificate_that_has_ended_is_refused_also_where_a_session_could_be_resumed(stage, authority, tmp_path):
    def use(certificate, key):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        resumed = []

        def serve(connection):
            connection.socket.settimeout(30)
            with context.wrap_socket(connection.socket, server_side=True) as secured:
                resumed.append(secured.session_reused)
                secured.recv(65536)
                secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")

        def tolerant(connection):
            try:
                serve(connection)
            except OSError:
                pass

        origin = stage.origin(tolerant, raw=True)
        proxy = stage.heartwire(f"https://localhost:{origin.port}", upstream=f"tls {{\nauthority {authority.certificate}\n}}")
        assert [get(proxy.port).status for _ in range(3)] == [200, 200, 200]
        return proxy, resumed

    proxy, resumed = issue_ending(authority, "server", use)
    assert resumed == [False, True, True]
    assert get(proxy.port, "/late").status == 502
    record = proxy.access_log.access("/late")
    assert record["cause"] == "upstream_tls_error" and "expired" in record["evidence"]
