"""The endpoint of tickets: which pages may ask, how they ask, and what is refused."""

import functools
import json
import time

import pytest

from support import planted, tickets
from support.client import Client, exchange, get
from support.tickets import STREAM, ask, block, challenge, query_ticket

APP = "https://app.example.com"


@pytest.fixture
def proxied(stage):
    """A function: a proxy whose route /events/* takes tickets, and the origin behind it."""
    return functools.partial(tickets.proxy, stage)


@pytest.mark.parametrize("fields, status, cookies", [
    ("", 204, "SameSite=Strict"), ("Origin: http://test.example\r\n", 204, "SameSite=Strict"),
    (f"Origin: {APP}\r\nSec-Fetch-Site: same-site\r\n", 204, "SameSite=Strict"),
    (f"Origin: {APP}\r\nSec-Fetch-Site: cross-site\r\n", 204, "SameSite=None; Partitioned"),
    ("Origin: https://evil.example.com\r\n", 403, None), ("Origin: null\r\n", 403, None), ("Sec-Fetch-Site: cross-site\r\n", 403, None),
    ("Origin: https://app.example.com.evil.com\r\n", 403, None), ("Origin: http://app.example.com\r\n", 403, None),
    (f"Origin: {APP}\r\nOrigin: {APP}\r\n", 403, None),
])
def test_pages_of_other_origins_get_no_ticket(proxied, fields, status, cookies):
    proxy, origin = proxied(f"allow_origin {APP}")
    for method in ["POST", "DELETE"]:
        response = ask(proxy.port, planted.plant(), fields=fields, method=method)
        assert response.status == status and response.value("vary") == b"Origin"
        allowed = APP.encode() if status == 204 and APP in fields else None
        assert response.value("access-control-allow-origin") == allowed
        assert response.value("access-control-allow-credentials") == (b"true" if allowed else None)
        assert (response.value("set-cookie") or b"").endswith((cookies or "").encode()) and (cookies is not None) == (response.value("set-cookie") is not None)
    if status == 403:
        assert {r["credential_error"] for r in proxy.access_log.wait_for(lambda r: r["path"] == "/-/ticket", count=2)} == {"cross_site"}
    assert origin.requests == []


def test_a_preflight_is_answered_without_credentials_and_only_for_allowed_origins(proxied):
    proxy, origin = proxied(f"allow_origin {APP}")
    wish = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n"
    response = ask(proxy.port, "", fields=f"Origin: {APP}\r\n{wish}", method="OPTIONS")
    assert response.status == 204 and response.value("access-control-allow-origin") == APP.encode()
    assert response.value("access-control-allow-methods") == b"POST, DELETE" and response.value("access-control-max-age") == b"600"
    assert response.value("access-control-allow-headers") == b"authorization, content-type" and response.value("vary") == b"Origin"
    refusal = ask(proxy.port, "", fields=f"Origin: https://evil.example.com\r\n{wish}", method="OPTIONS")
    assert refusal.status == 403 and refusal.value("access-control-allow-origin") is None
    assert ask(proxy.port, "", method="OPTIONS").status == 405 and origin.requests == []


# MARK: how one asks

@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "TRACE", "OPTIONS", "QUERY"])
def test_only_post_and_delete_do_something(proxied, method):
    proxy, origin = proxied()
    response = ask(proxy.port, planted.plant(), method=method)
    assert response.status == 405 and response.value("allow") == b"POST, DELETE, OPTIONS" and origin.requests == []


@pytest.mark.parametrize("fields, status, word", [
    ("", 401, "missing"), ("Authorization:\r\n", 401, "missing"), ("Authorization: Basic YTpi\r\n", 401, "scheme"), ("Authorization: {0}\r\n", 401, "scheme"),
    ("Authorization: Bearer {0}\r\nAuthorization: Bearer {0}\r\n", 400, "repeated"), ("Authorization: Bearer {0},x\r\n", 400, "syntax"),
    ("Authorization: Bearer " + "a" * 5000 + "\r\n", 400, "too_long"), ("Cookie: token={0}; access_token={0}\r\n", 401, "missing"),
])
def test_only_authorization_may_hold_the_token(proxied, fields, status, word):
    proxy, _ = proxied()
    token = planted.plant()
    response = ask(proxy.port, "", fields=fields.format(token), path=f"/-/ticket?access_token={token}&token={token}")
    assert response.status == status and response.value("set-cookie") is None
    assert challenge(response) == 'Bearer realm="heartwire"' or status == 400
    assert proxy.access_log.access("/-/ticket")["credential_error"] == word


