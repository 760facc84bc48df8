"""What a server gets in place of the client's credentials, and that no client can send it itself."""

import base64
import subprocess
import time

import pytest

from support import eventsource, planted, tokens
from support.client import exchange, get
from support.paths import binary

STREAM = "Accept: text/event-stream\r\n"


def echo(connection, request):
    connection.respond(200, b"ok")


@pytest.fixture
def route(stage):
    """A function: the proxy with one route of these lines, and the origin behind it."""
    def make(*lines, **options):
        origin = stage.origin(echo)
        return stage.heartwire(origin, route=["bearer_from query access_token", "bearer_from cookie session", *lines], **options), origin
    return make


def credentials(request):
    return request.values("authorization")


@pytest.mark.parametrize("line, expected", [
    ("remove", []), ("bearer own-token", [b"Bearer own-token"]), ("basic ada \"open sesame\"", [b"Basic " + base64.b64encode(b"ada:open sesame")]),
    ("field X-Token", []), ("pass", None),
])
def test_the_server_gets_the_routes_credentials_and_not_the_clients(route, line, expected):
    proxy, origin = route(f"upstream_authorization {line}")
    # A token in another field than Authorization would count as leaked.
    token = "client-token" if line.startswith("field") else planted.plant()
    asked = [(f"/e?access_token={token}&a=1", ""), ("/e?a=1", f"Cookie: session={token}; b=2\r\n"), ("/e?a=1", f"Authorization: Bearer {token}\r\n"), ("/e?a=1", "")]
    for path, fields in asked:
        assert get(proxy.port, path, STREAM + fields).status == 200
    *bring, plain = origin.wait_for_requests(4)
    for request in bring:
        assert request.target == b"/e?a=1" and b"session" not in (request.value("cookie") or b"")
        assert credentials(request) == ([f"Bearer {token}".encode()] if expected is None else expected)
        assert request.values("x-token") == ([token.encode()] if line.startswith("field") else [])
    assert credentials(plain) == (expected or []) and plain.values("x-token") == []


def test_no_client_of_any_route_names_a_field_of_the_proxy(stage):
    origin = stage.origin(echo)
    other = f"route /other/* {{\n upstream {origin.address}\n}}\n"
    proxy = stage.heartwire(origin, route=["upstream_field X-Service heartwire", 'upstream_field X-Api-Key "k e y"', "upstream_authorization field X-Token"], extra=other)
    forged = "X-Service: eve\r\nx_service: eve\r\nX.Api.Key: eve\r\nX-Token: eve\r\nConnection: X-Service\r\n"
    assert get(proxy.port, "/e", forged).status == 200 and get(proxy.port, "/other/e", forged).status == 200
    own, plain = origin.wait_for_requests(2)
    assert own.values("x-service") == [b"heartwire"] and own.values("x-api-key") == [b"k e y"]
    for request in (own, plain):
        assert not [value for _, value in request.fields if b"eve" in value]
    assert plain.values("x-service") == plain.values("x-api-key") == []


def test_a_checked_token_opens_the_route_and_the_server_gets_the_proxys(stage):
    issuer = f"issuer main {{\n name {tokens.ISSUER}\n audience {tokens.AUDIENCE}\n shared_secret HS256 {tokens.SECRET}\n}}"
    origin = stage.origin(echo)
    proxy = stage.heartwire(origin, top=issuer, route=["bearer_check main", "claim_field X-User sub", "upstream_authorization basic proxy secret"])
    assert get(proxy.port, "/e", "").status == 401
    assert get(proxy.port, "/e", f"Authorization: Bearer {tokens.by_secret()}\r\n").status == 200
    request, = origin.wait_for_requests(1)
    assert credentials(request) == [b"Basic cHJveHk6c2VjcmV0"] and request.values("x-user") == [b"ada"]


def test_trace_carries_no_secret(route):
    proxy, origin = route("upstream_authorization bearer own", "upstream_field X-Key own")
    assert exchange(proxy.port, b"TRACE /e HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
    request, = origin.wait_for_requests(1)
    assert credentials(request) == request.values("x-key") == []


@pytest.mark.parametrize("line", ["upstream_authorization bearr S3CRET", "upstream_authorization basic S3CRET:x S3CRET", "upstream_field \"X Key\" S3CRET",
                                  "upstream_auth bearer S3CRET", "upstream_field X-Key S3CRET more"])
def test_check_repeats_no_secret(tmp_path, line):
    path = tmp_path / "a.conf"
    path.write_text(f"listen 127.0.0.1:1\nroute /* {{\n upstream 127.0.0.1:2\n {line}\n}}\n")
    done = subprocess.run([binary(), "check", "--config", path], capture_output=True, text=True, timeout=20)
    assert done.returncode != 0 and "4:" in done.stderr + done.stdout and "S3C" not in done.stderr + done.stdout


@pytest.mark.parametrize("query, fields, expected", [
    ("lastEventId=41", "", b"41"), ("lastEventId=a%20b+c", "", b"a b c"), ("lastEventId=41", "Last-Event-ID: 42\r\n", b"42"), ("lastEventId=", "", None),
    ("lastEventId=%00", "", None), ("lastEventId=%0D%0AX-Evil:%201", "", None),
])
def test_a_last_event_id_of_the_url_becomes_the_field(route, query, fields, expected):
    proxy, origin = route("last_event_id_from query lastEventId")
    token = planted.plant()
    assert get(proxy.port, f"/e?{query}&access_token={token}&a=1", STREAM + fields).status == 200
    request, = origin.wait_for_requests(1)
    assert request.target == b"/e?a=1" and request.value("last-event-id") == expected and request.values("x-evil") == []
    assert credentials(request) == [f"Bearer {token}".encode()]


def test_an_id_that_cannot_be_sent_is_withheld_and_an_expired_token_repeats_one_that_can(stage):
    def stream(connection, request):
        connection.start_stream()
        connection.chunk(b"data: 1\n\n")
        connection.last_chunk()

    issuer = f"issuer main {{\n name {tokens.ISSUER}\n audience {tokens.AUDIENCE}\n shared_secret HS256 {tokens.SECRET}\n leeway 0s\n}}"
    proxy = stage.heartwire(stage.origin(stream), top=issuer, route=["bearer_from query t", "bearer_check main", "last_event_id_from query id"])
    assert get(proxy.port, f"/a?id=4%071&t={tokens.by_secret()}", STREAM).status == 200
    assert get(proxy.port, f"/b?id=41&t={tokens.by_secret()}", STREAM).status == 200
    assert proxy.stream_log.opening("/a")["last_event_id_dropped"] is True
    assert "last_event_id_dropped" not in proxy.stream_log.opening("/b")
    told = get(proxy.port, f"/c?id=41&t={tokens.by_secret(exp=int(time.time()) - 5)}", STREAM)
    assert [(event.type, event.id) for event in eventsource.read(told.body).events] == [("token_expired", "41")]
