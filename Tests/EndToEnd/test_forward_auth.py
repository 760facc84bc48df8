"""Routes that ask a service whether a request may pass: what it is asked, how often, and what servers get."""

import threading
import time

import pytest

from support import forward_auth, tokens
from support.client import Client, exchange, get
from support.forward_auth import SESSION, STREAM, allow, reload, stream
from support.http2 import HTTP2Client
from support.ports import reserve_port


@pytest.fixture
def guarded(stage):
    return forward_auth.guarded(stage)


# What is asked, and what the server gets

def test_a_request_passes_with_the_service_s_fields_and_nothing_reaches_the_server_before(guarded):
    may_answer = threading.Event()

    def service(connection, request):
        may_answer.wait(10)
        allow(connection, request)

    proxy, asked, origin = guarded(service)
    with Client(proxy.port) as client:
        client.send(b"POST /a HTTP/1.1\r\nHost: a\r\nCookie: sid=ann\r\nContent-Length: 4\r\n\r\nbody")
        asked.wait_for_requests(1)
        time.sleep(0.3)
        assert origin.connections == []
        may_answer.set()
        assert client.read_response().status == 200
    request, = origin.wait_for_requests(1)
    assert (request.value("x-user"), request.value("x-groups"), request.value("x-other")) == (b"ann", b"a, b", None)
    assert request.body == b"body" and request.value("cookie") == b"sid=ann"


def test_the_service_gets_what_the_proxy_knows_and_no_word_of_the_client_about_it(guarded):
    proxy, asked, _ = guarded(allow, "send Cookie Authorization X-Api-Key")
    forged = "".join(f"{name}: evil\r\n" for name in [
        "X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For", "X-Original-URL", "X-Original-Method",
        "X-Original-URI", "x_forwarded_uri", "X-Rewrite-URL", "X-Real-IP", "Forwarded", "X-User", "X-Scheme", "Via", "X-HTTP-Method-Override"])
    put = f"PUT /a/b?c=d HTTP/1.1\r\nHost: events.example:81\r\nConnection: close\r\nContent-Length: 1\r\n{forged}Cookie: a=1; b=2\r\nAuthorization: Basic YTpi\r\nX-Api-Key: k\r\n\r\nx"
    assert exchange(proxy.port, put.encode()).status == 200
    request, = asked.wait_for_requests(1)
    assert (request.method, request.target, request.body) == (b"GET", b"/verify?for=events", b"")
    expected = {
        b"host": asked.address.encode(), b"x-forwarded-method": b"PUT", b"x-forwarded-uri": b"/a/b?c=d", b"x-forwarded-proto": b"http",
        b"x-forwarded-host": b"events.example:81", b"x-forwarded-for": b"127.0.0.1", b"accept-encoding": b"identity", b"cookie": b"a=1; b=2",
        b"authorization": b"Basic YTpi", b"x-api-key": b"k", b"x-original-method": b"PUT",
        b"x-original-url": b"http://events.example:81/a/b?c=d"}
    assert {name.lower(): value for name, value in request.fields} == expected
    assert len(request.fields) == len(expected)


def test_the_service_gets_a_token_as_the_server_would_and_never_in_a_url(guarded):
    proxy, asked, origin = guarded(allow, "send Cookie Authorization Referer X-Url", route="bearer_from query access_token\n bearer_from cookie session")
    token = tokens.by_secret()
    assert get(proxy.port, f"/a?x=1&access_token={token}&y=2", f"Cookie: sid=ann\r\nReferer: http://a/p?access_token={token}\r\nX-Url: /q\r\n").status == 200
    assert get(proxy.port, "/b", f"Cookie: sid=ann; session={token}\r\n").status == 200
    by_url, by_cookie = asked.wait_for_requests(2)
    assert by_url.value("x-forwarded-uri") == b"/a?x=1&y=2" and by_url.value("x-original-url").endswith(b"/a?x=1&y=2") and by_url.value("authorization") == f"Bearer {token}".encode()
    assert by_url.value("referer") is None and by_url.value("x-url") == b"/q"
    assert by_cookie.value("cookie") == b"sid=ann" and by_cookie.value("authorization") == f"Bearer {token}".encode()
    assert [request.target for request in origin.wait_for_requests(2)] == [b"/a?x=1&y=2", b"/b"]


