"""Which version of HTTP a connection speaks: by default, as `protocols` says, and under the ciphers of TLS 1.2."""

import socket
import ssl
import subprocess

import httpx
import pytest

from support.http2 import HTTP2Client
from support.ports import reserve_port
from support.reloading import File
from support.tls import ask, connect, tls_block, trusting
from test_http2 import BOTH, CODES, hello

ALL_CIPHERS = "ciphers ALL:@SECLEVEL=0"


def curl_version(proxy, authority, *options, scheme="https", host="localhost") -> str:
    """The version of HTTP that curl spoke."""
    return subprocess.check_output(
        ["curl", "-sS", "--noproxy", "*", "--cacert", authority.certificate, "-o", "/dev/null", "-w", "%{http_version} %{http_code}", *options,
         f"{scheme}://{host}:{proxy.port}/x"], timeout=20, text=True)


def chosen(proxy, *options, offered="h2,http/1.1") -> tuple:
    """The cipher and the protocol of a handshake by `openssl s_client`; the protocol is None where none was chosen."""
    said = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-servername", "localhost", *map(str, options),
                           *(["-alpn", offered] if offered else [])], input=b"", capture_output=True, timeout=20).stdout
    # Behind the text stand the first frames of HTTP/2.
    lines = [line.strip() for line in said.decode(errors="replace").splitlines()]
    cipher = next(line.rsplit(" ", 1)[1] for line in lines if "Cipher is" in line)
    return cipher, next((line.split(": ")[1] for line in lines if line.startswith("ALPN protocol")), None)


def lines(proxy, count, wanted) -> list:
    """That many lines of the access log, which may come later than the client's answer."""
    return proxy.access_log.wait_for(wanted, count=count)


def test_over_tls_clients_may_choose_http2_unless_it_is_switched_off(stage, authority, identity):
    origin = stage.origin(hello)
    proxy = stage.heartwire(origin, listen=tls_block(identity))
    assert curl_version(proxy, authority) == "2 200"
    assert curl_version(proxy, authority, "--http1.1") == "1.1 200"
    assert curl_version(proxy, authority, "--no-alpn") == "1.1 200"
    assert chosen(proxy)[1] == "h2" and chosen(proxy, offered="http/1.1,h2")[1] == "h2" and chosen(proxy, offered="http/1.1")[1] == "http/1.1"
    # A client that offers nothing, or only what nobody here speaks, may speak HTTP/1.1.
    assert chosen(proxy, offered=None)[1] is None and chosen(proxy, offered="spdy/3")[1] is None
    with connect(proxy, trusting(authority)) as secured:
        assert ask(secured, wanted=b"hello").startswith(b"HTTP/1.1 200 ")
    with httpx.Client(http2=True, verify=str(authority.certificate), trust_env=False) as client:
        assert client.get(f"https://localhost:{proxy.port}/x").http_version == "HTTP/2"
    records = lines(proxy, 5, lambda record: record.get("path") in ("/x", "/"))
    # A line of an HTTP/1 request says its version only where the client accepts an event stream.
    assert sorted(str(record.get("http")) for record in records) == ["2", "2", "None", "None", "None"]
    assert all(("connection" in record) == (record.get("http") == "2") for record in records)
    off = stage.heartwire(origin, listen=tls_block(identity, listen="protocols http/1.1"))
    assert curl_version(off, authority) == "1.1 200" and chosen(off)[1] == "http/1.1"


def test_on_a_plain_address_nothing_is_negotiated_and_http2_has_to_be_switched_on(stage, authority):
    origin = stage.origin(hello)
    proxy = stage.heartwire(origin)
    assert curl_version(proxy, authority, "--http2", scheme="http", host="127.0.0.1") == "1.1 200"
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5))
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 400 ")
    on = stage.heartwire(origin, listen=BOTH)
    assert curl_version(on, authority, "--http2-prior-knowledge", scheme="http", host="127.0.0.1") == "2 200"
    assert curl_version(on, authority, scheme="http", host="127.0.0.1") == "1.1 200"
    only = stage.heartwire(origin, listen="protocols h2")
    assert curl_version(only, authority, "--http2-prior-knowledge", scheme="http", host="127.0.0.1") == "2 200"
    with socket.create_connection(("127.0.0.1", only.port), timeout=10) as client:
        client.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        received = client.makefile("rb").read()
        assert received[3] == 4 and b"\0\0\0\1" in received, f"SETTINGS, and GOAWAY with PROTOCOL_ERROR: {received!r}"


def test_the_command_line_offers_it_too(stage, authority, identity):
    port, origin = reserve_port(), stage.origin(hello)
    proxy = stage.command(["proxy", "--upstream", f"http://127.0.0.1:{origin.port}", "--listen", f"127.0.0.1:{port}",
                           "--tls-certificate", identity[0], "--tls-key", identity[1]], port)
    assert curl_version(proxy, authority) == "2 200"


