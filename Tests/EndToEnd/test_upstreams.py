"""Several servers in one upstream: balancing, another try where repeating is safe, names, IPv6, routes."""

import collections
import socket
import threading
import time

import pytest

from support.client import Client, exchange, get
from support.ports import reserve_port
from support.waiting import wait_until


def named(name):
    return lambda connection, request: connection.respond(200, name)


def test_round_robin_serves_each_in_turn(stage):
    proxy = stage.heartwire(*(stage.origin(named(b"%d" % n)) for n in range(3)), upstream="balance round_robin")
    answers = [get(proxy.port).body for _ in range(9)]
    assert collections.Counter(answers) == {b"0": 3, b"1": 3, b"2": 3}
    assert answers[:3] == answers[3:6] == answers[6:]


def test_least_connections_prefers_the_idle_server(stage):
    release = threading.Event()

    def slow(connection, request):
        if request.target == b"/hold":
            release.wait(10)
        connection.respond(200, b"slow")
    busy, idle = stage.origin(slow), stage.origin(named(b"idle"))
    proxy = stage.heartwire(busy, idle, upstream="balance least_connections")
    holders = []
    while not busy.requests:
        assert len(holders) < 50, "the idle server gets everything"
        holders.append(Client(proxy.port))
        holders[-1].get("/hold")
        wait_until(lambda: busy.requests or holders[-1].receive_once(0.02))
    assert len(busy.requests) == 1
    assert [get(proxy.port).body for _ in range(6)] == [b"idle"] * 6
    release.set()
    for client in holders:
        client.close()


