"""Tickets: a page sends its token once, and what it gets opens streams, here and at every proxy with the key, until it is taken back."""

import functools
import json
import re
import time

import pytest

from support import eventsource, planted, tickets, tokens
from support.client import Client, get
from support.http2 import HTTP2Client
from support.tickets import COOKIE, STREAM, ask, block, challenge, cookie, cookie_ticket, echo, query_ticket, refused, seal, stream, unseal
from support.tls import connect, tls_block, trusting

APP = "https://app.example.com"
ISSUER = f"issuer main {{\n name {tokens.ISSUER}\n audience {tokens.AUDIENCE}\n shared_secret HS256 {tokens.SECRET}\n leeway 0s\n}}"


@pytest.fixture
def proxied(stage):
    """A function: a proxy whose route /events/* takes tickets, and the origin behind it."""
    return functools.partial(tickets.proxy, stage)


@pytest.fixture
def checked(proxied):
    """The same with a check of the token."""
    def make(*lines, route="", **options):
        return proxied(*lines, route=f"bearer_check main\n {route}", top=options.pop("top", "") + ISSUER, **options)
    return make


# MARK: giving and opening

def test_a_ticket_in_a_cookie_opens_streams_again_and_again_with_the_token_that_was_sent_once(proxied):
    proxy, origin = proxied()
    token = planted.plant()
    response = ask(proxy.port, token)
    assert response.status == 204 and response.value("cache-control") == b"no-store" and response.value("vary") == b"Origin"
    ticket = cookie_ticket(response)
    age = int(COOKIE.fullmatch(response.value("set-cookie"))[2])
    said = unseal(ticket)
    assert (said["token"], said["path"], said["bond"]) == (token, "", 1) and age == 600
    assert abs(said["expires"] - time.time() - 300) < 5 and abs(said["limit"] - time.time() - 43_200) < 5
    for _ in range(3):
        assert b"data: hello" in get(proxy.port, "/events/short", STREAM + cookie(ticket)).body
    assert [request.value("authorization") for request in origin.wait_for_requests(3)] == [f"Bearer {token}".encode()] * 3
    assert [request.value("cookie") for request in origin.requests] == [b"a=1; b=2"] * 3
    opening = proxy.stream_log.wait_for(lambda r: r["event"] == "stream_open")[0]
    assert (opening["ticket"], opening["token_from"]) == (said["id"], "cookie")
    assert proxy.access_log.access("/-/ticket")["ticket"] == said["id"] and proxy.access_log.access("/-/ticket")["route"] == "ticket events"


def test_a_ticket_for_the_url_comes_as_json_and_is_never_renewed(proxied):
    proxy, origin = proxied()
    token = planted.plant()
    response = ask(proxy.port, token, '{"as":"query","path":"/events/short"}')
    answer = json.loads(response.body)
    assert response.status == 200 and response.value("content-type") == b"application/json" and response.value("set-cookie") is None
    assert sorted(answer) == ["expires_in", "ticket"] and answer["expires_in"] == 300
    ticket = planted.watch(answer["ticket"])
    said = unseal(ticket)
    assert said["path"] == "/events/short" and said["limit"] < said["expires"]
    for fields in [STREAM, STREAM + cookie(ticket)]:
        path = "/events/short" + ("" if "Cookie" in fields else f"?a=1&ticket={ticket}&b=2")
        response = get(proxy.port, path, fields)
        assert response.status == 200 and response.value("set-cookie") is None
    assert [request.target for request in origin.wait_for_requests(2)] == [b"/events/short?a=1&b=2", b"/events/short"]


