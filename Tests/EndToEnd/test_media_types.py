"""Which `Content-Type` makes an event stream, once, several times or in a list: proxy and Chromium agree."""

import time

import pytest

from support.browser import Browser
from support.client import Client

# The values of the Content-Type fields, one string for each line, and whether they make an event stream (Fetch, "extract a MIME type").
SPELLINGS = [
    (["text/event-stream"], True),
    (["TEXT/Event-Stream ; charset=UTF-8"], True),
    (["text/html", "text/event-stream"], True),
    (["text/event-stream", "text/html"], False),
    (["text/html, text/event-stream"], True),
    (["text/event-stream, text/html"], False),
    (["text/event-stream,"], True),
    ([",text/event-stream"], True),
    (["text/event-stream", ""], True),
    (["", "text/event-stream"], True),
    (["text/event-stream, */*"], True),
    (["text/event-stream, html"], True),
    (["text/event-stream, te xt/html"], True),
    (["text/event-stream", "text/html;x=\",text/event-stream\""], False),
    (["text/html;x=\"", "text/event-stream"], False),
    (["text/html;x=\"a\", text/event-stream"], True),
    (["text/event-streams"], False),
    (["text /event-stream"], False),
    (["*/*"], False),
    ([""], False),
]


def typed(connection, request):
    """A silent stream with the `Content-Type` of the target's number, or a response with it that ends; `/page` is an empty page."""
    if request.target == b"/page":
        return connection.respond(200, b"<!doctype html><title>types</title>", [("Content-Type", "text/html")])
    if not request.target[1:].isdigit():
        return connection.respond(404)
    values, is_stream = SPELLINGS[int(request.target[1:])]
    fields = "".join(f"Content-Type: {value}\r\n" for value in values)
    connection.send(f"HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n".encode())
    connection.chunk(b"data: a\n\n")
    if is_stream:
        return connection.wait_until_left(60)
    # A browser sniffs a response without a type until its end.
    time.sleep(0.5)
    connection.last_chunk()


@pytest.fixture(scope="module")
def proxy(shared_stage):
    return shared_stage.heartwire(shared_stage.origin(typed), heartbeat="150ms")


@pytest.mark.parametrize("number", range(len(SPELLINGS)), ids=["|".join(values) for values, _ in SPELLINGS])
def test_the_proxy_weaves_into_what_is_an_event_stream(proxy, number):
    with Client(proxy.port) as client:
        response, body = client.open_stream(f"/{number}")
        assert response.values("content-type") == [value.encode() for value in SPELLINGS[number][0]], "the fields pass as they are"
        if SPELLINGS[number][1]:
            body.wait_for(b"\n:\n")
            proxy.stream_log.opening(f"/{number}")
        else:
            assert b"\n:\n" not in body.read_to_end()
            proxy.access_log.access(f"/{number}")
            assert not any(record["path"] == f"/{number}" for record in proxy.stream_log.records())


@pytest.mark.heavy
def test_chromium_takes_the_same_for_event_streams(stage, tmp_path):
    origin = stage.origin(typed)
    opened = """(async number => {
        const source = new EventSource(`/${number}`);
        const opened = await new Promise(answer => { source.onmessage = () => answer(true); source.onerror = () => answer(false); });
        source.close();
        return opened;
    })"""
    with Browser(tmp_path) as browser:
        browser.open(f"http://{origin.address}/page")
        browser.wait_for("document.title == 'types'", 20)
        found = [browser.evaluate(f"{opened}({number})") for number in range(len(SPELLINGS))]
    assert {"|".join(values): answer for (values, _), answer in zip(SPELLINGS, found)} == {"|".join(v): e for v, e in SPELLINGS}
