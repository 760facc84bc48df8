"""The console's listener: who is served, who is refused and how, over TCP, TLS and a UNIX socket, at a reload, a succession and the end."""

import hashlib
import pathlib
import socket
import ssl
import subprocess
import tempfile
import time

import pytest

from support.client import Client, exchange
from support.paths import binary
from support.ports import reserve_port
from support.reloading import File, silent_stream
from support.scripted import wait_for
from support.sockets import wait_until_read
from support.taking_over import end, successor

CSP = (b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
       b"frame-ancestors 'none'; base-uri 'none'")


def ask(port, path, *fields, method="GET", host="localhost", body=b""):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return exchange(port, "\r\n".join([*lines, "", ""]).encode() + body, method=method)


@pytest.fixture
def console(stage):
    """A proxy with a console on a loopback address, and the console's port."""
    port = reserve_port()
    proxy = stage.heartwire(stage.origin(silent_stream), top=f"console 127.0.0.1:{port}")
    return proxy, port


def test_health_readiness_and_metrics_are_served(console):
    proxy, port = console
    for path, words in (("/healthz", b"ok\n"), ("/readyz", b"ready\n")):
        answer = ask(port, path)
        assert (answer.status, answer.body) == (200, words)
        assert ask(port, path, method="HEAD").body == b""
    with Client(proxy.port) as client:
        client.open_stream("/events")
        metrics = ask(port, "/metrics")
        assert metrics.status == 200 and metrics.value("content-type").startswith(b"text/plain; version=0.0.4")
        assert b"# EOF" not in metrics.body
        openmetrics = ask(port, "/metrics", "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        assert openmetrics.value("content-type").startswith(b"application/openmetrics-text; version=1.0.0")
        assert openmetrics.body.endswith(b"# EOF\n")
    proxy.wait_for_words(f"the console is on http://127.0.0.1:{port}")


def test_every_answer_forbids_caches_frames_sniffing_and_foreign_scripts(console):
    _, port = console
    for answer in (ask(port, "/healthz"), ask(port, "/metrics"), ask(port, "/nothing"), ask(port, "/", host="evil.example"),
                   ask(port, "/metrics", method="POST")):
        assert answer.value("content-security-policy") == CSP
        assert answer.value("x-content-type-options") == b"nosniff"
        assert answer.value("referrer-policy") == b"no-referrer"
        assert answer.value("cache-control") == b"no-store"
        assert not [name for name, _ in answer.fields if name.lower().startswith(b"access-control-") or name.lower() == b"set-cookie"]


def test_a_name_that_was_made_to_point_here_is_refused(console):
    """DNS rebinding: the browser believes that it talks to the attacker's host, and the request's Host says so."""
    _, port = console
    for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "10.0.0.1", "[::2]", "test.example"):
        for path in ("/", "/metrics", "/healthz", "/readyz"):
            answer = ask(port, path, host=host)
            assert answer.status == 421 and b"ok" not in answer.body.split() and b"heartwire_" not in answer.body
    for host in ("localhost", f"127.0.0.1:{port}", "[::1]", f"LOCALHOST:{port}"):
        assert ask(port, "/metrics", host=host).status == 200
    assert exchange(port, b"GET /metrics HTTP/1.0\r\n\r\n").status == 421
    assert exchange(port, f"GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()).status == 421


def test_a_page_of_another_site_loads_nothing(console):
    _, port = console
    for mode in ("no-cors", "cors"):
        for site in ("cross-site", "same-site"):
            assert ask(port, "/metrics", f"Sec-Fetch-Site: {site}", f"Sec-Fetch-Mode: {mode}").status == 403
    link = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
    assert ask(port, "/", *link).status == 200
    for path in ("/metrics", "/feed", "/healthz", "/console.js"):
        assert ask(port, path, *link).status == 403
        assert ask(port, path, "Origin: http://evil.example").status == 403
    assert ask(port, "/", *link[:2], "Sec-Fetch-Dest: iframe").status == 403
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = ask(port, "/metrics", "Origin: http://evil.example", method=method)
        assert answer.status == 405 and answer.value("allow") == b"GET, HEAD"


def test_a_token_is_asked_for_by_everything_but_health(stage):
    port = reserve_port()
    digest = hashlib.sha256(b"open sesame").hexdigest()
    proxy = stage.heartwire(stage.origin(silent_stream), top=f"console 127.0.0.1:{port} {{\ntoken_sha256 {digest}\n}}")
    for path in ("/", "/metrics", "/feed", "/nothing"):
        for fields in ((), ("Authorization: Bearer open sesam",), (f"Authorization: Bearer {digest}",), ("Authorization: Basic b3Blbg==",)):
            answer = ask(port, path, *fields)
            assert answer.status == 401 and answer.value("www-authenticate").startswith(b'Basic realm="Heartwire console"')
    assert ask(port, "/healthz").status == 200 and ask(port, "/readyz").status == 200
    assert ask(port, "/metrics", "Authorization: Bearer open sesame").status == 200
    assert ask(port, "/metrics", "Authorization: Basic Ok9wZW4gc2VzYW1l").status == 401
    assert ask(port, "/metrics", "Authorization: Basic OnMzY3JldDpvcGVuIHNlc2FtZQ==").status == 401
    assert ask(port, "/metrics", "Authorization: Basic b3BzOm9wZW4gc2VzYW1l").status == 200
    assert "sesame" not in proxy.stderr() and "sesame" not in proxy.stdout()


@pytest.mark.parametrize("block, words", [
    ("", "a 'tls' block, and 'token_sha256'"),
    ("{\ntoken_sha256 " + "0" * 64 + "\n}", "without it the token can be read on the way")])
def test_an_address_that_others_can_reach_is_refused_without_protection(stage, block, words):
    folder = stage.new_folder()
    path = folder / "a.conf"
    path.write_text(f"listen 127.0.0.1:1\nconsole *:2 {block}\nroute /* {{\nupstream 127.0.0.1:3\n}}\n")
    checked = subprocess.run([binary(), "check", "--config", path], capture_output=True, text=True)
    assert checked.returncode == 78 and "other machines can reach the console on *:2" in checked.stderr and words in checked.stderr


def test_it_speaks_tls_with_client_certificates_in_place_of_a_token(stage, authority, identity):
    port = reserve_port()
    certificate, key = identity
    proxy = stage.heartwire(stage.origin(silent_stream), top=f"""console *:{port} {{
        tls {{
            certificate {certificate} {key}
            client_certificates required
            client_authority {authority.certificate}
        }}
    }}""")
    context = ssl.create_default_context(cafile=str(authority.certificate))

    def status():
        with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain, server_hostname="localhost") as secured:
            secured.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return secured.recv(100)

    with pytest.raises(ssl.SSLError):
        assert status() == b"", "a client without a certificate is served"
        raise ssl.SSLError("closed without a word")
    context.load_cert_chain(*authority.issue("operator"))
    assert b" 200 OK" in status()
    assert exchange(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 400, "plain text on a TLS port"


def test_a_unix_socket_is_for_its_owner_and_group_and_replaces_one_that_was_left_behind(stage):
    with tempfile.TemporaryDirectory(prefix="hw", dir="/tmp") as folder:
        path = pathlib.Path(folder) / "console.sock"
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(path))
        left.close()
        proxy = stage.heartwire(stage.origin(silent_stream), top=f"console unix:{path}")
        proxy.wait_for_words(f"the console is on unix:{path}")
        assert path.stat().st_mode & 0o777 == 0o660
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        second = stage.heartwire("127.0.0.1:1", top=f"console unix:{path}", popen={"wait": False})
        second.expected_to_stop_by_itself = True
        assert second.wait() == 69 and f"cannot listen on unix:{path}" in second.stderr()
        assert proxy.stop() == 0
        assert not path.exists()