def test_a_request_without_any_credentials_is_the_service_s_matter_too(guarded):
    proxy, asked, origin = guarded(lambda connection, request: connection.respond(401 if request.value("cookie") is None else 200))
    assert get(proxy.port, "/a").status == 401
    assert get(proxy.port, "/a", SESSION).status == 200
    assert len(asked.wait_for_requests(2)) == 2 and len(origin.wait_for_requests(1)) == 1


def test_a_trusted_proxy_s_words_about_its_client_go_to_the_service(guarded):
    proxy, asked, _ = guarded(top="trusted_proxies 127.0.0.1")
    get(proxy.port, "/a", "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: app.example\r\nX-Forwarded-Uri: /evil\r\nX-Original-URL: /evil\r\n")
    request, = asked.wait_for_requests(1)
    assert request.values("x-forwarded-for") == [b"9.9.9.9, 127.0.0.1"] and request.values("x-forwarded-proto") == [b"https"]
    assert request.values("x-forwarded-host") == [b"app.example"] and request.values("x-forwarded-uri") == [b"/a"]
    assert request.values("x-original-url") == [b"https://app.example/a"] and request.values("x-original-method") == [b"GET"]
    assert not any(b"evil" in value for _, value in request.fields)


FORGED = "X-User: eve\r\nx_user: eve\r\nX.USER: eve\r\nX-Groups: admin\r\nX_GROUPS: admin\r\nX-Username: kept\r\nConnection: x-user, x-groups, close\r\n"


def test_clients_cannot_write_the_fields_of_the_service_on_any_way_to_the_server(guarded):
    proxy, _, origin = guarded(
        lambda connection, request: connection.respond(200, b"", [("X-User", "ann")]), path="/events/*",
        more="route /* {{\n upstream {origin}\n}}")
    assert get(proxy.port, "/events/1", FORGED + SESSION).status == 200
    assert get(proxy.port, "/elsewhere", FORGED).status == 200
    by_service, elsewhere = origin.wait_for_requests(2)
    assert by_service.values("x-user") == [b"ann"]
    for request in (by_service, elsewhere):
        assert not any(b"eve" in value or b"admin" in value for _, value in request.fields)
        assert request.value("x-username") == b"kept"


def test_clients_of_http2_cannot_write_them_either(guarded):
    proxy, asked, origin = guarded(
        lambda connection, request: connection.respond(200, b"", [("X-User", "ann")]), path="/events/*",
        more="route /* {{\n upstream {origin}\n}}")
    forged = [(b"x-user", b"eve"), (b"x_user", b"eve"), (b"x.groups", b"admin"), (b"x-forwarded-uri", b"/evil"), (b"x-original-url", b"/evil")]
    with HTTP2Client(proxy.port) as client:
        for path in ["/events/1", "/elsewhere"]:
            stream = client.whole(client.request(path, extra=[*forged, (b"cookie", b"a=1"), (b"cookie", b"b=2")], accept=None))
            assert stream.status == 200
    question, = asked.wait_for_requests(1)
    assert question.values("x-forwarded-uri") == [b"/events/1"] and question.values("cookie") == [b"a=1; b=2"]
    assert question.values("x-forwarded-host") == [b"test.example"]
    by_service, elsewhere = origin.wait_for_requests(2)
    assert by_service.values("x-user") == [b"ann"]
    assert not any(word in value for request in (by_service, elsewhere, question) for _, value in request.fields for word in (b"eve", b"admin", b"/evil") if not value.endswith(b"/events/1"))


@pytest.mark.parametrize("path", [
    "/events", "/events/", "/events//1", "//events/1", "/./events/1", "/x/../events/1", "/%65vents/1", "/events%2F1", "/events;a=1/1",
    "/x/%2e%2e/events/1", "/events\\1", "/events/1?x", "/events/1%00"])
def test_no_spelling_of_a_path_gets_around_the_service(guarded, path):
    proxy, _, origin = guarded(
        lambda connection, request: connection.respond(403), path="/events/*", more="route /* {{\n upstream {origin}\n}}")
    assert get(proxy.port, path).status in (400, 403, 404)
    assert origin.requests == []


def test_a_preflight_goes_on_without_credentials_and_another_options_is_asked_about(guarded):
    proxy, asked, origin = guarded(lambda connection, request: connection.respond(403))
    fields = f"Origin: https://a.example.com\r\n{SESSION}Authorization: Basic YTpi\r\n"

    def options(more):
        return exchange(proxy.port, f"OPTIONS /e HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}{more}\r\n".encode(), "OPTIONS").status

    assert options("Access-Control-Request-Method: GET\r\nX-User: eve\r\n") == 200
    assert asked.requests == []
    assert options("") == 403
    request, = origin.wait_for_requests(1)
    assert [request.value(name) for name in ("cookie", "authorization", "x-user")] == [None] * 3


