"""The token bridge: from query or cookie into Authorization, and into nothing else.

Every token here is planted: after each test the fixtures search all that the proxy wrote, and all that
the upstream received besides Authorization, for it.
"""

import pytest

from support import planted
from support.client import Client, exchange, get

QUERY = "bearer_from query access_token"
COOKIE = "bearer_from cookie session"


def echo(connection, request):
    connection.respond(200, b"ok")


@pytest.fixture
def bridge(stage):
    """A function: the proxy with these route lines, and the origin behind it."""
    def make(*route, **options):
        origin = stage.origin(echo)
        return stage.heartwire(origin, route=route, **options), origin
    return make


def seen(origin):
    """The one request that the upstream saw."""
    requests = origin.wait_for_requests(1)
    assert len(requests) == 1
    return requests[0]


@pytest.mark.parametrize("sent, forwarded", [
    ("/e?access_token={}", "/e"),
    ("/e?a=1&access_token={}&b=%20", "/e?a=1&b=%20"),
    ("/e?access_token={}&a=%61%2Fx+y", "/e?a=%61%2Fx+y"),
    ("/e?%61ccess_token={}&a=1", "/e?a=1"),
    ("/e?a=1&acces%73%5Ftoken={}", "/e?a=1"),
    ("/e?x&&access_token={}&&y=", None),
    ("/e?xaccess_token=1&access_token={}&access_tokenx=2", "/e?xaccess_token=1&access_tokenx=2"),
])
def test_a_query_token_becomes_authorization_and_the_rest_stays(bridge, sent, forwarded):
    token = planted.plant()
    proxy, origin = bridge(QUERY)
    assert get(proxy.port, sent.format(token)).status == 200
    request = seen(origin)
    assert request.value("authorization") == f"Bearer {token}".encode()
    if forwarded:
        assert request.target == forwarded.encode()
    else:
        assert request.target.split(b"?")[1].split(b"&").count(b"") in (1, 2, 3)
        assert b"x" in request.target and request.target.endswith(b"y=")


def test_an_encoded_token_is_decoded_once_and_a_plus_stays_a_plus(bridge):
    token = planted.plant()
    proxy, origin = bridge(QUERY)
    encoded = "".join(f"%{ord(letter):02X}" for letter in token[:12]) + token[12:]
    assert get(proxy.port, f"/e?access_token={encoded}+%2B%2f-._~%3D").status == 200
    assert seen(origin).value("authorization") == f"Bearer {token}++/-._~=".encode()


def test_another_parameter_name_can_be_chosen_and_the_usual_one_is_then_not_touched(bridge):
    token = planted.plant()
    proxy, origin = bridge("bearer_from query jwt")
    assert get(proxy.port, f"/e?access_token=mine&jwt={token}").status == 200
    request = seen(origin)
    assert request.target == b"/e?access_token=mine"
    assert request.value("authorization") == f"Bearer {token}".encode()


@pytest.mark.parametrize("cookies, left", [
    ("session={}", None), ("a=b; session={}; c=d", "a=b; c=d"), ('session="{}"; c=d', "c=d"), ("a=b; session={}", "a=b")])
def test_a_cookie_token_becomes_authorization_and_the_other_cookies_stay(bridge, cookies, left):
    token = planted.plant()
    proxy, origin = bridge(COOKIE)
    assert get(proxy.port, "/e?a=1", f"Cookie: {cookies.format(token)}\r\n").status == 200
    request = seen(origin)
    assert request.value("authorization") == f"Bearer {token}".encode()
    assert request.value("cookie") == (left.encode() if left else None)
    assert request.target == b"/e?a=1"


@pytest.mark.parametrize("target", [
    "/e?access_token={0}&access_token={0}", "/e?access_token={0}&access_token={1}", "/e?access_token={0}&%61ccess_token={1}",
    "/e?access_token={0}&access_token=", "/e?access_token={0}%20", "/e?access_token={0}%0d%0aX:1",
    "/e?access_token={0}%zz", "/e?access_token={0}%2", "/e?access_token={0}%00", "/e?access_token={0}%C3%A9",
    "/e?access_token=%3D{0}", "/e?access_token={0}%22", "/e?access_token={0},b", "/e?access_token={0}" + "a" * 5000,
])
def test_a_doubled_or_malformed_token_is_answered_with_400(bridge, target):
    proxy, origin = bridge(QUERY)
    response = get(proxy.port, target.format(planted.plant(), planted.plant()))
    assert response.status == 400
    challenge = response.value("www-authenticate")
    assert challenge.startswith(b"Bearer ") and b'error="invalid_request"' in challenge
    planted.search("the answer to the client", response.head + response.body)
    assert origin.requests == [], "a request with a broken token reached the upstream"


