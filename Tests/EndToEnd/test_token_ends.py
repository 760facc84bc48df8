"""A stream lives as long as its token: real seconds, both protocols, and what a page and the log are told."""

import json
import subprocess
import threading
import time

import pytest

from support import eventsource, tokens
from support.client import Client, get
from support.http2 import HTTP2Client
from support.logs import check_ending

STREAM = "Accept: text/event-stream\r\n"


def silent(connection, request):
    """One event, and then nothing."""
    connection.start_stream()
    connection.chunk(b"id: 1\ndata: one\n\n")
    connection.wait_until_left(20)


@pytest.fixture
def checked(stage):
    """A function: the proxy with one route of these lines, whose issuer has this leeway, and the origin behind it."""
    def make(*lines, handler=silent, leeway="0s", top="", heartbeat="10s"):
        origin = stage.origin(handler)

        def text(port, folder):
            return (
                f"listen 127.0.0.1:{port} {{\n protocols h2 http/1.1\n}}\nstream_log {folder}/stream.log\n"
                f"access_log {folder}/access.log\n{top}\n"
                f"issuer main {{\n name {tokens.ISSUER}\n audience any\n shared_secret HS256 {tokens.SECRET}\n leeway {leeway}\n}}\n"
                f"route /* {{\n upstream {origin.address}\n bearer_from query access_token\n bearer_from cookie session\n"
                f" bearer_check main\n heartbeat {heartbeat}\n" + "\n".join(lines) + "\n}\n")

        return stage.heartwire(text=text), origin
    return make


def ending_in(seconds) -> str:
    """A token whose time is over after so many whole seconds, counted from the next full one."""
    return tokens.by_secret(exp=int(time.time()) + 1 + seconds)


def exp_of(token) -> int:
    return json.loads(tokens.decode(token.split(".")[1]))["exp"]


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_a_stream_ends_with_its_token_between_two_events_and_its_page_is_told(checked, version):
    proxy, _ = checked()
    token = ending_in(2)
    path = f"/e?access_token={token}"
    if version == "2":
        with HTTP2Client(proxy.port) as client:
            stream = client.whole(client.request(path))
            ended, data = time.time(), bytes(stream.data)
            assert stream.ended and stream.reset_code is None
    else:
        with Client(proxy.port) as client:
            _, body = client.open_stream(path)
            data = bytes(body.read_to_end(10))
            ended = time.time()
            assert body.complete
    assert -0.05 < ended - exp_of(token) < 3
    reading = eventsource.read(data)
    assert [(event.type, event.data, event.id) for event in reading.events] == [
        ("message", "one", "1"), ("token_expired", '{"expired_for":0}', "1")]
    assert 1_000 <= reading.retry <= 3_000
    record = proxy.stream_log.ending("/e")
    check_ending(record, "token_expired")
    assert record["side"] == "proxy" and record["retry_ms"] == reading.retry and record["events"] == 1
    assert record["evidence"] == "ended between two events because the time of its token was over; the client was told so in an event"
    assert record["token_expires"].startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(exp_of(token))))


def test_curl_reads_the_last_event_and_a_proper_end(checked):
    proxy, _ = checked()
    for option in ("--http1.1", "--http2-prior-knowledge"):
        url = f"http://127.0.0.1:{proxy.port}/curl?access_token={ending_in(1)}"
        result = subprocess.run(
            ["curl", "-sS", "--noproxy", "*", "-N", "--max-time", "10", "-H", "Accept: text/event-stream", option, url],
            capture_output=True, timeout=20)
        assert result.returncode == 0, result.stderr
        assert result.stdout.endswith(b'event: token_expired\ndata: {"expired_for":0}\n\n')


def test_an_event_that_is_open_is_waited_for_and_one_that_does_not_end_is_cut(checked):
    ends = threading.Event()

    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: one\n\ndata: ha")
        if b"/ends" in request.target:
            ends.wait(10)
            connection.chunk(b"lf\n\ndata: nev")
        connection.wait_until_left(20)

    proxy, _ = checked(handler=handler)
    token = ending_in(1)
    with Client(proxy.port) as waited, Client(proxy.port) as cut, HTTP2Client(proxy.port) as cut_too:
        _, first = waited.open_stream(f"/ends?access_token={token}")
        _, second = cut.open_stream(f"/cut?access_token={token}")
        third = cut_too.request(f"/cut2?access_token={token}")
        cut_too.wait(lambda: b"ha" in third.data)
        time.sleep(max(exp_of(token) - time.time(), 0) + 0.2)
        ends.set()
        first.read_to_end(5)
        assert first.complete
        assert [event.data for event in eventsource.read(bytes(first.data)).events] == ["one", "half", '{"expired_for":0}']
        second.read_to_end(5)
        assert not second.complete and bytes(second.data).endswith(b"data: ha")
        assert 0.9 < time.time() - exp_of(token) < 4
        cut_too.wait(lambda: third.reset_code is not None)
    for path in ("/cut", "/cut2"):
        record = proxy.stream_log.ending(path)
        check_ending(record, "token_expired")
        assert record["evidence"] == "cut inside an event that did not end within 1000 ms because the time of its token was over"


def test_a_stream_that_is_opened_within_the_leeway_lives_for_as_long_as_the_leeway(checked):
    proxy, _ = checked(leeway="3s")
    over = tokens.by_secret(exp=int(time.time()) - 1)
    with Client(proxy.port) as client:
        opened = time.time()
        _, body = client.open_stream(f"/e?access_token={over}")
        body.read_to_end(10)
        assert body.complete and 2.9 < time.time() - opened < 6
    # Its client comes back, and is told: the leeway is over now.
    told = eventsource.read(get(proxy.port, f"/again?access_token={over}", STREAM).body)
    assert [event.type for event in told.events] == ["token_expired"]