def test_every_proxy_with_the_key_opens_it_and_a_new_key_leaves_the_old_tickets_good(proxied):
    new = bytes(range(50, 82))
    first, origin = proxied()
    second, _ = proxied(origin=origin)
    rotated, _ = proxied(origin=origin, ticket=block(f"sealing_key {tokens.encode(tickets.KEY)}", "query ticket", key=new))
    other, _ = proxied(origin=origin, ticket=block("query ticket", key=new))
    token = planted.plant()
    ticket = query_ticket(first.port, token)
    for proxy in (first, second, rotated):
        assert get(proxy.port, f"/events/short?ticket={ticket}", STREAM).status == 200
        assert get(proxy.port, "/events/short", STREAM + cookie(seal(token))).status == 200
    assert refused(other, f"/events/short?ticket={ticket}") == "ticket"
    # The first key seals, so what the proxy with the new key makes is good where that key is known.
    assert get(other.port, f"/events/short?ticket={query_ticket(rotated.port, token)}", STREAM).status == 200


def test_over_http2_it_is_the_same(proxied):
    proxy, origin = proxied()
    token = planted.plant()
    with HTTP2Client(proxy.port) as client:
        asked = client.request("/-/ticket", method=b"POST", accept=None, extra=[(b"authorization", f"Bearer {token}".encode())], end=False)
        client.send(asked, b'{"as":', end=False)
        client.send(asked, b'"cookie"}', end=True)
        client.wait(lambda: asked.ended)
        assert asked.status == 204
        ticket = planted.watch(COOKIE.fullmatch(asked.field(b"set-cookie"))[1].decode())
        time.sleep(1.1)  # A ticket that is as good as new is not renewed.
        opened = client.request("/events/x", extra=[(b"cookie", b"a=1"), (b"cookie", f"__Host-heartwire={ticket}".encode())])
        client.wait(lambda: b"hello" in opened.data)
        assert opened.status == 200 and COOKIE.fullmatch(opened.field(b"set-cookie"))
        ended = client.request("/-/ticket", method=b"DELETE", accept=None, extra=[(b"cookie", f"__Host-heartwire={ticket}".encode())])
        client.wait(lambda: ended.ended and opened.ended)
        assert ended.status == 204 and opened.reset_code is None
        again = client.request("/events/x", extra=[(b"cookie", f"__Host-heartwire={ticket}".encode())])
        client.wait(lambda: again.ended)
        assert again.status == 401
    assert proxy.stream_log.wait_for(lambda r: r["event"] == "stream_end")[0]["cause"] == "revoked"
    assert origin.requests[0].value("authorization") == f"Bearer {token}".encode() and origin.requests[0].value("cookie") == b"a=1"


# MARK: what is refused

def test_a_ticket_that_is_changed_or_for_something_else_opens_nothing_and_the_log_has_the_word(proxied):
    other = block("path /-/other", "cookie other", "query other", name="other", key=bytes(32))
    proxy, origin = proxied(more="route /other/* {{\n upstream {origin}\n bearer_from ticket other\n bearer_missing refuse\n}}", top=other)
    token = planted.plant()
    good = query_ticket(proxy.port, token)
    swapped = good[:-3] + ("A" if good[-3] != "A" else "B") + good[-2:]
    for text in [swapped, good[:-1], good[4:], "abc", seal(token, key=bytes(32)), seal(token, name="other"), seal(token, version=2), token]:
        assert refused(proxy, f"/events/x?ticket={planted.watch(text) if len(text) > 8 else text}") == "ticket"
        assert refused(proxy, fields=STREAM + cookie(text)) == "ticket"
    # Another path, also in another spelling of the same one.
    bound = query_ticket(proxy.port, token, path="/events/a")
    for path in ["/events/b", "/events/a/", "/events//a", "/events/%61", "/events/a;x=1", "/events"]:
        assert refused(proxy, f"{path}?ticket={bound}") == "ticket_place"
    # Another route: its own tickets have another place and another name.
    assert get(proxy.port, f"/other/a?ticket={good}", cookie(good)).status == 401
    assert get(proxy.port, f"/other/b?other={good}").status == 401
    assert [proxy.access_log.access(f"/other/{name}")["credential_error"] for name in "ab"] == ["missing", "ticket"]
    assert origin.requests == []
    assert get(proxy.port, f"/events/short?ticket={good}", STREAM).status == 200


