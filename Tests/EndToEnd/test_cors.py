"""Routes that name the pages of other origins that may read them: what browsers ask, what they get, and what a page sees."""

import pytest

from support import tokens
from support.browser import Browser
from support.client import exchange, get
from support.http2 import HTTP2Client
from support.ports import reserve_port

PAGE = "https://app.example"
STREAM = "Accept: text/event-stream\r\n"
PREFLIGHT = f"Origin: {PAGE}\r\nAccess-Control-Request-Method: %s\r\n"


def permissive(connection, request):
    """A server that allows every page everything, as many do."""
    fields = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Methods", "PUT, DELETE"), ("Access-Control-Allow-Headers", "x-mine")]
    connection.respond(200, b"ok", fields)


def options(port, fields, path="/e"):
    return exchange(port, f"OPTIONS {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n".encode(), "OPTIONS")


def permissions(response) -> dict:
    return {name.lower().decode(): value.decode() for name, value in response.fields if name.lower().startswith(b"access-control-")}


def test_a_preflight_for_a_stream_is_answered_without_a_token_and_reaches_no_server(stage):
    origin = stage.origin(permissive)
    proxy = stage.heartwire(origin, route=["bearer_from query access_token", "bearer_missing refuse", f"allow_origin {PAGE}"])
    for method in ("GET", "HEAD", "POST"):
        answer = options(proxy.port, PREFLIGHT % method + "Access-Control-Request-Headers: authorization,last-event-id\r\n", f"/{method}")
        assert answer.status == 204 and answer.body == b"" and answer.values("content-length") == []
        assert permissions(answer) == {
            "access-control-allow-origin": PAGE, "access-control-allow-credentials": "true", "access-control-allow-methods": "GET, HEAD, POST",
            "access-control-allow-headers": "authorization, cache-control, content-type, last-event-id", "access-control-max-age": "600"}
        assert b"Origin" in answer.value("vary")
        record = proxy.access_log.access(f"/{method}")
        assert (record["status"], record["method"], "cause" in record) == (204, "OPTIONS", False)
    for other in ("null", "https://evil.example", "http://app.example", f"{PAGE}.evil.example", f"{PAGE}:444"):
        answer = options(proxy.port, f"Origin: {other}\r\nAccess-Control-Request-Method: PUT\r\n")
        assert (answer.status, permissions(answer)) == (204, {}), other
    assert origin.requests == []
    assert options(proxy.port, f"Origin: {PAGE}\r\n").status == 401, "that is no preflight"


def test_a_server_that_allows_more_methods_and_fields_still_does_so_for_the_pages_of_the_list(stage):
    origin = stage.origin(permissive)
    proxy = stage.heartwire(origin, route=[f"allow_origin {PAGE}"])
    answer = options(proxy.port, PREFLIGHT % "DELETE" + "Access-Control-Request-Headers: x-mine\r\n")
    assert answer.status == 200
    assert permissions(answer) == {
        "access-control-allow-origin": PAGE, "access-control-allow-credentials": "true", "access-control-allow-methods": "PUT, DELETE",
        "access-control-allow-headers": "x-mine", "access-control-expose-headers": "WWW-Authenticate, Retry-After"}
    assert len(origin.requests) == 1


def test_every_answer_of_the_route_varies_and_has_fields_for_the_pages_of_the_list_only(stage):
    def server(connection, request):
        permissive(connection, request) if request.target != b"/away" else connection.close()

    proxy = stage.heartwire(stage.origin(server), outage="refuse", route=[
        "bearer_from query access_token", "bearer_missing refuse", f"allow_origin {PAGE} https://*.example.org", "allow_credentials off"])
    for path, status in ((f"/e?access_token={tokens.by_secret()}", 200), ("/e", 401), ("/e?access_token=,", 400), ("/away?access_token=abc", 502)):
        path = path if status != 502 else f"/away?access_token={tokens.by_secret()}"
        for page, allowed in ((PAGE, True), ("https://a.b.example.org", True), ("https://example.org", False), ("null", False), (None, False)):
            answer = get(proxy.port, path, f"Origin: {page}\r\n" if page else "")
            assert answer.status == status
            assert "origin" in answer.value("vary").decode().lower().split(", ")
            got = permissions(answer)
            assert got.get("access-control-allow-origin") == (page if allowed else None)
            assert "access-control-allow-credentials" not in got
            assert (got.get("access-control-expose-headers") == "WWW-Authenticate, Retry-After") == allowed
            assert allowed or got == {}


def test_over_http2_it_is_the_same(stage):
    proxy = stage.heartwire(stage.origin(permissive), listen="protocols h2 http/1.1", route=[f"allow_origin {PAGE}"])
    client = HTTP2Client(proxy.port)
    page = [(b"origin", PAGE.encode())]
    asked = client.request("/e", method=b"OPTIONS", extra=[*page, (b"access-control-request-method", b"GET"), (b"access-control-request-headers", b"last-event-id")])
    plain, other = client.request("/e", extra=page), client.request("/e", extra=[(b"origin", b"https://evil.example")])
    while not (asked.ended and plain.ended and other.ended):
        assert client.receive_once(10)
    assert asked.status == 204 and asked.field(b"access-control-max-age") == b"600" and asked.data == b""
    assert plain.status == 200 and plain.field(b"access-control-allow-origin") == PAGE.encode() and plain.field(b"vary") == b"Origin"
    assert other.status == 200 and other.field(b"access-control-allow-origin") is None and other.field(b"vary") == b"Origin"