def test_it_says_draining_until_the_end(console):
    proxy, port = console
    with Client(proxy.port) as client:
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        time.sleep(0.3)
        proxy.send_signal(15)
        proxy.wait_for_words("ending; streams are drained")
        # It says so a moment before it begins.
        wait_for(lambda: ask(port, "/readyz").status == 503)
        assert ask(port, "/readyz").body == b"draining\n"
        assert ask(port, "/healthz").status == 200
        assert ask(port, "/metrics").status == 200
    assert proxy.wait() == 0


def test_a_reload_moves_it_and_takes_it_away(console):
    proxy, port = console
    other = reserve_port()
    file = File(proxy)
    file.edit((f"console 127.0.0.1:{port}", f"console 127.0.0.1:{other}"))
    assert "console changed" in file.reload()
    assert ask(other, "/healthz").status == 200
    with pytest.raises(ConnectionRefusedError):
        ask(port, "/healthz")
    file.edit((f"console 127.0.0.1:{other}\n", ""))
    assert "console removed" in file.reload()
    with pytest.raises(ConnectionRefusedError):
        ask(other, "/healthz")
    file.edit(("workers 1\n", f"workers 1\nconsole 127.0.0.1:{port} {{\nallow_host ops.example\n}}\n"))
    assert "console added" in file.reload()
    assert ask(port, "/healthz", host="ops.example").status == 200
    file.edit((f"console 127.0.0.1:{port}", f"console 127.0.0.1:{proxy.port}"))
    assert "needs an address of its own" in file.reload("the configuration cannot be used")
    assert ask(port, "/healthz", host="ops.example").status == 200


def test_a_successor_takes_it_over_without_a_moment_without_an_answer(console, orphans):
    proxy, port = console
    proxy.send_signal(12)
    process = successor(proxy, orphans)
    for _ in range(50):
        assert ask(port, "/readyz").status == 200
    assert proxy.wait() == 0
    for _ in range(10):
        assert ask(port, "/readyz").status == 200
    end(process, orphans)


def test_a_request_that_is_too_large_is_refused(console):
    _, port = console
    assert ask(port, "/metrics", "X: " + "x" * 20_000).status == 431


def test_connections_that_only_wait_keep_nobody_out(console):
    """A load balancer that is not answered takes the proxy out of service."""
    _, port = console
    held = [Client(port) for _ in range(200)]
    try:
        for client in held[100:]:
            client.send(b"GET /healthz HTTP/1.1\r\nHost: local")
        time.sleep(0.2)
        for _ in range(3):
            for path in ("/healthz", "/readyz", "/metrics"):
                assert ask(port, path).status == 200
    finally:
        for client in held:
            client.close()


def test_health_is_answered_where_everybody_is_being_served(console):
    """Actions whose bodies do not come: the one kind of request that a client can keep unfinished."""
    _, port = console
    token = ask(port, "/").body.split(b'name="page-token" content="')[1].split(b'"')[0].decode()
    held = [Client(port) for _ in range(64)]
    try:
        for client in held:
            client.send(f"POST /streams/w0-000001/end HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        f"Sec-Fetch-Site: same-origin\r\nX-Heartwire-Page: {token}\r\nContent-Length: 2\r\n\r\n{{".encode())
        wait_until_read(*(client.socket for client in held))
        assert ask(port, "/healthz").status == 200 and ask(port, "/readyz").status == 200
        answer = ask(port, "/metrics")
        assert answer.status == 503 and answer.value("retry-after") == b"5"
        # Each has five seconds for its next byte.
        deadline = time.monotonic() + 8
        while ask(port, "/metrics").status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        for client in held:
            client.close()