def test_a_ticket_is_no_bearer_token(checked):
    proxy, origin = checked()
    assert refused(proxy, fields=STREAM + f"Authorization: Bearer {seal(tokens.by_secret())}\r\n") == "shape"
    assert ask(proxy.port, seal(tokens.by_secret())).status == 401
    assert origin.requests == []


@pytest.mark.parametrize("fields, status, word", [
    ("", 401, "missing"), ("Cookie: __Host-heartwire=\r\n", 401, "missing"), ("Cookie: __Host-heartwire={0}; __Host-heartwire={0}x\r\n", 400, "repeated"),
    ("Cookie: __Host-heartwire=a b\r\n", 400, "syntax"), ("Cookie: __Host-heartwire=" + "a" * 25_000 + "\r\n", 400, "too_long"),
])
def test_a_request_without_one_ticket_reaches_no_server(proxied, fields, status, word):
    proxy, origin = proxied(top="limits {\n request_head 64KiB\n}")
    assert get(proxy.port, "/events/x", STREAM + fields.format(seal("abc"))).status == status
    assert proxy.access_log.access("/events/x")["credential_error"] == word
    assert origin.requests == []


def test_too_many_tickets_are_refused_and_authorization_counts_more_than_the_cookie(proxied):
    proxy, origin = proxied()
    token = planted.plant()
    for target, fields in [("?ticket={0}&ticket={0}", ""), ("?ticket={0}", cookie("{0}")), ("?ticket={0}", "Authorization: Bearer x.y\r\n")]:
        ticket = seal(token)
        assert get(proxy.port, "/events/x" + target.format(ticket), STREAM + fields.format(ticket)).status == 400
    assert get(proxy.port, "/events/short", STREAM + cookie(seal(token)) + "Authorization: Bearer x.y\r\n").status == 200
    request, = origin.wait_for_requests(1)
    assert request.value("authorization") == b"Bearer x.y" and request.value("cookie") == b"a=1; b=2"


def test_an_eventsource_is_told_that_its_ticket_is_over_for_five_minutes_and_others_get_401(proxied):
    proxy, origin = proxied()
    token = planted.plant()
    response = get(proxy.port, "/events/a", STREAM + cookie(seal(token, seconds=-20)) + "Last-Event-ID: 41\r\n")
    event, = eventsource.read(response.body).events
    assert response.status == 200 and (event.type, event.id) == ("token_expired", "41") and b"retry: 10" in response.body
    assert response.value("set-cookie") is None and response.value("cache-control") == b"no-store, no-transform"
    for path, seconds, fields in [("/events/b", -20, ""), ("/events/c", -301, STREAM), ("/events/d", 0, "")]:
        response = get(proxy.port, path, fields + cookie(seal(token, seconds=seconds)))
        assert response.status == 401 and "the token has expired" in challenge(response)
    for name in "abcd":
        record = proxy.access_log.access(f"/events/{name}")
        assert record["credential_error"] == "expired" and re.fullmatch("[0-9a-f]{32}", record["ticket"])
    assert origin.requests == []


# MARK: the token inside

def test_the_token_inside_is_checked_when_the_ticket_is_given_and_at_every_opening(checked):
    proxy, origin = checked(route="require_scope events.read")
    good = tokens.by_secret(scope="events.read")
    for token, status, word in [
        (tokens.by_secret(secret="x" * 40, scope="events.read"), 401, "signature"), (tokens.by_secret(scope="other"), 403, "scope"),
        (tokens.by_secret(scope="events.read", exp=int(time.time()) - 5), 401, "expired"), ("abc", 401, "shape"),
    ]:
        response = ask(proxy.port, token)
        assert response.status == status and response.value("set-cookie") is None and 'Bearer realm="heartwire", error=' in challenge(response)
        assert proxy.access_log.wait_for(lambda r: r.get("path") == "/-/ticket" and r["credential_error"] == word)
        response = get(proxy.port, f"/events/{word}", cookie(seal(token)))
        assert response.status == status
        assert proxy.access_log.access(f"/events/{word}")["credential_error"] == word
    assert origin.requests == []
    assert get(proxy.port, "/events/short", STREAM + cookie(cookie_ticket(ask(proxy.port, good)))).status == 200
    opening = proxy.stream_log.opening("/events/short")
    assert opening["issuer"] == "main" and opening["ticket"] and opening["subject"]