def test_two_authorization_fields_are_refused_before_anybody_is_asked(guarded):
    proxy, asked, origin = guarded()
    assert get(proxy.port, "/a", "Authorization: Basic YTpi\r\nAuthorization: Basic eDp5\r\n").status == 400
    assert proxy.access_log.access("/a")["credential_error"] == "repeated"
    assert asked.requests == [] and origin.requests == []


def test_with_a_token_check_on_the_route_the_check_comes_first(guarded):
    issuer = f"issuer main {{\n name {tokens.ISSUER}\n audience {tokens.AUDIENCE}\n shared_secret HS256 {tokens.SECRET}\n}}"
    proxy, asked, origin = guarded(top=issuer, route="bearer_check main\n claim_field X-Subject sub")
    assert get(proxy.port, "/a", "Authorization: Bearer x.y.z\r\n").status == 401
    assert get(proxy.port, "/b", SESSION).status == 401
    assert asked.requests == []
    assert get(proxy.port, "/c", f"Authorization: Bearer {tokens.by_secret(sub='bob')}\r\n").status == 200
    request, = origin.wait_for_requests(1)
    assert (request.value("x-user"), request.value("x-subject")) == (b"ann", b"bob") and len(asked.requests) == 1


# Kept answers

def test_an_answer_is_kept_for_its_time_and_for_the_same_question_only(guarded):
    def service(connection, request):
        connection.respond(200 if b"ann" in (request.value("cookie") or b"") else 403, b"", [("X-User", "ann")])

    proxy, asked, _ = guarded(service, "cache 6s", "cache_denied 2s")
    base = {"path": "/a", "host": "test.example", "fields": SESSION, "method": "GET"}

    def ask(**changes):
        with Client(proxy.port) as client:
            case = {**base, **changes}
            client.send(f"{case['method']} {case['path']} HTTP/1.1\r\nHost: {case['host']}\r\n{case['fields']}\r\n".encode())
            return client.read_head().status, len(asked.requests)

    assert [ask() for _ in range(3)] == [(200, 1)] * 3
    others = [
        dict(path="/b"), dict(path="/a?x=1"), dict(host="other.example"), dict(method="DELETE"), dict(fields=SESSION + "Authorization: Basic YTpi\r\n"),
        dict(fields="Cookie: sid=ann; x=y\r\n"), dict(fields="Cookie: sid=ann2\r\n")]
    for number, changes in enumerate(others):
        assert ask(**changes) == (200, 2 + number), changes
    assert ask(fields="") == (403, 9) and ask(fields="") == (403, 9) and ask(fields="Cookie: sid=eve\r\n") == (403, 10)
    assert ask() == (200, 10)
    # What the service does not get makes no other question.
    assert ask(fields=SESSION + "User-Agent: x\r\nLast-Event-ID: 7\r\n") == (200, 10)
    time.sleep(2.1)
    assert ask(fields="") == (403, 11)
    time.sleep(4.1)
    assert ask() == (200, 12)


def test_a_client_from_another_address_is_another_question(guarded):
    proxy, asked, _ = guarded(lambda connection, request: connection.respond(200 if request.value("x-forwarded-for") == b"127.0.0.1" else 403))
    assert get(proxy.port, "/a").status == 200
    with Client(proxy.port, source="127.0.0.2") as client:
        client.get("/a")
        assert client.read_response().status == 403
    assert len(asked.requests) == 2


def test_nothing_is_kept_with_0s(guarded):
    proxy, asked, _ = guarded(allow, "cache 0s")
    for number in range(3):
        assert get(proxy.port, "/a", SESSION).status == 200
    assert len(asked.requests) == 3


def test_a_thousand_openings_of_one_identity_ask_once(guarded):
    go = threading.Event()

    def service(connection, request):
        go.wait(20)
        allow(connection, request)

    proxy, asked, origin = guarded(service, "timeout 20s", handler=stream)
    clients = [Client(proxy.port, timeout=20) for _ in range(1000)]
    for client in clients:
        client.get("/events", SESSION + STREAM)
    asked.wait_for_requests(1)
    time.sleep(0.5)
    assert origin.connections == []
    go.set()
    for client in clients:
        assert client.read_head(timeout=20).status == 200
    assert len(asked.requests) == 1 and len(origin.wait_for_requests(1000)) == 1000
    for client in clients:
        client.close()