def test_two_sources_at_once_are_answered_with_400(bridge):
    proxy, origin = bridge(QUERY, COOKIE)
    response = get(proxy.port, f"/e?access_token={planted.plant()}", f"Cookie: session={planted.plant()}\r\n")
    assert response.status == 400 and origin.requests == []
    planted.search("the answer to the client", response.head + response.body)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Basic", "DPoP"])
def test_a_token_beside_an_authorization_field_is_answered_with_400(bridge, scheme):
    proxy, origin = bridge(QUERY)
    response = get(proxy.port, f"/e?access_token={planted.plant()}", f"Authorization: {scheme} abc\r\n")
    assert response.status == 400 and origin.requests == []


@pytest.mark.parametrize("rule, winner", [("authorization", "field"), ("bridged", "query")])
def test_the_route_can_say_which_of_the_two_wins_and_the_url_is_clean_either_way(bridge, rule, winner):
    tokens = {"query": planted.plant(), "field": planted.plant()}
    proxy, origin = bridge(QUERY, f"bearer_conflict {rule}")
    get(proxy.port, f"/e?access_token={tokens['query']}&a=1", f"Authorization: Bearer {tokens['field']}\r\n")
    request = seen(origin)
    assert request.value("authorization") == f"Bearer {tokens[winner]}".encode()
    assert request.target == b"/e?a=1"


def test_a_missing_token_is_refused_with_a_bare_challenge_when_the_route_says_so(bridge):
    proxy, origin = bridge(QUERY, "bearer_missing refuse", "realm events")
    response = get(proxy.port, "/e?a=1")
    assert response.status == 401
    assert response.value("www-authenticate") == b'Bearer realm="events"'
    assert origin.requests == []
    assert proxy.access_log.access("/e")["cause"] == "credentials_refused"


@pytest.mark.parametrize("fields", [
    "Authorization:\r\n", "Authorization: Bearer\r\n", "Authorization: Bearer \r\n", "Authorization: Basic\r\n", "Authorization: ,\r\n",
    "Authorization: \xff\xfe\r\n", "Authorization: Bearer ,\r\n", "Authorization: \"\r\n",
    "Cookie: session=\r\n", "Cookie: session=\"\"; a=b\r\n"])
