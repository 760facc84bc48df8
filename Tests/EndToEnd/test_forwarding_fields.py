"""X-Forwarded-For, -Proto, -Host and Via: replaced for strangers, kept and extended from trusted proxies."""

import pytest

from support.client import Client, get
from support.ports import reserve_port

CLAIMS = ("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n"
          "Forwarded: for=192.0.2.7\r\nVia: 1.1 edge\r\n")


def echo(connection, request):
    connection.respond(200, b"ok", [("Via", "1.0 inner")])


def test_a_strangers_claims_are_replaced(stage):
    origin = stage.origin(echo)
    proxy = stage.heartwire(origin)
    get(proxy.port, "/", CLAIMS)
    request = origin.requests[0]
    assert request.value("x-forwarded-for") == b"127.0.0.1"
    assert request.value("x-forwarded-proto") == b"http"
    assert request.value("x-forwarded-host") == b"test.example"
    assert b"192.0.2.7" not in request.head


def test_the_claims_of_a_trusted_proxy_are_kept_and_extended(stage):
    origin = stage.origin(echo)
    proxy = stage.heartwire(origin, top="trusted_proxies 127.0.0.0/8")
    get(proxy.port, "/", CLAIMS)
    request = origin.requests[0]
    assert [part.strip() for part in request.value("x-forwarded-for").split(b",")] == [b"192.0.2.7", b"127.0.0.1"]
    assert request.value("x-forwarded-proto") == b"https"
    assert request.value("x-forwarded-host") == b"shop.example"


def test_a_trusted_proxy_without_claims_gets_the_proxys_own(stage):
    origin = stage.origin(echo)
    proxy = stage.heartwire(origin, top="trusted_proxies 127.0.0.1")
    get(proxy.port, "/")
    request = origin.requests[0]
    assert request.value("x-forwarded-for") == b"127.0.0.1" and request.value("x-forwarded-proto") == b"http"


def test_via_is_extended_both_ways(stage):
    origin = stage.origin(echo)
    proxy = stage.heartwire(origin)
    response = get(proxy.port, "/", CLAIMS)
    via = [part.strip() for value in origin.requests[0].values("via") for part in value.split(b",")]
    assert via[0] == b"1.1 edge" and len(via) == 2 and via[1].startswith(b"1.1 ")
    back = [part.strip() for value in response.values("via") for part in value.split(b",")]
    assert back[0] == b"1.0 inner" and len(back) == 2 and back[1].startswith(b"1.1 ")


def test_via_tells_the_version_that_was_received(stage):
    origin = stage.origin(echo)
    proxy = stage.heartwire(origin)
    with Client(proxy.port) as client:
        client.get(version="1.0")
        client.read_response()
    assert origin.requests[0].value("via").startswith(b"1.0 ")


@pytest.mark.parametrize("alias", ["X_Forwarded_For", "x-forwarded_for", "X.Forwarded.For"])
def test_aliases_are_not_taken_for_the_field(stage, alias):
    origin = stage.origin(echo)
    proxy = stage.heartwire(origin)
    get(proxy.port, "/", f"{alias}: 192.0.2.7\r\n")
    assert origin.requests[0].value("x-forwarded-for") == b"127.0.0.1"


@pytest.mark.parametrize("top", ["", "trusted_proxies 127.0.0.0/8"])
@pytest.mark.parametrize("alias", ["X_Forwarded_User", "x-forwarded_user", "X_Forwarded_For", "X_Real_IP", "X.Forwarded.Proto", "Proxy"])
def test_what_servers_take_for_a_proxys_word_passes_from_nobody_in_another_spelling(stage, alias, top):
    origin = stage.origin(echo)
    proxy = stage.heartwire(origin, top=top)
    get(proxy.port, "/", f"{alias}: forged\r\nX-Kept: 1\r\n")
    assert b"forged" not in origin.requests[0].head and origin.requests[0].value("x-kept") == b"1"


@pytest.mark.parametrize("top,passes", [("", False), ("trusted_proxies 127.0.0.0/8", True)])
@pytest.mark.parametrize("name", ["X-Forwarded-User", "True-Client-IP", "X-Original-URL", "X-Forwarded-Port"])
def test_a_proxys_word_is_taken_from_trusted_proxies_only(stage, name, top, passes):
    origin = stage.origin(echo)
    proxy = stage.heartwire(origin, top=top)
    get(proxy.port, "/", f"{name}: said\r\n")
    assert (b"said" in origin.requests[0].head) is passes


def test_a_request_of_a_thousand_such_fields_holds_nobody_up(stage):
    """Quadratic work for the names once stopped a worker for most of a second."""
    origin = stage.origin(echo)
    proxy = stage.heartwire(origin, limits="request_head 1MiB\nrequest_fields 1000")
    fields = "".join(f"X-Forwarded-{'a' * 900}{number}: 1\r\n" for number in range(990))
    before = proxy.processor_seconds()
    assert get(proxy.port, "/", fields, timeout=20).status == 200
    # A debug build needs about 50 ms for the bytes; quadratic work took seconds.
    assert proxy.processor_seconds() - before < 0.7


def test_a_loop_ends(stage):
    """Two proxies that point at each other by mistake: the request ends, and both go on."""
    ports = reserve_port(), reserve_port()
    first = stage.heartwire(f"127.0.0.1:{ports[1]}", port=ports[0], limits="connections 64")
    stage.heartwire(f"127.0.0.1:{ports[0]}", port=ports[1], limits="connections 64")
    assert get(first.port, timeout=20).status >= 400
