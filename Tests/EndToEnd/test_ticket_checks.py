"""Tickets for tokens that only fetched keys or their issuer can judge: what is not verified gets none, and nobody fills the list of those taken back."""

import concurrent.futures
import functools
import json
import re
import time

import pytest

from support import planted, tickets, tokens
from support.client import Client, exchange, get
from support.key_server import KeyServer
from support.ports import reserve_port
from support.tickets import COOKIE, STREAM, ask, cookie, cookie_ticket, query_ticket, unseal
from test_introspection import ID, SECRET, endpoint  # noqa: F401, a fixture

CHECKED = "bearer_check main"


@pytest.fixture
def proxied(stage):
    """A function: a proxy whose route /events/* takes tickets, and the origin behind it."""
    return functools.partial(tickets.proxy, stage)


@pytest.fixture
def source(tmp_path):
    """A server of keys that is not started yet, and the two keys: the one that it has, and another one."""
    (tmp_path / "second").mkdir()
    keys = tokens.Key(tmp_path, "EdDSA"), tokens.Key(tmp_path / "second", "EdDSA")
    server = KeyServer([keys[0].jwk(kid="a")])
    server.pair = keys
    yield server
    server.allowed.set()
    server.stop()


def by_keys(source, *lines):
    return f"issuer main {{\n name {tokens.ISSUER}\n audience {tokens.AUDIENCE}\n keys_url {source.url}\n" + "".join(f" {line}\n" for line in lines) + "}"


def by_question(endpoint, *lines):  # noqa: F811
    return (f"issuer main {{\n name {tokens.ISSUER}\n audience any\n introspect_url {endpoint.url}\n introspect_client \"{ID}\" \"{SECRET}\"\n"
            + "".join(f" {line}\n" for line in lines) + "}")


def word(proxy):
    """What the log says of the last request for a ticket that was refused because of its credentials."""
    return proxy.access_log.wait_for(lambda record: record["path"] == "/-/ticket" and "credential_error" in record)[-1]["credential_error"]


def test_a_forged_token_gets_no_ticket_also_where_keys_are_fetched(proxied, source):
    source.start()
    proxy, _ = proxied(top=by_keys(source), route=CHECKED)
    good, forged = source.pair[0].token(kid="a"), source.pair[1].token(kid="b")
    assert ask(proxy.port, forged).status == 401
    assert word(proxy) == "key"
    assert ask(proxy.port, good).status == 204
    assert ask(proxy.port, forged, '{"as":"query"}').status == 401


def test_a_page_that_asks_while_keys_are_fetched_waits_for_them(proxied, source):
    source.start()
    source.allowed.clear()
    proxy, _ = proxied(top=by_keys(source), route=CHECKED)
    good, forged = source.pair[0].token(kid="a"), source.pair[1].token(kid="a")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, proxy.port, token) for token in [good, forged] * 4]
        time.sleep(0.5)
        assert not any(each.done() for each in asked)
        for _ in range(5):
            client = Client(proxy.port)
            client.send(f"POST /-/ticket HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {good}\r\n\r\n".encode())
            client.close()
        source.allowed.set()
        assert [each.result().status for each in asked] == [204, 401] * 4
    # A new key is found by the first token that it has signed.
    source.keys.append(source.pair[1].jwk(kid="b"))
    assert ask(proxy.port, source.pair[1].token(kid="b")).status in (204, 401)


def test_where_keys_cannot_be_had_there_is_no_ticket_and_the_page_is_told_to_ask_again(proxied, source):
    proxy, _ = proxied(top=by_keys(source), route=CHECKED)
    proxy.wait_for_words("issuer main: its keys cannot be fetched")
    response = ask(proxy.port, source.pair[0].token(kid="a"))
    assert (response.status, response.value("retry-after"), response.value("set-cookie")) == (503, b"1", None)
    assert word(proxy) == "unavailable"