def test_a_ticket_never_outlives_a_token_whose_end_is_known(checked):
    proxy, _ = checked()
    response = ask(proxy.port, tokens.by_secret(exp=int(time.time()) + 60))
    said = unseal(cookie_ticket(response))
    assert said["expires"] == said["limit"] and abs(said["expires"] - time.time() - 60) < 3
    assert abs(int(COOKIE.fullmatch(response.value("set-cookie"))[2]) - 360) < 3
    assert abs(json.loads(ask(proxy.port, tokens.by_secret(exp=int(time.time()) + 60), '{"as":"query"}').body)["expires_in"] - 60) < 3


# MARK: renewing

def test_a_stream_that_a_cookie_opened_sets_a_fresh_one_until_the_limit_and_nothing_else_does(proxied):
    proxy, _ = proxied("lifetime 60s")
    token = planted.plant()
    old = seal(token, seconds=20, limit=40)
    response = get(proxy.port, "/events/short", STREAM + cookie(old))
    fresh = cookie_ticket(response)
    assert unseal(fresh) == {**unseal(old), "expires": unseal(old)["limit"]} and fresh != old
    assert get(proxy.port, "/events/short", STREAM + cookie(fresh)).value("set-cookie") is None
    assert get(proxy.port, f"/events/short?ticket={old}", STREAM).value("set-cookie") is None


def test_an_answer_that_is_no_stream_sets_no_cookie(proxied):
    proxy, _ = proxied(handler=lambda connection, request: connection.respond(200, b"ok"))
    assert get(proxy.port, "/events/x", STREAM + cookie(seal(planted.plant(), seconds=20))).value("set-cookie") is None


def test_with_renew_off_the_page_has_to_ask_again(proxied):
    proxy, _ = proxied("renew off")
    assert get(proxy.port, "/events/short", STREAM + cookie(seal(planted.plant(), seconds=20))).value("set-cookie") is None


def test_a_held_client_gets_the_fresh_cookie_with_the_proxys_own_answer(stage):
    proxy = stage.heartwire(text=lambda port, folder: (
        f"listen 127.0.0.1:{port}\nstream_log {folder}/stream.log\naccess_log off\n{block()}\n"
        "route /* {\n upstream 127.0.0.1:1\n bearer_from ticket events\n outage retry 1s\n}\n"))
    response = get(proxy.port, "/events/x", STREAM + cookie(seal(planted.plant(), seconds=20)))
    assert response.status == 200 and cookie_ticket(response)


def test_a_client_that_is_held_for_its_tokens_keys_gets_the_fresh_cookie_too(stage):
    proxy = stage.heartwire(text=lambda port, folder: (
        f"listen 127.0.0.1:{port}\nstream_log {folder}/stream.log\naccess_log off\n{block()}\n"
        "issuer gone {\n name https://gone/\n audience any\n keys_url http://127.0.0.1:1/keys\n}\n"
        "route /* {\n upstream 127.0.0.1:1\n bearer_from ticket events\n bearer_check gone\n outage retry 1s\n}\n"))
    unread = tokens.join({"alg": "RS256"}, tokens.claims()) + "." + 342 * "A"
    response = get(proxy.port, "/events/x", STREAM + cookie(seal(planted.watch(unread), seconds=20)))
    assert response.status == 200 and cookie_ticket(response)


