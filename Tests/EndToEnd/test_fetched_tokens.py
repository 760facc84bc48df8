"""Tokens that the proxy gets for servers: fetched once for all requests, again when they end or are refused, and never shown."""

import base64
import contextlib
import json
import subprocess
import threading
import time
import urllib.parse

import pytest

from support import eventsource
from support.client import Client, exchange, get
from support.forward_auth import reload
from support.paths import binary

STREAM = "Accept: text/event-stream\r\n"
SECRET = "s3cret/with+signs and blank"


class Issuer:
    """A token endpoint, which numbers its tokens."""

    def __init__(self, lifetime=3600, status=200, delay=0):
        self.lifetime, self.status, self.delay, self.count, self.asked = lifetime, status, delay, 0, []
        self.lock = threading.Lock()

    def __call__(self, connection, request):
        with self.lock:
            self.count += 1
            number = self.count
        self.asked.append(request)
        time.sleep(self.delay)
        if self.status != 200:
            return connection.respond(self.status, json.dumps({"error": "invalid_client", "error_description": SECRET}).encode())
        answer = {"access_token": f"token-{number}", "token_type": "bearer", "expires_in": self.lifetime}
        connection.respond(200, json.dumps(answer).encode(), [("Content-Type", "application/json")])


@pytest.fixture
def machine(stage):
    """A function: the proxy in front of a server, with a token of this issuer, and both."""
    def make(issuer, handler=lambda connection, request: connection.respond(200, b"ok"), address=None, lines=(), **options):
        tokens, origin = stage.origin(issuer), stage.origin(handler)
        block = (f"token machine {{\n url http://{address or tokens.address}/token\n client_id \"heart wire\"\n client_secret \"{SECRET}\"\n"
                 f" scope events.read events.write\n}}")
        proxy = stage.heartwire(origin, top=block, route=["upstream_authorization token machine", *lines], **options)
        return proxy, origin, tokens
    return make


def sent(origin):
    return [request.value("authorization") for request in origin.requests]