@pytest.mark.parametrize("body", [
    "x", "[]", '"cookie"', "{", '{"as":"cookie"', '{"as":"cookie"} x', '{"as":"cookie","as":"query"}', '{"as":"cookie","\\u0061s":"query"}', '{"as":1}',
    '{"as":null}', '{"as":"both"}', '{"path":""}', '{"path":"events"}', '{"path":"/a b"}', '{"path":"/a?b"}', '{"path":"/a\\nb"}', '{"path":"/' + "a" * 1024 + '"}',
    '{"token":"x"}', '{"path":{"a":"b"}}', "\ufeff{}", "{}\0",
])
def test_a_body_that_is_not_understood_is_refused(proxied, body):
    proxy, _ = proxied()
    response = exchange(
        proxy.port, b"POST /-/ticket HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer abc\r\nContent-Length: %d\r\n\r\n%b"
        % (len(body.encode()), body.encode()), "POST")
    assert response.status == 400 and response.value("set-cookie") is None and body.encode() not in response.body


@pytest.mark.parametrize("body", ["", " \r\n", "{}", ' { "path" : "/events/a" , "as":"cookie" } ', '{"path":"/events/%61"}'])
def test_a_body_may_say_nothing_or_what_is_wanted(proxied, body):
    proxy, _ = proxied()
    assert ask(proxy.port, planted.plant(), body).status == 204


def test_a_place_that_the_block_does_not_have_is_refused(proxied):
    proxy, _ = proxied(ticket=block())
    assert ask(proxy.port, "abc", '{"as":"query"}').status == 400
    proxy, _ = proxied(ticket=block("cookie off", "query ticket"))
    assert ask(proxy.port, "abc", '{"as":"cookie"}').status == 400
    assert json.loads(ask(proxy.port, planted.plant()).body)["expires_in"] == 300


def test_a_body_or_a_token_that_is_too_large_is_answered_413_with_the_reason(proxied):
    proxy, _ = proxied(route="bearer_missing refuse\n bearer_limit 8KiB", top="limits {\n request_head 64KiB\n}")
    assert ask(proxy.port, "abc", "{" + " " * 4100).status == 413
    head = b"POST /-/ticket HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Client(proxy.port) as client:
        client.send(head + b"1000\r\n" + b" " * 0x1000 + b"\r\n")
        client.send(b"1\r\n \r\n")
        assert client.read_response("POST").status == 413
    small, large = planted.watch("plantedSmall" + "a" * 2780), planted.watch("plantedLarge" + "a" * 3000)
    assert len(ask(proxy.port, small).value("set-cookie")) <= 4096
    response = ask(proxy.port, large)
    assert response.status == 413 and b"too long for a cookie: browsers keep 4096 bytes" in response.body and response.value("set-cookie") is None
    assert [r["credential_error"] for r in proxy.access_log.wait_for(lambda r: r.get("credential_error"))] == ["too_long"]
    # In a URL there is room.
    assert get(proxy.port, f"/events/short?ticket={query_ticket(proxy.port, large)}", STREAM).status == 200


def test_a_body_in_pieces_and_with_expect_is_read(proxied):
    proxy, _ = proxied()
    body = b'{"as":"cookie"}'
    with Client(proxy.port) as client:
        client.send(b"POST /-/ticket HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\nExpect: 100-continue\r\nContent-Length: 15\r\n\r\n")
        assert client.read_head().status == 100
        for byte in body:
            client.send(bytes([byte]))
            time.sleep(0.01)
        assert client.read_response("POST").status == 204
        # The connection serves further requests.
        client.send(b"POST /-/ticket HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n" + body + b"\r\n0\r\n\r\n")
        assert client.read_response("POST").status == 204


def test_only_the_exact_path_is_the_endpoint(proxied):
    proxy, origin = proxied()
    for path in ["/-/ticket/", "/-/ticket/x", "/-/ticke%74", "/-//ticket", "/-/TICKET"]:
        ask(proxy.port, "abc", path=path)
    assert len(origin.wait_for_requests(5)) == 5