def test_an_opaque_token_gets_a_ticket_when_its_issuer_knows_it_and_is_asked_again_at_each_opening(proxied, endpoint):  # noqa: F811
    proxy, origin = proxied(top=by_question(endpoint, "cache 1s"), route=CHECKED)
    token = planted.plant()
    endpoint.states[token] = {"active": True, "sub": "ada", "exp": int(time.time()) + 100}
    response = ask(proxy.port, token)
    assert response.status == 204
    ticket = cookie_ticket(response)
    # The token's own end is the ticket's.
    assert abs(unseal(ticket)["limit"] - time.time() - 100) < 5
    before = len(endpoint.questions)
    time.sleep(1.1)
    assert get(proxy.port, "/events/short", STREAM + cookie(ticket)).status == 200
    assert origin.requests[0].value("authorization") == f"Bearer {token}".encode()
    assert len(endpoint.questions) == before + 1
    assert ask(proxy.port, planted.plant()).status == 401
    assert word(proxy) == "denied"
    endpoint.states[token] = {"active": False}
    time.sleep(1.1)
    assert get(proxy.port, "/events/short", STREAM + cookie(ticket)).status == 401
    assert ask(proxy.port, token).status == 401
    endpoint.status = 500
    time.sleep(2.1)
    assert ask(proxy.port, token).status == 503
    assert {record.get("issuer") for record in proxy.stream_log.openings(1)} == {"main"}


def test_pages_that_ask_with_one_opaque_token_cause_one_question(proxied, endpoint):  # noqa: F811
    proxy, _ = proxied(top=by_question(endpoint), route=CHECKED)
    token = planted.plant()
    endpoint.states[token] = {"active": True}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert {each.status for each in pool.map(lambda _: ask(proxy.port, token), range(30))} == {204}
    # One on each worker.
    assert 1 <= len(endpoint.questions) <= 2


def test_a_token_has_places_for_256_tickets_that_were_taken_back_and_the_browser_forgets_the_next_one_too(proxied):
    proxy, _ = proxied(route="bearer_missing refuse")
    token, other = planted.plant(), planted.plant()
    with Client(proxy.port) as client:
        def say(method, fields, body=""):
            client.send(f"{method} /-/ticket HTTP/1.1\r\nHost: test.example\r\nContent-Length: {len(body)}\r\n{fields}\r\n{body}".encode())
            return client.read_response(method)

        answers = []
        for _ in range(258):
            made = say("POST", f"Authorization: Bearer {token}\r\n")
            answers.append(say("DELETE", f"Cookie: __Host-heartwire={COOKIE.search(made.value('set-cookie'))[1].decode()}\r\n"))
        assert [answer.status for answer in answers] == [204] * 256 + [503] * 2
        assert all(b"Max-Age=0" in answer.value("set-cookie") for answer in answers)
        # Nobody else has to suffer for that.
        made = say("POST", f"Authorization: Bearer {other}\r\n")
        mine = COOKIE.search(made.value("set-cookie"))[1].decode()
        assert say("DELETE", f"Cookie: __Host-heartwire={mine}\r\n").status == 204
    assert get(proxy.port, "/events/short", STREAM + cookie(mine)).status == 401


def test_a_ticket_of_a_url_does_not_give_its_name_to_a_cookie(proxied):
    """It would live longer than the place of the first one among those taken back."""
    proxy, _ = proxied()
    token = planted.plant()
    first = query_ticket(proxy.port, token)
    second = cookie_ticket(ask(proxy.port, token, fields=cookie(first)))
    third = cookie_ticket(ask(proxy.port, token, fields=cookie(second)))
    assert unseal(first)["id"] != unseal(second)["id"] == unseal(third)["id"]


def test_a_ticket_for_a_path_that_these_tickets_do_not_open_is_refused_with_the_reason(proxied):
    proxy, _ = proxied()
    for path in ["/plain/x", "/-/ticket", "/eventsx"]:
        response = ask(proxy.port, planted.plant(), json.dumps({"path": path}))
        assert response.status == 400 and b"no route of these tickets has this 'path'" in response.body


def test_the_metrics_tell_what_became_of_tickets(proxied):
    console = reserve_port()
    proxy, _ = proxied("lifetime 60s", top=f"console 127.0.0.1:{console}")
    token = planted.plant()
    made = cookie_ticket(ask(proxy.port, token))
    query_ticket(proxy.port, token)
    assert get(proxy.port, "/events/short", STREAM + cookie(tickets.seal(token, seconds=20, limit=40))).value("set-cookie")
    assert ask(proxy.port, "").status == 401
    assert ask(proxy.port, "", fields=cookie(made), method="DELETE").status == 204

    def counts():
        text = exchange(console, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").body.decode()
        return {event: int(value) for event, value in re.findall(r'heartwire_tickets_total\{ticket="events",event="(\w+)"\} (\d+)', text)}

    deadline = time.monotonic() + 5
    expected = {"made": 2, "renewed": 1, "refused": 1, "taken_back": 1}
    while counts() != expected:
        assert time.monotonic() < deadline, counts()
        time.sleep(0.1)