def test_an_eventsource_comes_back_with_a_renewed_cookie_and_loses_nothing(checked):
    """The page renews its cookie at the warning; the browser does the rest."""
    def handler(connection, request):
        connection.start_stream()
        last = int(request.value("last-event-id") or 0)
        for number in range(last + 1, last + 4):
            connection.chunk(b"id: %d\ndata: %d\n\n" % (number, number))
        connection.wait_until_left(20)

    proxy, origin = checked("expiring 2s", handler=handler)
    cookie, last, seen, retry = ending_in(2), None, [], 0
    for _ in range(2):
        fields = f"Cookie: session={cookie}\r\n" + (f"Last-Event-ID: {last}\r\n" if last else "")
        with Client(proxy.port) as client:
            _, body = client.open_stream("/e", fields=fields)
            body.wait_for(b"token_expiring", timeout=10)
            left = [json.loads(event.data) for event in eventsource.read(bytes(body.data)).events if event.type == "token_expiring"]
            assert len(left) == 1 and 0 < left[0]["expires_in"] <= 3
            cookie = ending_in(7)
            body.read_to_end(10)
            assert body.complete
        reading = eventsource.read(bytes(body.data))
        seen += [event.data for event in reading.events if event.type == "message"]
        assert reading.events[-1].type == "token_expired" and sum(event.type == "token_expiring" for event in reading.events) == 1
        last, retry = reading.last_event_id, reading.retry
        time.sleep(retry / 1000)
    assert seen == [str(number) for number in range(1, 7)] and last == "6"
    assert len(origin.requests) == 2


def test_events_that_are_not_wanted_are_not_sent(checked):
    proxy, _ = checked("expired status")
    token = ending_in(1)
    with Client(proxy.port) as client:
        _, body = client.open_stream(f"/e?access_token={token}")
        body.read_to_end(10)
        assert body.complete
    reading = eventsource.read(bytes(body.data))
    assert [event.type for event in reading.events] == ["message"] and 1_000 <= reading.retry <= 3_000
    check_ending(proxy.stream_log.ending("/e"), "token_expired")
    assert get(proxy.port, f"/again?access_token={token}", STREAM).status == 401


def test_a_compressed_stream_ends_without_an_event(checked):
    def handler(connection, request):
        connection.start_stream(fields=[("Content-Encoding", "gzip")])
        connection.chunk(b"\x1f\x8b\x08")
        connection.wait_until_left(20)

    proxy, _ = checked("expiring 10s", handler=handler, heartbeat="off")
    with Client(proxy.port) as client:
        _, body = client.open_stream(f"/e?access_token={ending_in(1)}")
        body.read_to_end(10)
        assert body.complete and bytes(body.data) == b"\x1f\x8b\x08"
    check_ending(proxy.stream_log.ending("/e"), "token_expired")


def test_without_heartbeats_a_stream_ends_in_time_too_with_the_names_of_the_route(checked):
    proxy, _ = checked("expired event login", "expiring 1s event renew", heartbeat="off")
    token = ending_in(2)
    with Client(proxy.port) as client:
        _, body = client.open_stream(f"/e?access_token={token}")
        body.read_to_end(10)
        assert body.complete and time.time() - exp_of(token) < 3
    assert [event.type for event in eventsource.read(bytes(body.data)).events] == ["message", "renew", "login"]


def test_a_held_client_whose_token_runs_out_is_told_and_reaches_no_server(checked, stage):
    proxy, origin = checked()
    origin.close()
    token = ending_in(2)
    with Client(proxy.port) as client:
        _, body = client.open_stream(f"/e?access_token={token}", fields="Last-Event-ID: 41\r\n")
        body.read_to_end(10)
        assert body.complete and time.time() - exp_of(token) < 3
    event, = eventsource.read(bytes(body.data)).events
    assert (event.type, event.id) == ("token_expired", "41")
    check_ending(proxy.stream_log.ending("/e"), "token_expired")


def test_a_server_that_answers_after_the_tokens_end_is_too_late(checked):
    def handler(connection, request):
        time.sleep(2.5)
        silent(connection, request)

    proxy, _ = checked(handler=handler)
    response = get(proxy.port, f"/e?access_token={ending_in(1)}", STREAM)
    event, = eventsource.read(response.body).events
    assert response.status == 200 and event.type == "token_expired"
    assert get(proxy.port, "/field", STREAM + f"Authorization: Bearer {ending_in(1)}\r\n").status == 401
    for path in ("/e", "/field"):
        assert proxy.access_log.access(path)["credential_error"] == "expired"


def test_the_log_shows_a_subject_in_clear_text_only_where_it_is_told_to(checked):
    shown, _ = checked(top="log_subject on")
    hidden, _ = checked()
    subject = 'Zoë "\n' + "x" * 300
    for proxy in (shown, hidden):
        with Client(proxy.port) as client:
            client.open_stream(f"/e?access_token={tokens.by_secret(sub=subject)}")
            opening = proxy.stream_log.opening("/e")
            if proxy is shown:
                assert opening["subject"] == subject.encode()[:256].decode()
            else:
                assert len(opening["subject"]) == 16 and "Zo" not in opening["subject"]