def test_a_refused_connection_is_tried_on_the_next_server(stage):
    alive = stage.origin(named(b"alive"))
    proxy = stage.heartwire(f"127.0.0.1:{reserve_port()}", alive)
    assert [get(proxy.port).body for _ in range(6)] == [b"alive"] * 6
    body = exchange(proxy.port, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").body
    assert body == b"alive", "a refused connection has carried nothing: a POST can be tried elsewhere"
    records = proxy.access_log.wait_for(lambda r: r.get("attempts") == 2)
    assert records[0]["server"] == alive.address


def test_a_server_that_comes_back_is_used_again(stage):
    port = reserve_port()
    proxy = stage.heartwire(f"127.0.0.1:{port}")
    assert get(proxy.port).status in (502, 503)
    stage.origin(named(b"back"), port=port)
    deadline = time.monotonic() + 6
    while get(proxy.port).status != 200:
        assert time.monotonic() < deadline, "the server that came back is not used"
        time.sleep(0.1)


def dying(connections_that_die):
    """Serves one request per connection; a second one on the same connection finds it dead."""
    def handler(connection):
        request = connection.read_request()
        connection.origin.requests.append(request)
        connection.respond(200, b"first")
        if connection.number in connections_that_die:
            request = connection.read_request()
            connection.origin.requests.append(request)
            connection.close()
        else:
            while True:
                request = connection.read_request()
                connection.origin.requests.append(request)
                connection.respond(200, b"again")
    return handler


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_safe_request_on_a_dead_reused_connection_is_sent_again(stage, method):
    origin = stage.origin(dying({0}), raw=True)
    proxy = stage.heartwire(origin)
    with Client(proxy.port) as client:
        client.get("/one")
        assert client.read_response().body == b"first"
        client.send(f"{method} /two HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert client.read_response(method).status == 200
    assert [r.target for r in origin.requests] == [b"/one", b"/two", b"/two"]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_unsafe_request_is_never_sent_twice(stage, method):
    """On a reused connection or a new one: the server may have acted on the request, so it is not sent again."""
    def handler(connection, request):
        if request.target == b"/two":
            connection.close()
        else:
            connection.respond(200, b"first")
    origin = stage.origin(handler)
    proxy = stage.heartwire(origin)
    with Client(proxy.port) as client:
        client.get("/one")
        assert client.read_response().body == b"first"
        client.send(f"{method} /two HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi".encode())
        assert client.read_response().status in (502, 503)
    time.sleep(0.2)
    assert [r.target for r in origin.requests].count(b"/two") == 1, "an unsafe request was sent twice"


def test_a_connection_that_the_server_has_closed_meanwhile_costs_nobody_anything(stage):
    def handler(connection, request):
        connection.respond(200, b"ok")
        time.sleep(0.05)
        connection.close()
    origin = stage.origin(handler)
    proxy = stage.heartwire(origin)
    with Client(proxy.port) as client:
        for _ in range(5):
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
            assert client.read_response().status == 200
            time.sleep(0.2)
    assert len(origin.requests) == 5


def test_a_request_is_repeated_a_limited_number_of_times(stage):
    origin = stage.origin(lambda connection, request: connection.close())
    proxy = stage.heartwire(origin)
    assert get(proxy.port).status == 502
    assert len(origin.requests) <= 3


def test_an_upstream_can_be_reached_over_ipv6(stage):
    proxy = stage.heartwire(stage.origin(named(b"six"), host="::1"))
    assert get(proxy.port).body == b"six"


def test_the_proxy_listens_on_ipv6(stage):
    proxy = stage.heartwire(stage.origin(named(b"six")), host="::1")
    assert get(proxy.port, host="::1").body == b"six"


def test_a_name_is_resolved(stage):
    origin = stage.origin(named(b"by name"))
    proxy = stage.heartwire(f"localhost:{origin.port}")
    assert get(proxy.port).body == b"by name"


def test_the_host_field_is_kept_or_replaced_as_the_route_says(stage):
    for option, check in (("preserve", lambda host, origin: host == b"test.example"),
                          ("server", lambda host, origin: host == origin.address.encode())):
        origin = stage.origin(named(b"x"))
        proxy = stage.heartwire(origin, route=f"host {option}")
        get(proxy.port)
        assert check(origin.requests[0].value("host"), origin), origin.requests[0].fields


def test_the_most_specific_route_wins_whatever_the_order(stage):
    origins = {name: stage.origin(named(name.encode())) for name in ("any", "events", "exact", "host", "wild")}

    def text(port, folder):
        upstreams = "".join(f"upstream {name} {{\n    server {origin.address}\n}}\n" for name, origin in origins.items())
        routes = [("/*", "any"), ("/events/*", "events"), ("/events/one", "exact"),
                  ("shop.example/*", "host"), ("*.example/*", "wild")]
        return f"listen 127.0.0.1:{port}\n{upstreams}" + "".join(
            f"route {pattern} {{\n    upstream {name}\n}}\n" for pattern, name in routes)
    proxy = stage.heartwire(text=text)
    cases = [("other", "/", "any"), ("other", "/events/two", "events"), ("other", "/events/one", "exact"),
             ("other", "/events/one?x=/", "exact"), ("shop.example", "/", "host"), ("SHOP.example:8080", "/x", "host"),
             ("a.example", "/", "wild"), ("other", "/%65vents/one", "exact")]
    for host, path, expected in cases:
        raw = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        assert exchange(proxy.port, raw).body == expected.encode(), (host, path)


@pytest.mark.parametrize("path", [
    "/x/../private", "/./private", "/%2e%2e/private", "//private", "/private/", "/private;x=1", "/PRIVATE", "/%70rivate",
    "/a%2f..%2fprivate", "/private%2f", "/\\private", "/private?x", "/public/../private", "/private//"])
def test_no_spelling_of_a_path_slips_past_a_route_that_demands_a_token(stage, path):
    guarded, open_ = stage.origin(named(b"guarded")), stage.origin(named(b"open"))

    def text(port, folder):
        return (f"listen 127.0.0.1:{port}\nroute /private {{\n    upstream {guarded.address}\n    bearer_from query key\n"
                f"    bearer_missing refuse\n}}\nroute /* {{\n    upstream {open_.address}\n}}\n")
    proxy = stage.heartwire(text=text)
    response = get(proxy.port, path)
    assert response.status in (400, 401, 404), f"{path} was answered {response.status} {response.body}"
    assert guarded.requests == [] and open_.requests == []


def test_no_route_is_404_with_a_line(stage):
    origin = stage.origin(named(b"x"))
    proxy = stage.heartwire(origin, pattern="/events/*")
    assert get(proxy.port, "/elsewhere").status == 404
    assert proxy.access_log.access("/elsewhere")["status"] == 404
    assert origin.requests == []
