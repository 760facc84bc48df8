"""Routes that ask a service whether a request may pass: what every kind of client is told."""

import concurrent.futures
import threading
import time

import pytest

from support import eventsource, forward_auth
from support.client import Client, exchange, get
from support.forward_auth import SESSION, STREAM, allow, silent, stream
from support.http2 import HTTP2Client


@pytest.fixture
def guarded(stage):
    return forward_auth.guarded(stage)


def post(port, path, fields="", body=b"x"):
    return exchange(port, f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body)


def refused(proxy, path, status):
    record = proxy.access_log.access(path)
    assert (record["status"], record["cause"], record["credential_error"]) == (status, "credentials_refused", "denied"), record
    return record


# What clients are told

DENIALS = [(401, [("WWW-Authenticate", 'Basic realm="x"'), ("WWW-Authenticate", "Bearer")], b"<p>log in"), (403, [("X-Secret", "s"), ("Set-Cookie", "a=b")], b"no")]


@pytest.mark.parametrize("status, fields, body", DENIALS)
def test_a_denial_goes_to_others_in_the_service_s_words_and_plainly_to_an_eventsource(guarded, status, fields, body):
    proxy, _, origin = guarded(
        lambda connection, request: connection.respond(status, body, [*fields, ("Content-Type", "text/html"), ("X-User", "eve")]),
        route="allow_origin https://app.example.com")
    page = get(proxy.port, "/page", SESSION + "Origin: https://app.example.com\r\n")
    assert (page.status, page.body, page.value("content-type"), page.value("cache-control")) == (status, body, b"text/html", b"no-store")
    assert page.values("www-authenticate") == [value.encode() for name, value in fields if name == "WWW-Authenticate"]
    assert page.value("access-control-allow-origin") == b"https://app.example.com"
    assert [page.value(name) for name in ("x-secret", "set-cookie", "x-user")] == [None] * 3
    assert exchange(proxy.port, f"HEAD /head HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{SESSION}\r\n".encode(), "HEAD").status == status
    assert post(proxy.port, "/post", SESSION).status == status
    plain = get(proxy.port, "/stream", SESSION + STREAM)
    assert plain.status == status and body not in plain.body
    assert plain.values("www-authenticate") == ([b'Bearer realm="heartwire"'] if status == 401 else [])
    with HTTP2Client(proxy.port) as client:
        answer = client.whole(client.request("/h2", accept=None))
        assert (answer.status, answer.data) == (status, body)
    for path in ["/page", "/stream", "/post", "/head", "/h2"]:
        assert refused(proxy, path, status)["evidence"] == f"the service session answered {status}"
    assert origin.requests == []


def test_a_401_without_a_challenge_gets_one(guarded):
    proxy, *_ = guarded(lambda connection, request: connection.respond(401), route="realm chat")
    assert get(proxy.port, "/a").value("www-authenticate") == b'Bearer realm="chat"'


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_login_goes_to_others_and_a_401_to_an_eventsource(guarded, status):
    login = [("Location", "https://id.example.com/login?rd=/page"), ("Set-Cookie", "state=1; Path=/"), ("Set-Cookie", "nonce=2"), ("X-User", "eve")]
    proxy, _, origin = guarded(lambda connection, request: connection.respond(status, b"moved", login))
    page = get(proxy.port, "/page")
    assert (page.status, page.body, page.value("location")) == (status, b"", login[0][1].encode())
    assert page.values("set-cookie") == [b"state=1; Path=/", b"nonce=2"] and page.value("x-user") is None
    plain = get(proxy.port, "/stream", STREAM)
    assert plain.status == 401 and [plain.value(name) for name in ("location", "set-cookie")] == [None] * 2
    fetch = get(proxy.port, "/fetch", STREAM + "Authorization: Bearer abc\r\n")
    assert fetch.status == status and fetch.value("location") is not None
    refused(proxy, "/page", status), refused(proxy, "/stream", 401)
    assert origin.requests == []


def test_a_login_s_cookie_goes_to_nobody_else(guarded):
    count = iter(range(1, 100))
    go = threading.Event()

    def service(connection, request):
        go.wait(10)
        connection.respond(302, b"", [("Location", "/login"), ("Set-Cookie", f"state={next(count)}")])

    proxy, asked, _ = guarded(service, "cache_denied 10s")
    clients = [Client(proxy.port) for _ in range(5)]
    for client in clients:
        client.get("/page")
    asked.wait_for_requests(1)
    time.sleep(0.2)
    go.set()
    cookies = [client.read_response().value("set-cookie") for client in clients]
    cookies += [get(proxy.port, "/page").value("set-cookie") for _ in range(2)]
    assert len(set(cookies)) == 7 and None not in cookies
    before = len(asked.requests)
    assert get(proxy.port, "/page", STREAM).status == 401 and len(asked.requests) == before