def test_a_page_that_asks_again_goes_on_with_the_same_ticket(proxied):
    proxy, _ = proxied()
    first = cookie_ticket(ask(proxy.port, planted.plant()))
    second = cookie_ticket(ask(proxy.port, planted.plant(), fields=cookie(first)))
    assert unseal(second)["id"] == unseal(first)["id"] and unseal(second)["token"] != unseal(first)["token"]
    assert ask(proxy.port, "", fields=cookie(second), method="DELETE").status == 204
    third = cookie_ticket(ask(proxy.port, planted.plant(), fields=cookie(second)))
    assert unseal(third)["id"] != unseal(first)["id"]


def test_another_user_of_the_same_browser_gets_a_ticket_of_his_own(checked):
    proxy, _ = checked()
    now = int(time.time())
    first = cookie_ticket(ask(proxy.port, tokens.by_secret(sub="ada")))
    again = cookie_ticket(ask(proxy.port, tokens.by_secret(sub="ada", jti="2"), fields=cookie(first)))
    other = cookie_ticket(ask(proxy.port, tokens.by_secret(sub="bob"), fields=cookie(again)))
    assert unseal(again)["id"] == unseal(first)["id"] != unseal(other)["id"]
    # The token in the first ticket may be over: its user is known still.
    over = seal(tokens.by_secret(sub="ada", exp=now - 100), seconds=20)
    mine = cookie_ticket(ask(proxy.port, tokens.by_secret(sub="ada"), fields=cookie(over)))
    his = cookie_ticket(ask(proxy.port, tokens.by_secret(sub="bob"), fields=cookie(over)))
    assert unseal(mine)["id"] == unseal(over)["id"] != unseal(his)["id"]
    # Who logs the first user out has no power over the second one.
    assert ask(proxy.port, "", f'{{"ticket":"{first}"}}', method="DELETE").status == 204
    assert get(proxy.port, "/events/x", STREAM + cookie(again)).status == 401
    assert get(proxy.port, "/events/short", STREAM + cookie(other)).status == 200


# MARK: taking back

def test_a_ticket_that_is_taken_back_ends_its_streams_on_every_worker_and_opens_nothing_more(proxied):
    proxy, origin = proxied()
    token = planted.plant()
    ticket, other = seal(token, seconds=20), seal(token, seconds=20)
    clients = [Client(proxy.port) for _ in range(16)]
    bystander = Client(proxy.port)
    bodies = []
    for number, client in enumerate(clients):
        response, body = client.open_stream(f"/events/{number}", cookie(ticket))
        renewed = cookie_ticket(response)
        body.wait_for(b"hello")
        bodies.append(body)
    _, kept = bystander.open_stream("/events/kept", cookie(other))
    kept.wait_for(b"hello")
    response = ask(proxy.port, "", fields=cookie(ticket), method="DELETE")
    assert response.status == 204
    assert response.value("set-cookie") == b"__Host-heartwire=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict"
    for body in bodies:
        body.read_to_end()
        assert body.complete and eventsource.read(bytes(body.data)).retry is not None
    workers = set()
    for number in range(16):
        ending = proxy.stream_log.ending(f"/events/{number}")
        assert (ending["cause"], ending["side"], ending["ticket"]) == ("revoked", "proxy", unseal(ticket)["id"])
        assert "took its ticket back" in ending["evidence"]
        workers.add(ending["stream"].split("-")[0])
    assert len(workers) == 2, "all streams came to one worker: the test proves less than it should"
    for text in (ticket, renewed):
        assert refused(proxy, fields=STREAM + cookie(text)) == "ticket_revoked"
    assert not kept.ended and get(proxy.port, "/events/short", STREAM + cookie(other)).status == 200
    for client in [*clients, bystander]:
        client.close()


def test_a_ticket_of_a_url_is_taken_back_by_the_body_and_one_that_is_over_still_ends_its_streams(proxied):
    proxy, _ = proxied()
    token = planted.plant()
    ticket = seal(token, seconds=2)
    with Client(proxy.port) as client:
        _, body = client.open_stream(f"/events/x?ticket={ticket}")
        body.wait_for(b"hello")
        time.sleep(2.1)
        assert ask(proxy.port, "", json.dumps({"ticket": ticket}), method="DELETE").status == 204
        body.read_to_end()
    assert proxy.stream_log.ending("/events/x")["cause"] == "revoked"
    # What is no ticket of ours is nothing to take back.
    for body in ["", '{"ticket":"abc"}', json.dumps({"ticket": seal(token, key=bytes(32))})]:
        assert ask(proxy.port, "", body, method="DELETE").status == 204


