"""Tokens about which their issuer is asked (RFC 7662): openings, answers that are kept, and streams whose tokens are taken back."""

import base64
import concurrent.futures
import http.server
import json
import threading
import time
import urllib.parse

import pytest

from support import planted, tokens
from support.client import Client
from support.tokens import bearer, status
from support.waiting import wait_until

ID, SECRET = "heart wire+1", "s:e c/r%t"


class Endpoint:
    """An introspection endpoint. `states` has the answer about each token; others are not active."""

    def __init__(self):
        self.states, self.questions, self.status = {}, [], 200
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = dict(urllib.parse.parse_qsl(body, strict_parsing=True))
                user, password = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode().split(":")
                known = (urllib.parse.unquote(user), urllib.parse.unquote(password)) == (ID, SECRET)
                owner.questions.append((form, self.headers["Content-Type"]))
                answer = owner.states.get(form["token"], {"active": False}) if known else {"error": "invalid_client"}
                text = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                self.send_response(owner.status if known else 401)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/introspect"


@pytest.fixture
def endpoint():
    endpoint = Endpoint()
    yield endpoint
    endpoint.server.shutdown()
    endpoint.server.server_close()


def stream(connection, request):
    if "event-stream" not in (request.value("accept") or b"").decode():
        return connection.respond(200, b"ok")
    connection.start_stream()
    connection.chunk(b"data: hello\n\n")
    connection.wait_until_left(30)


@pytest.fixture
def checked(stage, endpoint):
    """A function: the proxy with one route that is checked by the endpoint, and the origin behind it."""
    def make(*lines, issuer=(), more="", workers=1):
        origin = stage.origin(stream)
        inner = "".join(f" {line}\n" for line in issuer)

        def text(port, folder):
            return (
                f"listen 127.0.0.1:{port}\nworkers {workers}\nstream_log {folder}/stream.log\naccess_log {folder}/access.log\n"
                f"fingerprint_key a-key-of-the-tests-of-introspection\n"
                f"issuer opaque {{\n name {tokens.ISSUER}\n audience {tokens.AUDIENCE}\n introspect_url {endpoint.url}\n"
                f" introspect_client \"{ID}\" \"{SECRET}\"\n{inner}}}\n{more}"
                f"route /* {{\n upstream {origin.address}\n bearer_from query access_token\n bearer_check opaque{' main' if more else ''}\n"
                + "".join(f" {line}\n" for line in lines) + "}\n")

        return stage.heartwire(text=text), origin
    return make


def opaque(name="2YotnFZFEjr1zCsicMWpAA~._/+-=") -> str:
    return planted.watch(name)


def test_an_active_token_opens_and_the_answer_is_kept(checked, endpoint):
    proxy, origin = checked("require_scope events.read", "claim_field X-User sub")
    token = opaque()
    endpoint.states[token] = {"active": True, "sub": "ada", "scope": "events.read other", "exp": int(time.time()) + 600}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: status(proxy, token), range(24))) == {200}
    assert endpoint.questions == [({"token": token, "token_type_hint": "access_token"}, "application/x-www-form-urlencoded")]
    assert {request.value("x-user") for request in origin.requests} == {b"ada"}
    with Client(proxy.port) as client:
        response, body = client.open_stream("/s", bearer(token))
        body.wait_for(b"hello")
    opening = proxy.stream_log.opening("/s")
    assert opening["issuer"] == "opaque" and "subject" in opening


@pytest.mark.parametrize("answer, expected, word", [
    ({"active": False}, 401, "denied"),
    ({"active": True, "exp": int(time.time()) - 1_000}, 401, "expired"),
    ({"active": True, "iss": "https://other.example.com/"}, 401, "issuer"),
    ({"active": True, "aud": "other"}, 401, "audience"),
    ({"active": "true"}, 503, "unavailable"),
    ({"active": 1}, 503, "unavailable"),
    ("<html>", 503, "unavailable"),
], ids=["inactive", "expired", "issuer", "audience", "text", "number", "html"])
def test_what_is_no_clear_yes_opens_nothing(checked, endpoint, answer, expected, word):
    proxy, origin = checked()
    token = opaque()
    endpoint.states[token] = answer
    assert status(proxy, token, "/a") == expected
    record = proxy.access_log.access("/a")
    assert record["credential_error"] == word
    assert status(proxy, token, "/b") == expected
    assert not origin.requests and (expected == 503 or len(endpoint.questions) == 1)


