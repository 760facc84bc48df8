"""TLS to servers: names and authorities, errors when they do not match, tickets, and ends without close_notify."""

import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from support.client import Client, get
from support.logs import check_ending
from support.ports import reserve_port
from support.sockets import wait_until_read


class Server:
    """A TLS server; `handler(secured, plain)` is run for each connection after the handshake and its request's head."""

    def __init__(self, identity, handler, client_authority=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*map(str, identity))
        if client_authority:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(str(client_authority.certificate))
        self.names, self.resumed, self.subjects, self.requests = [], [], [], []
        self.context.sni_callback = lambda secured, name, context: self.names.append(name)
        self.handler = handler
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain):
        try:
            secured = self.context.wrap_socket(plain, server_side=True)
            self.resumed.append(secured.session_reused)
            self.subjects.append(secured.getpeercert())
            head = b""
            while b"\r\n\r\n" not in head:
                data = secured.recv(65536)
                if not data:
                    return
                head += data
            self.requests.append(head)
            self.handler(secured)
        except OSError:
            pass
        finally:
            plain.close()

    def close(self):
        self.listener.close()


@pytest.fixture
def server(request):
    started = []

    def start(*arguments, **options):
        started.append(Server(*arguments, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


def hello(secured):
    secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
    try:
        secured.unwrap()
    except OSError:
        pass


def upstream_tls(authority, *lines):
    return ["tls {\n" + "\n".join([f"authority {authority.certificate}", *lines]) + "\n}"]


def test_a_server_proves_its_name_and_is_asked_for_it(stage, authority, server):
    origin = server(authority.issue("origin"), hello)
    proxy = stage.heartwire(f"https://localhost:{origin.port}", upstream=upstream_tls(authority))
    response = get(proxy.port)
    assert (response.status, response.body) == (200, b"hello")
    assert origin.names == ["localhost"]


def test_another_name_can_be_asked_for(stage, authority, server):
    origin = server(authority.issue("internal", "DNS:backend.internal"), hello)
    proxy = stage.heartwire(f"https://127.0.0.1:{origin.port}", upstream=upstream_tls(authority, "server_name backend.internal"))
    assert get(proxy.port).body == b"hello"
    assert origin.names == ["backend.internal"]


def test_an_address_is_verified_as_one(stage, authority, server):
    origin = server(authority.issue("origin"), hello)
    proxy = stage.heartwire(f"https://127.0.0.1:{origin.port}", upstream=upstream_tls(authority))
    assert get(proxy.port).body == b"hello"
    assert origin.names == [None] or origin.names == []


@pytest.mark.parametrize("names, host, words", [
    ("DNS:other.test", "localhost", "hostname mismatch"),
    ("DNS:localhost", "127.0.0.1", "IP address mismatch"),
])
def test_a_server_that_cannot_prove_its_name_gets_no_request(stage, authority, server, names, host, words):
    origin = server(authority.issue("wrong", names), hello)
    proxy = stage.heartwire(f"https://{host}:{origin.port}", upstream=upstream_tls(authority))
    assert get(proxy.port).status == 502
    record, = proxy.access_log.wait_for(lambda record: record.get("cause") == "upstream_tls_error")
    assert words in record["evidence"] and "certificate verify failed" in record["evidence"]
    assert origin.requests == []


def test_an_unknown_authority_is_refused_and_the_system_knows_none_of_ours(stage, authority, server):
    origin = server(authority.issue("origin"), hello)
    proxy = stage.heartwire(f"https://localhost:{origin.port}")
    assert get(proxy.port).status == 502
    record, = proxy.access_log.wait_for(lambda record: record.get("cause") == "upstream_tls_error")
    assert "unable to get local issuer certificate" in record["evidence"], record
    assert origin.requests == []


def test_verification_can_be_turned_off_and_every_start_says_so(stage, authority, server):
    origin = server(authority.issue("wrong", "DNS:other.test"), hello)
    proxy = stage.heartwire(f"https://localhost:{origin.port}", upstream=["tls {\nverification insecure_off\n}"])
    assert get(proxy.port).body == b"hello"
    assert "warning" in proxy.wait_for_words("need not prove who they are")


def test_our_own_certificate_is_shown(stage, authority, server):
    ours = authority.issue("ours", "DNS:ours.test")
    origin = server(authority.issue("origin"), hello, client_authority=authority)
    proxy = stage.heartwire(f"https://localhost:{origin.port}", upstream=upstream_tls(authority, f"certificate {ours[0]} {ours[1]}"))
    assert get(proxy.port).body == b"hello"
    assert (("commonName", "ours"),) in origin.subjects[0]["subject"]
    without = stage.heartwire(f"https://localhost:{origin.port}", upstream=upstream_tls(authority))
    assert get(without.port).status == 502


def test_sessions_with_a_server_are_resumed(stage, authority, server):
    origin = server(authority.issue("origin"), hello)
    proxy = stage.heartwire(f"https://localhost:{origin.port}", upstream=upstream_tls(authority), workers=1)
    for _ in range(10):
        assert get(proxy.port).body == b"hello"
    print(f"{sum(origin.resumed)} of {len(origin.resumed) - 1} handshakes with the server resumed a session")
    assert sum(origin.resumed) == 9


def test_a_body_that_ends_with_its_connection_needs_a_goodbye(stage, authority, server):
    def until_close(says_goodbye):
        def handler(secured):
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: whole\n\n")
            time.sleep(0.3)
            if says_goodbye:
                try:
                    secured.unwrap()
                except OSError:
                    pass
            else:
                secured.detach_plain = socket.socket(fileno=secured.detach())
                secured.detach_plain.shutdown(socket.SHUT_RDWR)
        return handler

    identity = authority.issue("origin")
    for says_goodbye, cause in [(True, "upstream_finished"), (False, "upstream_cut_off")]:
        origin = server(identity, until_close(says_goodbye))
        proxy = stage.heartwire(f"https://localhost:{origin.port}", upstream=upstream_tls(authority))
        with Client(proxy.port) as client:
            _, body = client.open_stream("/end")
            body.read_to_end(10)
            assert body.complete == says_goodbye
        record = proxy.stream_log.ending("/end")
        check_ending(record, cause)
        if not says_goodbye:
            assert "close_notify" in record["evidence"]


def test_garbage_and_resets_inside_of_tls_have_causes_of_their_own(stage, authority, server):
    def breaking(how):
        def handler(secured):
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n")
            plain = socket.socket(fileno=secured.detach())
            wait_until_read(plain)
            how(plain)
        return handler

    def garbage(plain):
        plain.sendall(b"\x17\x03\x03\x00\x20" + b"\x07" * 32)
        plain.recv(100)
        plain.close()

    def reset_inside(plain):
        plain.sendall(b"\x17\x03\x03\x00\x20\x07\x07")
        wait_until_read(plain)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        plain.close()

    identity = authority.issue("origin")
    for how, cause, words in [(garbage, "upstream_tls_error", "bad record mac"), (reset_inside, "upstream_reset", "in the middle of a TLS record")]:
        origin = server(identity, breaking(how))
        proxy = stage.heartwire(f"https://localhost:{origin.port}", upstream=upstream_tls(authority))
        with Client(proxy.port) as client:
            _, body = client.open_stream("/broken")
            body.read_to_end(10)
            assert not body.complete
        record = proxy.stream_log.ending("/broken")
        check_ending(record, cause)
        assert words in record["evidence"], record


def test_a_server_that_speaks_no_tls_or_stalls_is_told_apart(stage, authority):
    plain = stage.origin(lambda connection: connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), raw=True)
    proxy = stage.heartwire(f"https://{plain.address}", upstream=upstream_tls(authority))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stalled = stage.heartwire(f"https://127.0.0.1:{silent.getsockname()[1]}", upstream=upstream_tls(authority), timeouts="handshake 400ms")
        started = time.monotonic()
        assert get(stalled.port).status == 504
        assert time.monotonic() - started < 5
    record, = stalled.access_log.wait_for(lambda record: record.get("cause") == "connect_timeout")
    assert "no TLS handshake within 400 ms" in record["evidence"]
    assert get(proxy.port).status == 502
    record, = proxy.access_log.wait_for(lambda record: record.get("cause") == "upstream_tls_error")


def test_another_server_is_tried_where_one_cannot_prove_its_name(stage, authority, server):
    wrong, right = server(authority.issue("wrong", "DNS:other.test"), hello), server(authority.issue("origin"), hello)
    proxy = stage.heartwire(f"https://localhost:{wrong.port}", f"https://localhost:{right.port}", upstream=upstream_tls(authority))
    for _ in range(4):
        assert get(proxy.port).body == b"hello"
    assert wrong.requests == []


def test_nginx_as_a_tls_server(stage, authority, tmp_path):
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    certificate, key = authority.issue("nginx")
    port = reserve_port()
    (tmp_path / "nginx.conf").write_text(f"""
daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log; worker_processes 1;
events {{}}
http {{
    access_log off; client_body_temp_path {tmp_path}; proxy_temp_path {tmp_path}; fastcgi_temp_path {tmp_path};
    uwsgi_temp_path {tmp_path}; scgi_temp_path {tmp_path};
    server {{
        listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};
        location / {{ default_type text/plain; return 200 "$ssl_protocol $ssl_session_reused\\n"; }}
    }}
}}
""")
    process = subprocess.Popen([nginx, "-c", tmp_path / "nginx.conf", "-p", tmp_path], stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        proxy = stage.heartwire(f"https://localhost:{port}", upstream=upstream_tls(authority))
        assert get(proxy.port).body.startswith(b"TLSv1.")
        assert get(proxy.port).status == 200
    finally:
        process.terminate()
        process.wait()


def test_openssl_s_server_as_a_tls_server(stage, authority):
    certificate, key = authority.issue("s_server")
    port = reserve_port()
    process = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-key", key, "-www"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        proxy = stage.heartwire(f"https://localhost:{port}", upstream=upstream_tls(authority))
        assert b"TLSv1.3" in get(proxy.port).body
    finally:
        process.kill()
        process.wait()


def wait_for_port(port):
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_an_early_answer_before_a_reset_reaches_the_client(stage, authority, server):
    def refuse_and_reset(secured):
        # Without this the answer would wait for an acknowledgement, and the reset would destroy it.
        secured.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secured.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        secured.close()
    origin = server(authority.issue("origin"), refuse_and_reset)
    proxy = stage.heartwire(f"https://localhost:{origin.port}", upstream=upstream_tls(authority))
    for _ in range(5):
        with Client(proxy.port) as client:
            client.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n")
            # Enough that bytes wait for the server when it resets.
            client.send(b"x" * 8_000_000)
            response = client.read_response()
            assert (response.status, response.body) == (413, b"no")


def test_what_nobody_asked_for_is_the_answer_to_no_request(stage, authority, server):
    served = []

    def answer(secured):
        served.append(secured)
        secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        while secured.recv(65536):
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

    origin = server(authority.issue("origin"), answer)
    proxy = stage.heartwire(f"https://localhost:{origin.port}", upstream=upstream_tls(authority), workers=1)
    with Client(proxy.port) as client:
        client.get("/")
        assert client.read_response().body == b"hello"
        client.get("/")
        assert client.read_response().body == b"hello" and len(served) == 1, "a connection that is quiet is used again"
        # The unrequested bytes are there before the proxy reads the next request.
        proxy.pause()
        client.get("/")
        time.sleep(0.05)
        served[0].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")
        time.sleep(0.05)
        proxy.send_signal(signal.SIGCONT)
        assert client.read_response().body == b"hello" and len(served) == 2
