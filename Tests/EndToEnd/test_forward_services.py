"""Forward auth with the contracts of oauth2-proxy and Authelia: whole stories, with the services' own pages behind the proxy."""

import pytest

from support.auth_services import Authelia, OAuth2Proxy
from support.client import Client, exchange, get

STREAM = "Accept: text/event-stream\r\n"
HTML = "Accept: text/html,application/xhtml+xml\r\n"


def backend(connection, request):
    """An old event-stream server that believes what stands in front of it."""
    if request.target.startswith(b"/plain"):
        return connection.respond(200, b"plain")
    connection.start_stream()
    connection.chunk(b"data: hello\n\n")
    connection.wait_until_left(60)


@pytest.fixture
def behind(stage):
    """A function: the proxy whose routes ask this service; what stands in its block."""
    def make(service, *lines, url):
        asked, origin = stage.origin(service), stage.origin(backend)

        def text(port, folder):
            return (f"listen 127.0.0.1:{port}\nstream_log {folder}/stream.log\naccess_log {folder}/access.log\n"
                    f"forward_auth session {{\n url http://{asked.address}{url}\n " + "\n ".join(lines) + "\n}\n"
                    f"route /oauth2/* {{\n upstream {asked.address}\n}}\nroute /* {{\n upstream {origin.address}\n forward_auth session\n}}\n")
        return stage.heartwire(text=text), origin
    return make


def sent(cookie: str) -> str:
    return f"Cookie: {cookie}\r\n"


def test_oauth2_proxy_lets_a_user_in_tells_the_server_who_it_is_and_ends_the_stream_after_a_logout(behind):
    service = OAuth2Proxy()
    proxy, origin = behind(
        service, "take X-Auth-Request-User X-Auth-Request-Email X-Auth-Request-Groups", "cache 0s", "recheck 1s", url="/oauth2/auth")
    refused = get(proxy.port, "/events", STREAM)
    assert refused.status == 401 and get(proxy.port, "/plain", HTML).status == 401
    assert proxy.access_log.access("/events")["credential_error"] == "denied" and origin.requests == []
    # The service's own pages stand on a route that does not ask it.
    login = get(proxy.port, "/oauth2/start?rd=/page", HTML)
    assert login.status == 302 and login.value("location") == b"/page"
    cookie = sent(login.value("set-cookie").decode().partition(";")[0])
    with Client(proxy.port) as client:
        forged = "X-Auth-Request-User: root\r\nx_auth_request_groups: admins\r\n"
        head, body = client.open_stream("/mine", cookie + forged)
        body.wait_for(lambda data: b"data: hello" in data, 5)
        request, = [request for request in origin.requests if request.target == b"/mine"]
        told = {name.lower(): value for name, value in request.fields if b"auth" in name.lower()}
        assert told == {b"x-auth-request-user": b"ada", b"x-auth-request-email": b"ada@example.com", b"x-auth-request-groups": b"readers,admins"}
        assert get(proxy.port, "/oauth2/sign_out", cookie).status == 302
        ending = proxy.stream_log.ending("/mine", 10)
    assert (ending["cause"], ending["side"]) == ("revoked", "proxy")
    assert get(proxy.port, "/again", STREAM + cookie).status == 401
    assert cookie[8:].strip().encode() not in proxy.stream_log.raw() + proxy.access_log.raw() + proxy.stderr().encode()


def test_oauth2_proxy_renews_its_session_on_streams_and_pages_alike(behind):
    service = OAuth2Proxy()
    service.refreshes = True
    proxy, origin = behind(service, "take X-Auth-Request-User", url="/oauth2/auth")
    cookie = sent(service.log_in("ada"))
    for path, fields in [("/plain/1", HTML), ("/events/1", STREAM), ("/events/2", STREAM), ("/plain/2", HTML)]:
        with Client(proxy.port) as client:
            client.get(path, fields + cookie)
            head = client.read_head()
            assert head.status == 200 and b"private" in head.value("cache-control")
            fresh, = head.values("set-cookie")
        # The old cookie is worth nothing: a client that did not get the fresh one would be logged out now.
        assert get(proxy.port, path, fields + cookie).status == 401
        cookie = sent(fresh.decode().partition(";")[0])
    assert [request.value("x-auth-request-user") for request in origin.requests] == [b"ada"] * 4
    assert all(cookie.split("=")[1].strip() not in text for text in (proxy.access_log.raw().decode(), proxy.stream_log.raw().decode(), proxy.stderr()))