def test_a_status_other_than_200_says_nothing_and_an_eventsource_waits(checked, endpoint):
    proxy, origin = checked("heartbeat 100ms")
    token = opaque()
    endpoint.states[token] = {"active": True}
    endpoint.status = 500
    assert status(proxy, token) == 503
    # A client that can send Authorization can read a status.
    assert status(proxy, token, "/fetch", "Accept: text/event-stream\r\n") == 503
    with Client(proxy.port) as client:
        response, body = client.open_stream(f"/held?access_token={urllib.parse.quote(token, safe='')}", timeout=10)
        body.wait_for(b":")
        assert not origin.requests
        endpoint.status = 200
        body.wait_for(b"data: hello", timeout=20)


def test_a_token_that_is_taken_back_ends_all_its_streams_by_one_question(checked, endpoint):
    proxy, _ = checked(issuer=["cache 1s", "recheck 1s"])
    token, other = opaque(), opaque("another-token-that-stays-good")
    endpoint.states = {token: {"active": True}, other: {"active": True}}
    clients = [Client(proxy.port) for _ in range(6)]
    bodies = [client.open_stream(f"/{number}", bearer(token if number < 5 else other))[1] for number, client in enumerate(clients)]
    for body in bodies:
        body.wait_for(b"hello")
    del endpoint.states[token]
    before = len([form for form, _ in endpoint.questions if form["token"] == token])
    for body in bodies[:5]:
        wait_until(lambda: body.collect(0.05) or body.ended)
    assert len([form for form, _ in endpoint.questions if form["token"] == token]) <= before + 2
    ending = proxy.stream_log.ending("/0")
    assert ending["cause"] == "revoked"
    assert ending["evidence"] == "ended between two events because issuer opaque said that the token is not active when it was asked again"
    assert not bodies[5].ended
    assert status(proxy, token) == 401
    for client in clients:
        client.close()


def test_several_workers_ask_once_each_and_all_learn_that_a_token_was_taken_back(checked, endpoint):
    proxy, _ = checked(issuer=["cache 10m", "recheck 1s"], workers=3)
    token = opaque()
    endpoint.states[token] = {"active": True}
    clients, began = [Client(proxy.port) for _ in range(24)], time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        bodies = list(pool.map(lambda pair: pair[1].open_stream(f"/{pair[0]}", bearer(token))[1], enumerate(clients)))
    for body in bodies:
        body.wait_for(b"hello")
    streams = proxy.stream_log.openings(len(clients))
    workers = {record["stream"].partition("-")[0] for record in streams}
    assert len(workers) > 1, "all clients came to one worker"
    # Besides, each worker asks again about living streams, at most once in three quarters of a second.
    assert len(endpoint.questions) <= len(workers) * (1 + (time.monotonic() - began) / 0.75)
    del endpoint.states[token]
    for body in bodies:
        wait_until(lambda: body.collect(0.02) or body.ended)
    # A kept answer opens nothing any more on a worker that has learnt it.
    assert {status(proxy, token) for _ in range(12)} == {401}
    endings = proxy.stream_log.endings(len(clients))
    assert {record["cause"] for record in endings} == {"revoked"} and {record["stream"].partition("-")[0] for record in endings} == workers
    for client in clients:
        client.close()


def test_without_an_answer_streams_live_on_for_the_grace(checked, endpoint):
    proxy, _ = checked(issuer=["cache 1s", "recheck 1s", "recheck_grace 3s"])
    token = opaque()
    endpoint.states[token] = {"active": True}
    with Client(proxy.port) as client:
        _, body = client.open_stream("/s", bearer(token))
        body.wait_for(b"hello")
        endpoint.status, began = 500, time.monotonic()
        wait_until(lambda: body.collect(0.1) or body.ended, timeout=15)
        assert time.monotonic() > began + 2.5
    ending = proxy.stream_log.ending("/s")
    assert ending["cause"] == "authorization_unavailable"
    assert "issuer opaque has not said for more than 3 s whether the token is good" in ending["evidence"]


def test_signed_tokens_of_another_issuer_of_the_route_are_not_sent_away(checked, endpoint):
    other = f"issuer main {{\n name https://signed.example.com/\n audience any\n shared_secret HS256 {tokens.SECRET}\n}}\n"
    proxy, _ = checked(more=other)
    assert status(proxy, tokens.by_secret(iss="https://signed.example.com/")) == 200
    assert not endpoint.questions
    assert status(proxy, opaque()) == 401
    assert len(endpoint.questions) == 1