@pytest.mark.parametrize("cipher, protocol", [
    ("ECDHE-ECDSA-AES128-GCM-SHA256", "h2"), ("ECDHE-RSA-AES256-GCM-SHA384", "h2"), ("ECDHE-ECDSA-CHACHA20-POLY1305", "h2"),
    ("ECDHE-ECDSA-AES128-CCM", "h2"),
    ("ECDHE-RSA-AES128-SHA", "http/1.1"), ("ECDHE-ECDSA-AES256-SHA384", "http/1.1"), ("AECDH-AES128-SHA", "http/1.1"),
    ("AES128-GCM-SHA256", "http/1.1"), ("AES256-CCM", "http/1.1"), ("AES128-SHA", "http/1.1"), ("CAMELLIA128-SHA", "http/1.1"),
    ("NULL-SHA256", "http/1.1")])
def test_under_tls_12_http2_is_chosen_only_with_a_cipher_that_rfc_9113_allows(old_ciphers, authority, cipher, protocol, tmp_path):
    """Section 9.2.2: a client may treat any cipher of appendix A as INADEQUATE_SECURITY, and browsers do."""
    options = ["-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0"]
    session = tmp_path / "session"
    assert chosen(old_ciphers, *options, "-sess_out", session) == (cipher, protocol)
    # A resumed session keeps its cipher.
    assert chosen(old_ciphers, *options, "-sess_in", session) == (cipher, protocol)
    assert chosen(old_ciphers, *options, offered="h2")[1] == ("h2" if protocol == "h2" else None)


def test_curl_speaks_http2_under_tls_12_with_a_modern_cipher_and_http1_with_another(old_ciphers, authority):
    common = ["--tls-max", "1.2", "--ciphers"]
    assert curl_version(old_ciphers, authority, *common, "ECDHE-ECDSA-AES128-GCM-SHA256") == "2 200"
    assert curl_version(old_ciphers, authority, *common, "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0") == "1.1 200"
    assert curl_version(old_ciphers, authority) == "2 200"


@pytest.fixture(scope="module")
def old_ciphers(shared_stage, authority, identity):
    """A proxy that takes every cipher that OpenSSL still knows, with an ECDSA and an RSA key."""
    listen = tls_block(identity, authority.issue("localhost-rsa", rsa=True), extra="ciphers ALL:NULL:@SECLEVEL=0")
    return shared_stage.heartwire(shared_stage.origin(hello), listen=listen)


def test_where_only_http2_is_spoken_a_client_that_cannot_is_refused_in_the_handshake(stage, authority, identity):
    proxy = stage.heartwire(stage.origin(hello), listen=tls_block(identity, extra=ALL_CIPHERS, listen="protocols h2"))
    assert curl_version(proxy, authority) == "2 200"
    for options, offered in (([], "http/1.1"), (["-tls1_2"], "http/1.1"), (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"], "h2,http/1.1")):
        said = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-alpn", offered, *options], input="", capture_output=True,
                              text=True, timeout=20)
        assert "no application protocol" in said.stderr, said.stderr
    for record in lines(proxy, 3, lambda record: record.get("cause") == "client_tls_error"):
        assert "protocol" in record["evidence"], record
    # A client that offers nothing learns it from a frame.
    with connect(proxy, trusting(authority)) as secured:
        secured.settimeout(10)
        secured.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        received = b""
        while data := secured.recv(65536):
            received += data
        assert received[3] == 4 and b"\0\0\0\1" in received, f"SETTINGS, and GOAWAY with PROTOCOL_ERROR: {received!r}"


def test_a_reload_switches_it_for_new_connections_and_a_stream_goes_on(stage, authority, identity):
    proxy = stage.heartwire(stage.origin(lambda connection, request: (connection.start_stream(), connection.wait_until_left(60))),
                            listen=tls_block(identity), heartbeat="200ms")
    with HTTP2Client(proxy.port, secured=True) as client:
        stream = client.request("/x")
        client.wait(lambda: stream.head)
        file = File(proxy)
        file.edit(("tls {", "protocols http/1.1\n    tls {"))
        file.reload()
        assert chosen(proxy)[1] == "http/1.1"
        before = len(stream.data)
        client.wait(lambda: len(stream.data) > before, 5, "a heartbeat after the reload")
        file.edit(("protocols http/1.1\n    ", ""))
        file.reload()
        assert chosen(proxy)[1] == "h2"
        client.reset(stream, CODES.CANCEL)


def test_the_console_speaks_http1_also_over_tls(stage, authority, identity):
    port = reserve_port()
    proxy = stage.heartwire(stage.origin(hello), top=f"console 127.0.0.1:{port} {{\ntls {{\ncertificate {identity[0]} {identity[1]}\n}}\n}}")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain, context.wrap_socket(plain, server_hostname="localhost") as secured:
        assert secured.selected_alpn_protocol() == "http/1.1"
    assert proxy.process.poll() is None