SCRIPT = b"""<!doctype html><title>page</title><script>
window.seen = {};
function source(name, url, options) {
    const source = new EventSource(url, options);
    seen[name] = [];
    source.onopen = () => seen[name].push("open");
    source.onmessage = event => seen[name].push(event.data);
    source.onerror = () => seen[name].push(source.readyState == 2 ? "closed" : "lost");
}
async function read(name, url, options) {
    try {
        const answer = await fetch(url, options);
        seen[name] = [answer.status, answer.headers.get("WWW-Authenticate"), (await answer.text()).trim()];
    } catch (error) { seen[name] = [error.name]; }
}
</script>"""


@pytest.mark.heavy
@pytest.mark.timeout(120)
def test_a_page_of_another_origin_reads_streams_and_refusals_of_a_server_that_knows_nothing_of_it(stage, tmp_path):
    """In Chromium: a native EventSource with a cookie, fetch with Authorization and Last-Event-ID, the proxy's 401, and an outage."""
    def server(connection, request):
        if request.target == b"/page":
            return connection.respond(200, SCRIPT, [("Content-Type", "text/html")])
        if request.method == b"POST":
            return connection.respond(200, b"posted " + request.value("content-type"))
        connection.start_stream()
        connection.chunk(b"data: " + request.value("authorization") + b" " + (request.value("last-event-id") or b"-") + b"\n\n")
        if request.value("last-event-id"):
            return connection.last_chunk()
        connection.wait_until_left(60)

    origin, away, pages = stage.origin(server), reserve_port(), reserve_port()
    # Cookies do not know ports: the two origins are of one site.
    page = f"http://localhost:{pages}"

    def text(port, folder):
        def route(path, *lines, upstream=origin.address):
            return f"route {path}/* {{\n upstream {upstream}\n opening off\n" + "".join(f" {line}\n" for line in lines) + "}\n"
        bridge = ("bearer_from cookie session", "bearer_missing refuse")
        return (f"listen 127.0.0.1:{port}\nlisten 127.0.0.1:{pages}\nstream_log {folder}/stream.log\naccess_log {folder}/access.log\n"
                + route("/page") + route("/listed", *bridge, f"allow_origin {page}") + route("/unlisted", *bridge, "allow_origin https://app.example")
                + route("/plain", *bridge, f"allow_origin {page}", "allow_credentials off")
                + route("/away", f"allow_origin {page}", upstream=f"127.0.0.1:{away}"))

    proxy = stage.heartwire(text=text)
    other, token = f"http://localhost:{proxy.port}", tokens.by_secret()
    fields = f"authorization: 'Bearer {token}'"
    with Browser(tmp_path) as browser:
        browser.open(f"{page}/page")
        browser.evaluate(f"document.cookie = 'session={token}; path=/'")
        for name in ("listed", "unlisted"):
            browser.evaluate(f"source('{name} stream', '{other}/{name}/stream', {{withCredentials: true}})")
            browser.evaluate(f"read('{name} fetch', '{other}/{name}/a', {{headers: {{{fields}, 'last-event-id': '41', 'cache-control': 'no-cache'}}}})")
            browser.evaluate(f"read('{name} refusal', '{other}/{name}/b')")
        browser.evaluate(f"read('post', '{other}/listed/c', {{method: 'POST', body: '{{}}', headers: {{{fields}, 'content-type': 'application/json'}}}})")
        browser.evaluate(f"read('delete', '{other}/unlisted/d', {{method: 'DELETE', headers: {{{fields}}}}})")
        browser.evaluate(f"read('away', '{other}/away/a')")
        browser.evaluate(f"source('away stream', '{other}/away/stream', {{withCredentials: true}})")
        browser.evaluate(f"read('plain', '{other}/plain/a', {{headers: {{{fields}, 'last-event-id': '41'}}}})")
        browser.evaluate(f"source('plain stream', '{other}/plain/stream', {{withCredentials: true}})")
        browser.wait_for("Object.values(seen).length == 12 && Object.values(seen).every(seen => seen.length) && seen['listed stream'].length == 2", 20)
        state = browser.evaluate("JSON.parse(JSON.stringify(seen))")
        errors = browser.page_errors()
    assert not errors, errors
    assert state["listed stream"] == ["open", f"Bearer {token} -"], "the cookie went, and the page reads"
    assert state["listed fetch"] == state["plain"] == [200, None, f"data: Bearer {token} 41"]
    assert state["listed refusal"][:2] == [401, 'Bearer realm="heartwire"'], "the page reads why"
    assert state["post"] == [200, None, "posted application/json"]
    assert state["away"][0] == 502 and state["away stream"] == ["open"]
    assert state["unlisted fetch"] == state["unlisted refusal"] == state["delete"] == ["TypeError"]
    assert state["unlisted stream"] == state["plain stream"] == ["closed"]
    seen = [(request.method, request.target) for request in origin.requests]
    assert not [one for one in seen if one[0] == b"OPTIONS"] and (b"DELETE", b"/unlisted/d") not in seen
