"""Redirects: for a URL from which the token was taken, and with a server's own address (`host server`)."""

import httpx
import pytest

from support import applications, planted
from support.browser import Browser
from support.client import get
from support.ports import reserve_port

QUERY = "bearer_from query access_token"


def redirecting(location, status=307):
    """A server that redirects everything except `/events/`, where it shows the client's token."""
    def serve(connection, request):
        if request.target.split(b"?")[0] == b"/events/":
            return connection.respond(200, request.value("authorization") or b"nobody")
        return connection.respond(status, b"", [("Location", location)])
    return serve


@pytest.mark.parametrize("location", ["/events/", "events/", "http://{host}/events/", "//{host}/events/", "/events/?x=1", "/events/#top"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_on_the_same_host_keeps_the_token(stage, location, status):
    token, port = planted.plant(), reserve_port()
    origin = stage.origin(redirecting(location.format(host=f"127.0.0.1:{port}"), status))
    stage.heartwire(origin, route=QUERY, port=port)
    answer = httpx.get(f"http://127.0.0.1:{port}/events?access_token={token}", follow_redirects=True, trust_env=False)
    assert answer.text == f"Bearer {token}" and len(answer.history) == 1


def test_a_redirect_keeps_a_last_event_id_that_stood_in_the_url(stage):
    def serve(connection, request):
        path, _, query = request.target.partition(b"?")
        if path == b"/events":
            return connection.respond(307, b"", [("Location", f"/events/?{query.decode()}")])
        connection.respond(200, (request.value("last-event-id") or b"none") + b" " + query)

    origin = stage.origin(serve)
    proxy = stage.heartwire(origin, route=[QUERY, "last_event_id_from query id"])
    token = planted.plant()
    answer = httpx.get(f"http://127.0.0.1:{proxy.port}/events?x=1&id=4%2F1&access_token={token}", follow_redirects=True, trust_env=False)
    assert answer.text == "4/1 x=1" and len(answer.history) == 1
    # The browser's own field, which it sends at its next reconnect, counts from then on.
    assert httpx.get(answer.url, headers={"Last-Event-ID": "42"}, trust_env=False).text == "42 x=1"


def test_a_redirect_to_a_route_that_does_not_take_the_id_gets_none(stage):
    origin = stage.origin(redirecting("/elsewhere"))
    proxy = stage.heartwire(origin, route="last_event_id_from query id", extra=f"route /elsewhere {{\n upstream {origin.address}\n}}\n")
    assert get(proxy.port, "/events?id=41").value("location") == b"/elsewhere"


@pytest.mark.parametrize("location", [
    "http://other.example/events/", "//other.example/", "http://127.0.0.1:1/events/", "/\\other.example/", "http://test.example@other.example/",
    "https://test.example.other.example/", "mailto:a@test.example", "///other.example/"])
def test_a_redirect_to_another_host_gets_no_token(stage, location):
    proxy = stage.heartwire(stage.origin(redirecting(location)), route=QUERY)
    response = get(proxy.port, f"/events?access_token={planted.plant()}")
    assert response.value("location") == location.encode()


def test_a_redirect_to_a_route_that_would_pass_the_token_on_in_the_url_gets_none(stage):
    origin = stage.origin(redirecting("/elsewhere"))
    proxy = stage.heartwire(origin, route=QUERY, extra=f"route /elsewhere {{\n upstream {origin.address}\n}}\n")
    assert get(proxy.port, f"/events?access_token={planted.plant()}").value("location") == b"/elsewhere"


@pytest.mark.parametrize("top, extra, expected", [
    ("", "", "http://test.example"),
    ("trusted_proxies 127.0.0.1", "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n", "https://shop.example"),
    ("", "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n", "http://test.example"),
])
def test_the_address_of_a_server_that_is_told_its_own_becomes_the_clients(stage, top, extra, expected):
    def serve(connection, request):
        own = f"http://{request.value('host').decode()}"
        connection.respond(302, b"", [
            ("Location", f"{own}/b?x=1"), ("Content-Location", f"{own}/c"), ("Refresh", f"5; url={own}/d"), ("Link", f"<{own}/e>; rel=next")])
    origin = stage.origin(serve)
    proxy = stage.heartwire(origin, route=["host server"], top=top)
    response = get(proxy.port, "/a", extra)
    assert response.value("location") == f"{expected}/b?x=1".encode()
    assert response.value("content-location") == f"{expected}/c".encode()
    assert response.value("refresh") == f"5; url={expected}/d".encode()
    assert response.value("link") == f"<{expected}/e>; rel=next".encode()
    assert origin.address.encode() not in response.head


def test_the_name_by_which_a_server_on_a_unix_socket_is_told_its_own_becomes_the_clients_too(stage, tmp_path):
    def serve(connection, request):
        connection.respond(302, b"", [("Location", f"http://{request.value('host').decode()}/b")])
    token = planted.plant()
    proxy = stage.heartwire(stage.origin(serve, path=str(tmp_path / "app.sock")), route=[QUERY, "host server"])
    assert get(proxy.port, f"/a?access_token={token}").value("location") == f"http://test.example/b?access_token={token}".encode()


@pytest.mark.timeout(400)  # The frameworks may have to be installed first.
@pytest.mark.parametrize("framework", ["fastapi_slash", "flask_slash"])
@pytest.mark.parametrize("host", ["preserve", "server"])
def test_a_stream_behind_a_framework_that_adds_the_slash_is_reached(stage, tmp_path, framework, host):
    token = planted.plant()
    with applications.running(framework, tmp_path) as address:
        proxy = stage.heartwire(address, route=[QUERY, f"host {host}"])
        with httpx.stream("GET", f"http://127.0.0.1:{proxy.port}/events?x=1&access_token={token}", follow_redirects=True, trust_env=False,
                          headers={"Accept": "text/event-stream"}, timeout=10) as answer:
            assert answer.status_code == 200 and len(answer.history) == 1
            assert next(answer.iter_lines()) == f"data: Bearer {token} x=1"


@pytest.mark.heavy
@pytest.mark.timeout(400)
@pytest.mark.parametrize("host", ["preserve", "server"])
def test_an_eventsource_in_chromium_reaches_its_stream_through_the_redirect(stage, tmp_path, host):
    token = planted.plant()
    with applications.running("fastapi_slash", tmp_path) as address:
        proxy = stage.heartwire(address, route=[QUERY, f"host {host}"])
        with Browser(tmp_path) as browser:
            browser.open(f"http://127.0.0.1:{proxy.port}/")
            browser.evaluate(
                f"window.stream = new EventSource('/events?x=1&access_token={token}'); window.said = ''; window.failed = 0;"
                "stream.onmessage = event => said = event.data; stream.onerror = () => failed++; 1")
            assert browser.wait_for("said", 20) == f"Bearer {token} x=1"
            assert browser.evaluate("failed") == 0
            browser.evaluate("stream.close()")