def test_a_permission_s_cookies_go_to_the_client_for_which_it_was_asked_and_to_nobody_else(guarded):
    count = iter(range(1, 100))
    go = threading.Event()

    def service(connection, request):
        go.wait(10)
        number = next(count)
        connection.respond(204, b"", [("X-User", f"user{number}"), ("Set-Cookie", f"sid={number}; Path=/"), ("Set-Cookie", "theme=dark")])

    def server(connection, request):
        user = (request.value("x-user") or b"").decode()
        assert request.value("set-cookie") is None
        if request.target.startswith(b"/stream"):
            connection.start_stream([("Set-Cookie", f"own={user}")])
            connection.chunk(b"data: hello\n\n")
            return connection.last_chunk()
        connection.respond(200, b"ok", [("Set-Cookie", f"own={user}")])

    proxy, asked, origin = guarded(service, "cache 1m", handler=server)
    clients = [Client(proxy.port) for _ in range(3)]
    for client in clients:
        client.get("/stream", STREAM)
    asked.wait_for_requests(1)
    time.sleep(0.2)
    go.set()
    answers = [client.read_response() for client in clients]
    answers += [get(proxy.port, "/stream", STREAM), get(proxy.port, "/page")]
    with HTTP2Client(proxy.port) as client:
        whole = client.whole(client.request("/stream", accept="text/event-stream"))
        cookies = [value for name, value in whole.head if name == b"set-cookie"]
    seen = [answer.values("set-cookie") for answer in answers] + [cookies]
    numbers = {int(cookie[4:].partition(b";")[0]) for cookies in seen for cookie in cookies if cookie.startswith(b"sid=")}
    assert numbers == set(range(1, 7))
    for cookies in seen:
        user = next(cookie for cookie in cookies if cookie.startswith(b"own=user"))
        assert sorted(cookies) == sorted([user, user.replace(b"own=user", b"sid=") + b"; Path=/", b"theme=dark"])
    assert all(b"private" in answer.value("cache-control") for answer in answers)


def test_a_permission_s_cookie_is_not_lost_when_the_server_is_gone_or_another_protocol_follows(guarded, stage):
    def switch(connection, request):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        connection.wait_until_left(5)

    proxy, _, origin = guarded(lambda connection, request: connection.respond(200, b"", [("Set-Cookie", "sid=2")]), handler=switch)
    with Client(proxy.port) as client:
        client.get("/upgrade", "Connection: Upgrade\r\nUpgrade: x\r\n")
        head = client.read_head()
        assert (head.status, head.value("set-cookie")) == (101, b"sid=2")
    origin.close()
    page = get(proxy.port, "/page")
    assert page.status >= 502 and page.values("set-cookie") == [b"sid=2"]
    with Client(proxy.port) as client:
        client.get("/stream", STREAM)
        head = client.read_head()
        assert (head.status, head.values("set-cookie")) == (200, [b"sid=2"])


def answering(status, fields=(), body=b"x"):
    return lambda connection, request: connection.respond(status, body, fields)


def raw(text):
    def service(connection, request):
        connection.send(text)
        connection.close()
    return service