def test_a_token_is_fetched_once_for_all_requests_of_all_workers_by_the_rules_of_oauth(machine):
    issuer = Issuer(delay=0.3)
    proxy, origin, _ = machine(issuer, workers=2)
    threads = [threading.Thread(target=get, args=(proxy.port, "/e", "Authorization: Bearer mine\r\n")) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert get(proxy.port, "/e").status == 200
    assert sent(origin) == [b"Bearer token-1"] * 21 and issuer.count == 1
    asked, = issuer.asked
    assert asked.method == b"POST" and asked.target == b"/token" and asked.value("content-type") == b"application/x-www-form-urlencoded"
    assert urllib.parse.parse_qs(asked.body.decode()) == {"grant_type": ["client_credentials"], "scope": ["events.read events.write"]}
    client, secret = base64.b64decode(asked.value("authorization").split(b" ")[1]).decode().split(":")
    assert (urllib.parse.unquote(client), urllib.parse.unquote(secret)) == ("heart wire", SECRET) and "+" not in client + secret


def test_a_token_is_fetched_again_before_it_ends_and_no_request_waits_for_that(machine):
    issuer = Issuer(lifetime=5)
    proxy, origin, _ = machine(issuer)
    assert get(proxy.port, "/e").status == 200
    issuer.delay = 0.4
    time.sleep(4.2)
    began = time.monotonic()
    assert get(proxy.port, "/e").status == 200 and time.monotonic() - began < 0.3
    time.sleep(0.7)
    assert get(proxy.port, "/e").status == 200
    assert sent(origin) == [b"Bearer token-1", b"Bearer token-1", b"Bearer token-2"] and issuer.count == 2


def test_a_token_that_the_server_refuses_is_fetched_again_and_the_request_sent_once_more_where_it_may_be(machine):
    good = {b"Bearer token-1"}

    def server(connection, request):
        connection.respond(200 if request.value("authorization") in good else 401, b"answer")

    issuer = Issuer()
    proxy, origin, _ = machine(issuer, server)
    assert get(proxy.port, "/e").status == 200
    good.clear()
    good.add(b"Bearer token-2")
    assert get(proxy.port, "/e").status == 200 and issuer.count == 2
    assert sent(origin) == [b"Bearer token-1", b"Bearer token-1", b"Bearer token-2"]
    good.clear()
    for _ in range(5):
        assert get(proxy.port, "/e").status == 401
    assert issuer.count == 2, "at most every ten seconds"


def test_a_post_is_not_repeated_but_the_next_request_has_another_token(machine):
    good = {b"Bearer token-2"}

    def server(connection, request):
        connection.respond(200 if request.value("authorization") in good else 401, b"answer")

    issuer = Issuer()
    proxy, origin, _ = machine(issuer, server)
    assert exchange(proxy.port, b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", "POST").status == 401
    deadline = time.monotonic() + 5
    while issuer.count < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.2)
    assert get(proxy.port, "/e").status == 200
    assert sent(origin) == [b"Bearer token-1", b"Bearer token-2"]


def test_while_no_token_can_be_had_an_eventsource_is_held_and_all_others_get_503(stage, machine):
    def stream(connection, request):
        connection.start_stream()
        connection.chunk(b"data: hello\n\n")
        connection.last_chunk()

    issuer = Issuer(status=401)
    proxy, origin, _ = machine(issuer, stream, outage="retry 30s", heartbeat="500ms")
    with Client(proxy.port) as client:
        response, body = client.open_stream("/held", STREAM)
        assert response.status == 200
        plain = get(proxy.port, "/plain")
        assert plain.status == 503 and plain.value("retry-after") == b"1"
        record = proxy.access_log.access("/plain")
        assert (record["cause"], record["credential_error"]) == ("authorization_unavailable", "unavailable")
        assert origin.requests == [], "nothing goes to the server without the token"
        issuer.status = 200
        body.wait_for(b"data: hello", timeout=15)
    said = proxy.wait_for_words("token machine: it was fetched again")
    assert said.count("token machine: it cannot be fetched: the server answered 401 (invalid_client)") == 1
    assert "s3cret" not in said


@contextlib.contextmanager
def held_with_its_token(machine, good):
    """A client that is held while its server is gone, with a token that is in `good` before; the proxy, the origin, the issuer, and its body."""
    def server(connection, request):
        if request.value("authorization") not in good:
            return connection.respond(401, b"answer")
        connection.start_stream()
        connection.chunk(b"data: hello\n\n")
        connection.wait_until_left(20)

    issuer = Issuer()
    proxy, origin, _ = machine(issuer, server, outage="retry 30s", heartbeat="500ms")
    with Client(proxy.port) as client:
        client.open_stream("/first", STREAM)[1].wait_for(b"data: hello")
    origin.close()
    with Client(proxy.port) as client:
        response, body = client.open_stream("/held", STREAM)
        assert response.status == 200
        body.wait_for(b":")
        yield proxy, origin, issuer, body


def test_a_held_client_is_joined_with_another_token_when_the_server_refuses_the_one_that_it_waited_with(machine):
    good = {b"Bearer token-1"}
    with held_with_its_token(machine, good) as (_, origin, issuer, body):
        # The server comes back and knows the old token no more.
        good.clear()
        good.add(b"Bearer token-2")
        origin.listen_again()
        body.wait_for(b"data: hello", timeout=20)
    assert issuer.count == 2 and sent(origin)[-2:] == [b"Bearer token-1", b"Bearer token-2"]


def test_a_held_client_is_told_to_come_back_when_the_server_refuses_each_token(machine):
    good = {b"Bearer token-1"}
    with held_with_its_token(machine, good) as (proxy, origin, issuer, body):
        good.clear()
        origin.listen_again()
        assert eventsource.read(body.read_to_end(timeout=20)).retry is not None
    assert issuer.count == 2
    ending = proxy.stream_log.ending("/held")
    assert ending["cause"] == "sent_back" and "answered 401" in ending["evidence"]
    assert get(proxy.port, "/again", STREAM).status == 401


def test_a_token_is_kept_over_a_reload_that_does_not_change_it_and_fetched_again_after_one_that_does(machine):
    issuer = Issuer()
    proxy, origin, _ = machine(issuer, workers=2)
    assert get(proxy.port, "/e").status == 200
    text = (proxy.folder / "heartwire.conf").read_text()
    reload(proxy, text.replace("upstream_authorization token machine", "upstream_authorization token machine\n via off"))
    for _ in range(6):
        assert get(proxy.port, "/e").status == 200
    assert set(sent(origin)) == {b"Bearer token-1"} and issuer.count == 1
    reload(proxy, text.replace("events.write", "events.delete"))
    assert get(proxy.port, "/e").status == 200
    assert sent(origin)[-1] == b"Bearer token-2" and issuer.count == 2
    assert b"events.delete" in issuer.asked[-1].body


def test_trace_and_preflights_need_no_token(machine):
    issuer = Issuer(status=500)
    proxy, origin, _ = machine(issuer)
    assert exchange(proxy.port, b"TRACE /e HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").status == 200
    assert sent(origin) == [None] and issuer.count == 0


GOOD = "url https://id.example.com/token\n client_id a\n client_secret S3CRET"


@pytest.mark.parametrize("block, route, words", [
    ("url http://id.example.com/token\n client_id a\n client_secret S3CRET", "token machine", "anybody on the network path could"),
    ("client_id a\n client_secret S3CRET", "token machine", "a token needs three lines"),
    ("url https://id.example.com/token\n client_id a\n client_secret", "token machine", "'client_secret' needs more"),
    (GOOD + " more", "token machine", "one word too many"),
    (GOOD + "\n tls {\n  verify off\n }", "token machine", ""),
    (GOOD, "token S3CRET", "there is no token of this name"),
])
def test_check_names_what_is_wrong_and_repeats_no_secret(tmp_path, block, route, words):
    path = tmp_path / "a.conf"
    path.write_text(f"listen 127.0.0.1:1\ntoken machine {{\n {block}\n}}\nroute /* {{\n upstream 127.0.0.1:2\n upstream_authorization {route}\n}}\n")
    done = subprocess.run([binary(), "check", "--config", path], capture_output=True, text=True, timeout=20)
    said = done.stdout + done.stderr
    assert done.returncode != 0 and words in said and "S3C" not in said