@pytest.mark.parametrize("target", ["/e", "/e?access_token=", "/e?access_token"])
def test_where_a_token_is_demanded_nothing_passes_that_holds_no_credentials(bridge, fields, target):
    proxy, origin = bridge(QUERY, COOKIE, "bearer_missing refuse")
    for method in ("GET", "OPTIONS", "TRACE"):
        response = exchange(proxy.port, f"{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode("latin-1"))
        assert response.status == 401 and b"error=" not in response.value("www-authenticate"), (method, response.head)
    assert origin.requests == []


def test_only_a_preflight_needs_no_token(bridge):
    proxy, origin = bridge(QUERY, "bearer_missing refuse")
    asks = "Origin: http://app.example\r\nAccess-Control-Request-Method: GET\r\n"
    assert exchange(proxy.port, f"OPTIONS /e HTTP/1.1\r\nHost: a\r\n{asks}\r\n".encode()).status == 200
    for fields in ("", *(line + "\r\n" for line in asks.splitlines())):
        assert exchange(proxy.port, f"OPTIONS /e HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()).status == 401
    assert len(origin.requests) == 1


@pytest.mark.parametrize("where", ["/e?access_token={}", "/e?access_token={}&a", "cookie", "encoded cookie"])
def test_a_token_of_laravel_sanctum_becomes_authorization_where_the_route_says_so(bridge, where):
    secret = planted.plant()
    token = f"12|{secret}"
    proxy, origin = bridge(QUERY, COOKIE, "bearer_missing refuse", "bearer_characters visible")
    if where.endswith("cookie"):
        value = token.replace("|", "%7C") if where.startswith("encoded") else token
        assert get(proxy.port, "/e", f"Cookie: a=b; session={value}\r\n").status == 200
    else:
        assert get(proxy.port, where.format(token)).status == 200
        assert get(proxy.port, where.format(token.replace("|", "%7c"))).status == 200
    for request in origin.wait_for_requests(1):
        assert request.value("authorization") == f"Bearer {token}".encode()
    assert get(proxy.port, "/e", f"Authorization: Bearer {token}\r\n").status == 200
    assert get(proxy.port, f"/e?access_token={secret},b").status == 400
    records = proxy.access_log.wait_for(lambda record: record.get("token_from") == "authorization")
    assert len(records[0]["token"]) == 16


@pytest.mark.parametrize("cookie", ["s%3Aabc.d%2Fef", "a|b", "{\"a\":1}", "a b", "a" * 5000])
def test_a_cookie_that_is_no_token_is_a_cookie_where_requests_pass_without_one(bridge, cookie):
    """An application's signed session cookie has the name of a token cookie: the login page must still work."""
    proxy, origin = bridge(COOKIE)
    assert get(proxy.port, "/login", f"Cookie: session={cookie}; a=b\r\n").status == 200
    request = seen(origin)
    assert request.value("cookie") == f"session={cookie}; a=b".encode() and request.values("authorization") == []


def test_an_empty_cookie_is_no_token_and_does_not_go_on(bridge):
    proxy, origin = bridge(COOKIE)
    assert get(proxy.port, "/login", "Cookie: session=; a=b\r\n").status == 200
    assert seen(origin).value("cookie") == b"a=b"


def test_a_cookie_gives_way_to_an_authorization_field_and_a_token_in_the_url_does_not(bridge):
    own = planted.plant()
    proxy, origin = bridge(QUERY, COOKIE)
    field = f"Authorization: Bearer {own}\r\n"
    assert get(proxy.port, "/e", f"{field}Cookie: session={planted.plant()}; a=b\r\n").status == 200
    request = seen(origin)
    assert request.values("authorization") == [f"Bearer {own}".encode()] and request.value("cookie") == b"a=b"
    assert get(proxy.port, f"/e?access_token={planted.plant()}", field).status == 400
    assert len(origin.requests) == 1


def test_trace_carries_neither_a_token_nor_a_cookie(bridge):
    proxy, origin = bridge(QUERY, COOKIE)
    token = planted.plant()
    raw = f"TRACE /e?a=1&access_token={token} HTTP/1.1\r\nHost: a\r\nCookie: session={token}; a=b\r\n\r\n"
    assert exchange(proxy.port, raw.encode()).status == 200
    request = seen(origin)
    assert request.target == b"/e?a=1" and request.values("authorization") == request.values("cookie") == []


FOREIGN = ["Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site",
           "Origin: http://test.example:1"]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_page_of_another_origin_cannot_make_a_cookie_an_authorization_that_changes_something(bridge, foreign):
    """No browser adds Authorization by itself, so a server that requires it was safe from forged requests before the bridge."""
    proxy, origin = bridge(QUERY, COOKIE)
    fields = f"Host: test.example\r\n{foreign}\r\n"
    cookie = f"Cookie: session={planted.plant()}; a=b\r\n"
    for line in ("POST /e", "DELETE /e", "OPTIONS /e", "PURGE /e"):
        response = exchange(proxy.port, f"{line} HTTP/1.1\r\n{fields}{cookie}Content-Length: 0\r\n\r\n".encode())
        assert response.status == 403 and b"Cookie" in response.value("vary") and b"Origin" in response.value("vary")
        assert response.values("access-control-allow-origin") == []
    upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n"
    assert exchange(proxy.port, f"GET /e HTTP/1.1\r\n{fields}{cookie}{upgrade}\r\n".encode()).status == 403
    assert origin.requests == []
    assert exchange(proxy.port, f"GET /e HTTP/1.1\r\n{fields}{cookie}\r\n".encode()).status == 200
    assert exchange(proxy.port, f"POST /e?access_token={planted.plant()} HTTP/1.1\r\n{fields}Content-Length: 0\r\n\r\n".encode()).status == 200
    assert exchange(proxy.port, f"POST /e HTTP/1.1\r\n{fields}Cookie: a=b\r\nContent-Length: 0\r\n\r\n".encode()).status == 200


@pytest.mark.parametrize("own", ["", "Origin: http://test.example\r\n", "Sec-Fetch-Site: same-origin\r\nOrigin: http://test.example\r\n", "Sec-Fetch-Site: none\r\n",
                                 "Origin: https://test.example\r\n", "Sec-Fetch-Site: same-origin\r\nOrigin: null\r\n"])
def test_a_page_of_ones_own_and_no_page_at_all_may_change_something_with_a_cookie(bridge, own):
    token = planted.plant()
    proxy, origin = bridge(COOKIE)
    raw = f"POST /e HTTP/1.1\r\nHost: test.example\r\n{own}Cookie: session={token}\r\nContent-Length: 0\r\n\r\n"
    assert exchange(proxy.port, raw.encode()).status == 200
    assert seen(origin).value("authorization") == f"Bearer {token}".encode()


def test_a_page_that_the_route_allows_may_use_the_cookie_and_read_refusals(bridge):
    proxy, origin = bridge(COOKIE, "bearer_missing refuse", "allow_origin https://app.example https://*.other.example:8443")
    for page, is_allowed in (("https://app.example", True), ("https://a.other.example:8443", True), ("https://other.example:8443", False),
                             ("http://app.example", False), ("null", False)):
        fields = f"Host: test.example\r\nOrigin: {page}\r\nSec-Fetch-Site: cross-site\r\n"
        cookie = f"Cookie: session={planted.plant()}\r\n"
        raw = f"POST /e HTTP/1.1\r\n{fields}{cookie}Content-Length: 0\r\n\r\n"
        assert exchange(proxy.port, raw.encode()).status == (200 if is_allowed else 403), page
        refused = exchange(proxy.port, f"GET /e HTTP/1.1\r\n{fields}\r\n".encode())
        assert refused.status == 401 and b"Origin" in refused.value("vary")
        assert refused.values("access-control-allow-origin") == ([page.encode()] if is_allowed else []), page
        assert refused.values("access-control-allow-credentials") == ([b"true"] if is_allowed else []), page


@pytest.mark.parametrize("cookie", ["", "Cookie: a=b\r\n"])
def test_a_page_that_the_route_allows_is_told_to_come_back_in_an_outage_and_may_read_it(stage, cookie):
    proxy = stage.heartwire("127.0.0.1:1", route=[COOKIE, "allow_origin https://app.example"], outage="retry 0s")
    fields = f"Accept: text/event-stream\r\n{cookie}Origin: "
    allowed = get(proxy.port, "/e", fields + "https://app.example\r\n")
    assert allowed.status == 200 and b"retry:" in allowed.body
    assert allowed.values("access-control-allow-origin") == [b"https://app.example"] and allowed.values("vary") == [b"Origin"]
    other = get(proxy.port, "/e", fields + "https://evil.example\r\n")
    assert (other.status, other.values("access-control-allow-origin")) == (502, [])


def test_behind_a_trusted_proxy_the_own_origin_is_what_the_client_sees(bridge):
    proxy, origin = bridge(COOKIE, top="trusted_proxies 127.0.0.1")
    forwarded = "Host: inner:1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: site.example\r\n"
    for page, status in (("https://site.example", 200), ("http://site.example", 403), ("http://inner:1", 403)):
        raw = f"POST /e HTTP/1.1\r\n{forwarded}Origin: {page}\r\nCookie: session={planted.plant()}\r\nContent-Length: 0\r\n\r\n"
        assert exchange(proxy.port, raw.encode()).status == status, page


def test_a_missing_token_passes_otherwise(bridge):
    proxy, origin = bridge(QUERY, "bearer_missing pass")
    assert get(proxy.port, "/e?a=1").status == 200
    assert seen(origin).values("authorization") == []


def test_the_clients_own_authorization_passes_untouched(bridge):
    token = planted.plant()
    proxy, origin = bridge(QUERY, "bearer_missing refuse")
    assert get(proxy.port, "/e", f"Authorization: Bearer {token}\r\n").status == 200
    assert seen(origin).value("authorization") == f"Bearer {token}".encode()


@pytest.mark.parametrize("nomination", ["authorization", "Authorization", "AUTHORIZATION, close", "keep-alive, authorization"])
def test_connection_cannot_take_the_authorization_away(bridge, nomination):
    token = planted.plant()
    proxy, origin = bridge(QUERY)
    get(proxy.port, f"/e?access_token={token}", f"Connection: {nomination}\r\n")
    assert seen(origin).value("authorization") == f"Bearer {token}".encode()


def test_aliases_and_trailers_do_not_become_authorization(bridge):
    token = planted.plant()
    proxy, origin = bridge(QUERY)
    with Client(proxy.port) as client:
        client.send(f"POST /e?access_token={token} HTTP/1.1\r\nHost: a\r\nAuthorization_: Bearer evil\r\n"
                    "Authorization.: Bearer evil\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n"
                    "2\r\nhi\r\n0\r\nAuthorization: Bearer evil\r\nHost: evil\r\n\r\n".encode())
        assert client.read_response().status == 200
    request = seen(origin)
    assert request.value("authorization") == f"Bearer {token}".encode()
    assert request.body == b"hi"
    assert not any(name.lower() in (b"authorization", b"host") for name, _ in request.trailers)


def test_the_referer_loses_the_token(bridge):
    token = planted.plant()
    proxy, origin = bridge(QUERY)
    get(proxy.port, "/e", f"Referer: https://app.example/page?a=1&access_token={token}&b=2#access_token={token}\r\n")
    referer = seen(origin).value("referer")
    assert referer.startswith(b"https://app.example/page?a=1") and b"b=2" in referer
    planted.search("the forwarded Referer", referer)


def test_the_answer_to_a_request_with_a_token_in_its_url_is_private(bridge):
    proxy, _ = bridge(QUERY)
    response = get(proxy.port, f"/e?access_token={planted.plant()}")
    assert {b"private", b"no-store"} & set(response.tokens("cache-control"))
    assert response.value("referrer-policy") == b"strict-origin"


def test_the_answer_to_a_request_with_a_token_in_a_cookie_keeps_the_servers_policy_of_referrers(stage):
    """`no-referrer` on a page makes browsers send its forms with `Origin: null`, which servers take for forged."""
    def handler(connection, request):
        own = {b"/own": "same-origin", b"/open": "unsafe-url"}.get(request.target.split(b"?")[0])
        own = [("Referrer-Policy", own)] if own else []
        connection.respond(200, b"ok", own)
    proxy = stage.heartwire(stage.origin(handler), route=[QUERY, COOKIE])
    cookie = f"Cookie: session={planted.plant()}\r\n"
    assert get(proxy.port, "/", cookie).values("referrer-policy") == []
    assert get(proxy.port, "/own", cookie).values("referrer-policy") == [b"same-origin"]
    assert get(proxy.port, f"/own?access_token={planted.plant()}").values("referrer-policy") == [b"same-origin"]
    assert get(proxy.port, f"/open?access_token={planted.plant()}").values("referrer-policy") == [b"strict-origin"]
    assert get(proxy.port, "/", f"Cookie: session={planted.plant()}; session=b\r\n").values("referrer-policy") == []
    assert get(proxy.port, "/?access_token=a&access_token=b").values("referrer-policy") == [b"strict-origin"]


def test_the_log_holds_one_fingerprint_for_one_token_and_another_for_another(stage):
    origin = stage.origin(echo)
    proxy = stage.heartwire(origin, route=[QUERY, COOKIE], top='fingerprint_key "0123456789abcdef0123456789abcdef"')
    first, second = planted.plant(), planted.plant()
    get(proxy.port, f"/one?access_token={first}")
    get(proxy.port, "/two", f"Cookie: session={first}\r\n")
    get(proxy.port, f"/three?access_token={second}")
    get(proxy.port, "/four", f"Authorization: Bearer {second}\r\n")
    one, two, three, four = (proxy.access_log.access(path) for path in ("/one", "/two", "/three", "/four"))
    assert len(one["token"]) == 16 and set(one["token"]) <= set("0123456789abcdef")
    assert one["token"] == two["token"] != three["token"] == four["token"]
    assert [record["token_from"] for record in (one, two, three, four)] == ["query", "cookie", "query", "authorization"]


@pytest.mark.parametrize("before, after", [("", ""), ("user:", ":1"), ("x" * 236, "x" * 400), ("x" * 250, "")])
def test_a_token_that_a_server_makes_an_event_id_of_is_not_logged(stage, before, after):
    def handler(connection, request):
        connection.start_stream()
        token = request.value("authorization").removeprefix(b"Bearer ").decode()
        connection.chunk(f"id: {before}{token}{after}\ndata: a\n\n".encode())
        connection.last_chunk()
    token = planted.plant()
    proxy = stage.heartwire(stage.origin(handler), route=[QUERY])
    with Client(proxy.port) as client:
        _, body = client.open_stream(f"/echo?access_token={token}")
        assert token.encode() in body.read_to_end(), "what the client reads is not touched"
    ending = proxy.stream_log.ending("/echo")
    assert ending["last_event_id_withheld"] is True and "last_event_id" not in ending
    assert b"plan" not in proxy.stream_log.raw()


def test_no_token_is_written_when_everything_fails(stage):
    """Every error page and log line that could hold a token: no upstream, a bad upstream, a refused request."""
    def nonsense(connection, request):
        connection.send(b"HTTP/1.1 huh\r\n\r\n")
        connection.close()
    origin = stage.origin(nonsense)
    proxy = stage.heartwire(origin, route=[QUERY, COOKIE], upstream="connect_timeout 500ms")
    token = planted.plant()
    raws = [
        f"GET /e?access_token={token} HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n",
        f"GET /e HTTP/1.1\r\nHost: a\r\nCookie: session={token}\r\nReferer: http://a/?access_token={token}\r\n\r\n",
        f"GET /e?access_token={token} HTTP/1.1\r\n\r\n",
        f"GET /e?access_token={token} HTTP/3.0\r\nHost: a\r\n\r\n",
        f"GET /e?access_token={token} HTTP/1.1\r\nHost: a\r\nBad Field: {token}\r\n\r\n",
        f"GET /e?access_token={token}\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        f"GET /e?access_token={token}{'a' * 9000} HTTP/1.1\r\nHost: a\r\n\r\n",
        f"CONNECT {token}:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        f"POST /e?access_token={token} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz{token}\r\n",
        f"GET /e?access_token={token} HTTP/1.1\r\nHost: {token}@a\r\n\r\n",
    ]
    for stop_first in (False, True):
        if stop_first:
            origin.stop_listening()
        for raw in raws:
            with Client(proxy.port) as client:
                client.send(raw.encode("latin-1"))
                response = client.read_response()
                assert 400 <= response.status <= 599
                planted.search("an error page", response.head + response.body)


@pytest.mark.parametrize("name", [
    "Referer", "X-Original-URI", "X-Original-URL", "X-Forwarded-Uri", "X-Envoy-Original-Path", "HX-Current-URL", "Ping-From", "X-Anything"])
@pytest.mark.parametrize("source", ["query", "cookie"])
def test_the_same_url_in_other_fields_is_passed_on_without_the_token(bridge, name, source):
    token = planted.plant()
    proxy, origin = bridge(QUERY, COOKIE, top="trusted_proxies 127.0.0.1")
    target, extra = (f"/e?access_token={token}", "") if source == "query" else ("/e", f"Cookie: session={token}\r\n")
    get(proxy.port, target, f"{extra}{name}: http://test.example/p?a=1&access_token={token}&b=2\r\n"
                            f"X-Within: /login?next=%2Fe%3Faccess_token%3D{token}\r\n")
    request = seen(origin)
    assert request.value("authorization") == f"Bearer {token}".encode()
    assert request.value(name) == b"http://test.example/p?a=1&b=2"
    assert token.encode() not in planted.without_authorization(request.head)


@pytest.mark.parametrize("path", [
    "/e;access_token={}", "/e%3Baccess_token={}", "/e%3Faccess_token%3D{}", "/e;a=1;%61ccess_token={}/f", "/e/{}/f", "/e/access_token={}"])
@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
def test_a_token_in_the_path_stands_in_no_log(stage, path, accept):
    """The bridge does not see it as a token, and the server gets the path unchanged; the fixtures search the logs."""
    def stream(connection, request):
        connection.start_stream()
        connection.last_chunk()
    token = planted.plant()
    origin = stage.origin(stream if accept != "*/*" else echo)
    proxy = stage.heartwire(origin, route=QUERY)
    extra = f"Accept: {accept}\r\nAuthorization: Bearer {token}\r\n"
    get(proxy.port, path.format(token), extra)
    request = origin.wait_for_requests(1)[0]
    assert request.target == path.format(token).encode()
    # Its target is what this test is about.
    for connection in origin.connections:
        connection.received.clear()