USELESS = {
    "500": answering(500), "404": answering(404), "407": answering(407), "300": answering(300), "302 to nowhere": answering(302), "late": silent,
    "closed": lambda connection, request: connection.close(), "no HTTP": raw(b"hello\r\n\r\n"),
    "a control character": raw(b"HTTP/1.1 200 OK\r\nX-User: a\x01b\r\nContent-Length: 0\r\n\r\n"),
    "a bare LF": raw(b"HTTP/1.1 200 OK\r\nX-User: a\nX-Admin: 1\r\nContent-Length: 0\r\n\r\n"),
    "a NUL": raw(b"HTTP/1.1 200 OK\r\nX-User: a\0\r\nContent-Length: 0\r\n\r\n"),
    "C1": answering(200, [("X-User", "a\u0085b")]), "a tab": answering(200, [("X-User", "a\tb")]), "a long value": answering(200, [("X-User", "a" * 4097)]),
    "a long head": answering(200, [(f"X-{n}", "a" * 8000) for n in range(9)]),
    "half a head": raw(b"HTTP/1.1 200 OK\r\nX-User: ann\r\n"),
    "a hanging denial": lambda connection, request: (connection.send(b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nhalf"), connection.wait_until_left(20)),
}


@pytest.mark.parametrize("service", USELESS.values(), ids=USELESS)
def test_without_a_word_of_the_service_others_get_503_and_an_eventsource_is_held(guarded, service):
    answers = [service]
    proxy, asked, origin = guarded(lambda connection, request: answers[0](connection, request), "timeout 300ms", handler=stream)
    response = get(proxy.port, "/page", SESSION)
    assert response.status == 503 and response.value("retry-after") == b"1" and response.value("x-user") is None
    # A client that can send Authorization can read a status, also one that wants a stream.
    assert get(proxy.port, "/fetch", STREAM + "Authorization: Bearer abc\r\n").status == 503
    record = proxy.access_log.access("/page")
    assert (record["cause"], record["credential_error"]) == ("authorization_unavailable", "unavailable")
    assert record["evidence"].startswith("the service session did not say whether the request may pass: "), record
    with Client(proxy.port) as client:
        client.get("/stream", SESSION + STREAM)
        held = client.read_head(timeout=2)
        assert held.status == 200 and held.value("content-type") == b"text/event-stream"
        assert origin.connections == []
        answers[0] = allow
        body = client.body(held)
        assert eventsource.read(body.wait_for(b"data: hello\n\n", timeout=8)).events[0].data == "hello"
    request, = origin.wait_for_requests(1)
    assert request.value("x-user") == b"ann"


def test_a_held_eventsource_that_is_denied_afterwards_gets_nothing_of_the_server(guarded):
    answers = [answering(500)]
    proxy, _, origin = guarded(lambda connection, request: answers[0](connection, request), handler=stream)
    with Client(proxy.port) as client:
        client.get("/stream", SESSION + STREAM)
        body = client.body(client.read_head())
        answers[0] = answering(403)
        assert eventsource.read(body.read_to_end()).retry is not None
    assert origin.requests == []
    assert get(proxy.port, "/stream", SESSION + STREAM).status == 403


def test_a_service_that_is_not_there_holds_clients_until_it_is(guarded):
    proxy, asked, origin = guarded(handler=stream)
    asked.stop_listening()
    assert get(proxy.port, "/page", SESSION).status == 503
    with Client(proxy.port) as client:
        client.get("/stream", SESSION + STREAM)
        body = client.body(client.read_head())
        time.sleep(0.5)
        assert origin.connections == []
        asked.listen_again()
        body.wait_for(b"data: hello\n\n", timeout=8)


def test_answers_whose_bodies_do_not_end_hold_no_more_than_32_connections(guarded):
    """The connection of an answer that is known is closed where another question needs one."""
    def service(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nX-User: ann\r\nContent-Length: 9\r\n\r\nhalf")
        connection.wait_until_left(20)

    proxy, asked, origin = guarded(service, "timeout 20s", "cache 0s")
    most, stop = [0], threading.Event()

    def watch():
        while not stop.wait(0.005):
            most[0] = max(most[0], sum(connection.left_how is None for connection in list(asked.connections)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert set(pool.map(lambda number: get(proxy.port, f"/{number}", SESSION).status, range(120))) == {200}
    stop.set()
    watcher.join()
    assert len(asked.connections) == 120 and 20 <= most[0] <= 40, most
    # The service sees each end a moment later; the proxy's own count is exact.
    assert sum(connection.left_how is None for connection in asked.connections) <= 32


def test_the_body_of_a_2xx_is_not_waited_for_and_a_long_denial_loses_its_page(guarded):
    def service(connection, request):
        if request.value("x-forwarded-uri") == b"/hanging":
            connection.send(b"HTTP/1.1 200 OK\r\nX-User: ann\r\nContent-Length: 9\r\n\r\nhalf")
            connection.wait_until_left(20)
        elif request.value("x-forwarded-uri") == b"/body":
            connection.respond(200, b"x" * 30_000, [("X-User", "ann")])
        else:
            connection.respond(403, b"x" * (65_536 if request.value("x-forwarded-uri") == b"/fits" else 65_537), [("Content-Type", "text/html")])

    proxy, asked, origin = guarded(service, "timeout 10s")
    begun = time.monotonic()
    assert get(proxy.port, "/hanging", SESSION).status == 200
    assert time.monotonic() - begun < 5
    assert origin.wait_for_requests(1)[0].value("x-user") == b"ann"
    fits, long = get(proxy.port, "/fits"), get(proxy.port, "/long")
    assert (fits.status, len(fits.body), fits.value("content-type")) == (403, 65_536, b"text/html")
    assert (long.status, long.body, long.value("content-type")) == (403, b"", None)
    before = len(asked.connections)
    for number in range(5):
        assert get(proxy.port, "/body", f"Cookie: n={number}\r\n").status == 200
    assert len(asked.connections) <= before + 1


def test_no_early_answer_comes_before_the_service_s_word(guarded):
    def service(connection, request):
        time.sleep(0.8)
        connection.respond(403 if request.value("cookie") is None else 200)

    def late(connection, request):
        time.sleep(3)
        stream(connection, request)

    proxy, *_ = guarded(service, route="early 200ms", handler=late)
    assert get(proxy.port, "/denied", STREAM).status == 403
    with Client(proxy.port) as client:
        begun = time.monotonic()
        client.get("/allowed", SESSION + STREAM)
        response = client.read_head()
        assert response.status == 200 and 0.7 < time.monotonic() - begun < 3.5
        client.body(response).wait_for(b"data: hello")
        assert time.monotonic() - begun > 3.7
    assert proxy.stream_log.opening("/allowed")["held_because"] == "early"