def test_many_identities_share_32_connections_and_a_bounded_queue(guarded):
    lock, now, most = threading.Lock(), [0], [0]

    def service(connection, request):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1
        allow(connection, request)

    proxy, asked, origin = guarded(service, "timeout 10s")
    clients = [Client(proxy.port, timeout=20) for _ in range(300)]
    for number, client in enumerate(clients):
        client.get("/", f"Cookie: sid={number}\r\n")
    assert all(client.read_response(timeout=20).status == 200 for client in clients)
    assert len(asked.requests) == 300 and 16 < most[0] <= 32


def test_a_client_that_leaves_while_the_service_thinks_leaves_nothing_behind(guarded):
    go = threading.Event()

    def service(connection, request):
        go.wait(20)
        allow(connection, request)

    proxy, asked, origin = guarded(service, "timeout 20s")
    for fields in ["", STREAM]:
        with Client(proxy.port) as client:
            client.get("/a", SESSION + fields)
            asked.wait_for_requests(1)
    with HTTP2Client(proxy.port) as client:
        client.reset(client.request("/a"))
        client.read_for(0.1)
        go.set()
        assert client.whole(client.request("/b", accept=None)).status == 200
    assert [request.target for request in origin.wait_for_requests(1)] == [b"/b"]


def test_a_reload_keeps_the_answers_of_a_service_in_the_same_words(guarded):
    proxy, asked, _ = guarded(allow, "cache 1h")
    text = proxy.configuration()
    assert get(proxy.port, "/a", SESSION).status == 200
    reload(proxy, text + "\nroute /more/* {\n upstream 127.0.0.1:1\n}\n")
    assert get(proxy.port, "/a", SESSION).status == 200 and len(asked.requests) == 1
    reload(proxy, text.replace("cache 1h", "cache 30m"))
    assert get(proxy.port, "/a", SESSION).status == 200 and len(asked.requests) == 2


def test_the_metrics_tell_what_a_service_answered_and_what_was_kept(guarded):
    console = reserve_port()
    proxy, *_ = guarded(
        lambda connection, request: connection.respond(int(request.value("cookie")), b"", [("Location", "/login")]), top=f"console 127.0.0.1:{console}")
    for status in [200, 200, 403, 302, 500]:
        get(proxy.port, "/a", f"Cookie: {status}\r\n")
    text = exchange(console, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").body.decode()
    for outcome in ["allowed", "denied", "redirected", "unavailable"]:
        assert f'heartwire_forward_auth_answers_total{{forward_auth="session",outcome="{outcome}"}} 1\n' in text
    assert 'heartwire_forward_auth_kept_total{forward_auth="session"} 1\n' in text
    assert 'heartwire_forward_auth_duration_seconds_count{forward_auth="session"} 4\n' in text


def test_trace_carries_neither_credentials_nor_the_service_s_fields(guarded):
    proxy, asked, origin = guarded(allow, route="bearer_from query access_token\n bearer_missing pass")
    raw = f"TRACE /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{SESSION}Authorization: Basic YTpi\r\n\r\n"
    assert exchange(proxy.port, raw.encode()).status == 200
    for request in [*asked.wait_for_requests(1), *origin.wait_for_requests(1)]:
        assert [request.value(name) for name in ("authorization", "cookie", "x-user", "x-groups")] == [None] * 4


def test_over_http2_slices_of_a_response_go_on_while_a_verdict_about_another_stream_waits(guarded):
    go, size = threading.Event(), 3_000_000

    def service(connection, request):
        if request.value("x-forwarded-uri") == b"/waits":
            go.wait(20)
        allow(connection, request)

    proxy, asked, origin = guarded(service, "timeout 20s", handler=lambda connection, request: connection.respond(
        200, b"x" * size if request.target == b"/large" else b"small"))
    with HTTP2Client(proxy.port) as client:
        large = client.request("/large", accept=None)
        client.wait(lambda: large.head is not None)
        waiting = client.request("/waits", accept=None)
        asked.wait_for_requests(2)
        other = client.request("/other", accept=None)
        assert client.whole(large, timeout=20).data == b"x" * size and client.whole(other).data == b"small"
        assert waiting.head is None and {request.target for request in origin.requests} == {b"/large", b"/other"}
        go.set()
        assert client.whole(waiting).data == b"small"