# MARK: bound to whom

@pytest.mark.parametrize("bond, fields, good", [
    (("own", b""), "", True), (("own", b""), "Sec-Fetch-Site: same-origin\r\n", True), (("own", b""), "Origin: http://test.example\r\n", True),
    (("own", b""), f"Origin: {APP}\r\n", False), (("own", b""), "Sec-Fetch-Site: cross-site\r\n", False), (("own", b""), "Origin: null\r\n", False),
    (("own", b""), "Sec-Fetch-Site: same-site\r\n", False), (("origin", APP.encode()), f"Origin: {APP}\r\nSec-Fetch-Site: cross-site\r\n", True),
    (("origin", APP.encode()), "", False), (("origin", APP.encode()), "Origin: https://other.example.com\r\n", False),
    (("origin", APP.encode()), "Origin: http://test.example\r\n", False), (("off", b""), "Origin: https://other.example.com\r\n", True),
    (("address", b"127.0.0.1"), "", True), (("address", b"127.0.0.2"), "", False), (("address", b"127.0.0.2"), "X-Forwarded-For: 127.0.0.2\r\n", False),
    (("certificate", bytes(32)), "", False),
])
def test_a_ticket_opens_something_for_those_only_to_whom_it_is_bound(proxied, bond, fields, good):
    proxy, origin = proxied(route=f"bearer_missing refuse\n allow_origin {APP}")
    ticket = seal(planted.plant(), bond=bond)
    if good:
        assert get(proxy.port, f"/events/short?ticket={ticket}", STREAM + fields).status == 200
    else:
        assert refused(proxy, f"/events/short?ticket={ticket}", STREAM + fields) == "ticket_place"
        assert origin.requests == []


@pytest.mark.parametrize("bind, fields, bond, bound_to", [
    ("origin", "", 1, b""), ("origin", f"Origin: {APP.upper().replace('HTTPS', 'https')}\r\n", 2, APP.encode()), ("off", "", 0, b""), ("address", "", 3, b"127.0.0.1"),
    ("address", "X-Forwarded-For: 192.0.2.7\r\n", 3, b"127.0.0.1"),
])
def test_a_ticket_is_bound_as_the_configuration_says(proxied, bind, fields, bond, bound_to):
    proxy, _ = proxied(f"bind {bind}", f"allow_origin {APP}")
    said = unseal(cookie_ticket(ask(proxy.port, planted.plant(), fields=fields)))
    assert (said["bond"], said["bound_to"]) == (bond, bound_to)


def test_behind_a_trusted_proxy_the_address_is_the_one_that_it_saw(proxied):
    proxy, _ = proxied("bind address", top="trusted_proxies 127.0.0.1")
    ticket = query_ticket_for(proxy, "X-Forwarded-For: 203.0.113.9, 192.0.2.7\r\n")
    assert unseal(ticket)["bound_to"] == b"192.0.2.7"
    assert get(proxy.port, f"/events/short?ticket={ticket}", STREAM + "X-Forwarded-For: 192.0.2.7\r\n").status == 200
    assert refused(proxy, f"/events/short?ticket={ticket}", STREAM + "X-Forwarded-For: 192.0.2.8\r\n") == "ticket_place"


def query_ticket_for(proxy, fields) -> str:
    return planted.watch(json.loads(ask(proxy.port, planted.plant(), '{"as":"query"}', fields).body)["ticket"])


