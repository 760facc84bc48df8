"""Spring MVC's SseEmitter on Tomcat 9, from Debian's packages, as an example of a common server behind Heartwire."""

import time

import pytest

from support import applications, eventsource, planted
from support.client import Client, get

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("spring")


@pytest.fixture(scope="module")
def address(folder):
    with applications.running("spring", folder) as address:
        yield address


@pytest.fixture
def proxy(stage, address):
    return stage.heartwire(address, heartbeat="400ms comment", opening="on", route=["bearer_from query access_token"])


@pytest.fixture
def wait_for_words(folder):
    """Waits until the server has written these words."""
    def wait(words: str, timeout=10):
        deadline = time.monotonic() + timeout
        while words not in (said := (folder / "spring.log").read_text(errors="replace")):
            assert time.monotonic() < deadline, f"{words!r} did not come: {said}"
            time.sleep(0.05)
    return wait


def test_a_stream_flows_with_its_token_and_ends_as_tomcats_async_timeout_wants_it(proxy, wait_for_words):
    token = planted.plant()
    with Client(proxy.port) as client:
        response, body = client.open_stream(f"/events?access_token={token}", timeout=20)
        assert response.status == 200
        body.wait_for(b"data:after null\n\n")
        assert not body.ended, "the first event came with the end only"
        wait_for_words(f"was sent Bearer {token}\n")
        body.read_to_end(20)
        assert body.complete
    reading = eventsource.read(bytes(body.data))
    assert [(event.id, event.data) for event in reading.events] == [("1", "after null")]
    assert len(reading.comments) >= 3, "the opening comment and heartbeats are missing"
    record = proxy.stream_log.ending("/events")
    # Tomcat checks once a second.
    assert record["cause"] == "upstream_finished" and 1900 <= record["duration_ms"] <= 8000, record


def test_the_async_timeout_is_a_total_and_a_client_that_comes_back_says_what_it_has(proxy):
    token = planted.plant()
    with Client(proxy.port) as client:
        _, body = client.open_stream(f"/events?access_token={token}&every=300", "Last-Event-ID: 41\r\n", timeout=20)
        body.read_to_end(20)
    events = eventsource.read(bytes(body.data)).events
    assert (events[0].id, events[0].data, events[1].data) == ("42", "after 41", "tick") and len(events) >= 4
    record = proxy.stream_log.ending("/events")
    assert record["cause"] == "upstream_finished" and record["last_event_id"] == events[-1].id
    assert 1900 <= record["duration_ms"] <= 8000 and record["longest_upstream_silence_ms"] < 1900, record


def test_spring_learns_of_a_client_that_left_when_it_next_sends_and_says_itself_who_may_come(proxy, wait_for_words):
    assert get(proxy.port, "/events", timeout=20).status == 401
    with Client(proxy.port) as client:
        _, body = client.open_stream(f"/events?access_token={planted.plant()}&every=200", "Last-Event-ID: 700\r\n", timeout=20)
        body.wait_for(b"data:after 700\n\n")
    assert proxy.stream_log.ending("/events")["cause"] == "client_closed"
    wait_for_words("send failed by ClientAbortException at 70")