def test_oauth2_proxy_s_groups_are_a_403_for_everybody(behind):
    service = OAuth2Proxy()
    proxy, origin = behind(service, "take X-Auth-Request-User", url="/oauth2/auth?allowed_groups=admins")
    ada, bob = (sent(service.log_in(name)) for name in ("ada", "bob"))
    assert get(proxy.port, "/plain", ada).status == 200
    for fields in (STREAM, HTML):
        assert get(proxy.port, "/plain", fields + bob).status == 403
    assert len(origin.requests) == 1


def test_oauth2_proxy_asked_as_by_traefik_sends_pages_to_the_login_and_tells_an_eventsource_401(behind):
    service = OAuth2Proxy()
    proxy, origin = behind(service, "take X-Auth-Request-User", url="/")
    page = get(proxy.port, "/plain?a=1&b=2", HTML)
    assert page.status == 302 and page.value("location") == b"/oauth2/start?rd=%2Fplain%3Fa%3D1%26b%3D2"
    assert page.value("set-cookie").startswith(b"_oauth2_proxy_csrf=")
    stream = get(proxy.port, "/events", STREAM)
    assert stream.status == 401 and stream.value("location") is None and stream.value("set-cookie") is None
    assert origin.requests == []


def test_authelia_gets_all_that_it_needs_and_its_redirects_keep_where_the_page_wanted_to_go(behind):
    service = Authelia()
    proxy, origin = behind(service, "send Cookie Authorization Accept X-Requested-With", "take Remote-User Remote-Groups Remote-Name Remote-Email", url="/api/authz/forward-auth")
    page = get(proxy.port, "/plain?a=1", HTML)
    where = f"https://auth.example.com/?rd=http%3A%2F%2Ftest.example%2Fplain%3Fa%3D1&rm=GET"
    assert (page.status, page.value("location").decode()) == (302, where)
    post = exchange(proxy.port, f"POST /plain HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\nContent-Length: 0\r\n{HTML}\r\n".encode())
    assert (post.status, post.value("location").decode()) == (303, where.replace("%3Fa%3D1", "").replace("GET", "POST"))
    assert get(proxy.port, "/plain", HTML + "X-Requested-With: XMLHttpRequest\r\n").status == 401
    assert get(proxy.port, "/events", STREAM).status == 401 and origin.requests == []
    assert get(proxy.port, "/plain", HTML + sent(service.log_in("bob")) + "Remote-User: root\r\nREMOTE_GROUPS: admins\r\n").status == 200
    request, = origin.wait_for_requests(1)
    told = {name.lower(): value for name, value in request.fields if b"remote" in name.lower()}
    assert told == {b"remote-user": b"bob", b"remote-groups": b"readers", b"remote-name": b"Bob", b"remote-email": b"bob@example.com"}


def test_authelia_asked_as_by_nginx_gets_the_original_url_and_method(behind):
    service = Authelia()
    proxy, origin = behind(service, "take Remote-User Remote-Groups", url="/api/authz/auth-request")
    forged = "X-Original-URL: http://test.example/public\r\nX-Original-Method: HEAD\r\nx_original_method: HEAD\r\n"
    assert get(proxy.port, "/plain?a=1", HTML + forged).status == 401 and origin.requests == []
    assert get(proxy.port, "/plain?a=1", HTML + forged + sent(service.log_in("bob"))).status == 200
    assert origin.requests[0].value("remote-user") == b"bob"