def test_a_ticket_is_bound_to_a_certificate_where_the_configuration_says_so(stage, authority, identity):
    origin = stage.origin(echo)
    proxy = stage.heartwire(text=lambda port, folder: (
        f"listen 127.0.0.1:{port} {{\n" + tls_block(identity, extra=f"client_certificates optional\nclient_authority {authority.certificate}")
        + f"}}\nstream_log {folder}/stream.log\naccess_log {folder}/access.log\n{block('bind certificate')}\n"
        + f"route /* {{\n upstream {origin.address}\n bearer_from ticket events\n bearer_missing refuse\n}}\n"))

    def speak(certificate, raw):
        context = trusting(authority)
        if certificate:
            context.load_cert_chain(*map(str, certificate))
        with connect(proxy, context) as secured:
            secured.sendall(raw.encode())
            received = b""
            while data := secured.recv(65536):
                received += data
        return received

    first, second = authority.issue("first"), authority.issue("second")
    post = f"POST /-/ticket HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {planted.plant()}\r\n\r\n"
    assert speak(None, post).startswith(b"HTTP/1.1 403 ")
    ticket = planted.watch(COOKIE.search(speak(first, post))[1].decode())
    fetch = f"GET /events/short HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{STREAM}{cookie(ticket)}\r\n"
    assert [speak(certificate, fetch)[:13] for certificate in (first, second, None)] == [b"HTTP/1.1 200 ", b"HTTP/1.1 401 ", b"HTTP/1.1 401 "]


# MARK: what nobody else sees

def test_a_ticket_goes_to_no_server_on_any_route_and_into_no_log_referrer_or_redirect(proxied):
    def answer(connection, request):
        if request.target.startswith(b"/events/moved"):
            return connection.send(b"HTTP/1.1 302 Found\r\nLocation: /events/there?a=1\r\nContent-Length: 0\r\n\r\n")
        if request.target.startswith(b"/events"):
            return stream(connection, request)
        connection.respond(200, b"ok")

    proxy, origin = proxied(handler=answer, more="route /tokens {{\n upstream {origin}\n bearer_from cookie session\n}}")
    token = planted.plant()
    ticket = query_ticket(proxy.port, token)
    referrer = f"Referer: http://test.example/page?ticket={ticket}&b=2#ticket={ticket}\r\nX-Original-Url: /events?ticket={ticket}\r\n"
    for path in ["/tokens", "/", "/events/short"]:
        response = get(proxy.port, f"{path}?a=1&ticket={ticket}", referrer + (cookie(ticket) if path != "/events/short" else f"X-Other: /a/{ticket}/b\r\n"))
        assert response.status == 200 and response.value("referrer-policy") == b"strict-origin"
        # The page without a ticket in its URL keeps its own policy, and caches theirs.
        if path != "/events/short":
            plain = get(proxy.port, path, cookie(ticket))
            assert plain.value("referrer-policy") is None and plain.value("cache-control") is None
    assert get(proxy.port, f"/events/a;ticket={ticket}", STREAM).status == 401
    moved = get(proxy.port, f"/events/moved?ticket={ticket}", STREAM)
    assert moved.value("location") == f"/events/there?a=1&ticket={ticket}".encode()
    requests = origin.wait_for_requests(6)
    for request in requests:
        assert all(ticket.encode() not in value for _, value in request.fields) and ticket.encode() not in request.target
    # Nothing that the proxy wrote holds it: the fixture looks for every planted token and ticket.
    proxy.access_log.wait_for(lambda r: r["path"] == "/events/moved")
    assert b"ticket=" not in proxy.access_log.raw() + proxy.stream_log.raw()


def test_a_server_that_repeats_the_token_in_its_ids_does_not_bring_it_into_the_log(proxied):
    def repeat(connection, request):
        connection.start_stream()
        connection.chunk(b"id: " + request.value("authorization").split()[1] + b"\ndata: x\n\n")
        connection.last_chunk()

    proxy, _ = proxied(handler=repeat)
    assert get(proxy.port, "/events/x", STREAM + cookie(seal(planted.plant()))).status == 200
    assert proxy.stream_log.ending("/events/x")["last_event_id_withheld"] is True
