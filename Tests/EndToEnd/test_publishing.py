"""Events that are published from outside stand between a server's events, once in each stream."""

import http.client
import json

import pytest

from support.client import Client
from support.ports import reserve_port
from support.scripted import Script, events, last_id, resume, wait_for

KEY = "a-key-of-those-who-publish"
OTHER_KEY = "another-key-of-those-who-publish"


@pytest.fixture(params=[1, 4], ids=["one worker", "four workers"])
def workers(request):
    return request.param


class Published:
    """A proxy with a listener for those who publish, and a server that sends what the test says."""

    def __init__(self, stage, workers=1, route="history {\n}", **options):
        self.port = reserve_port()
        self.script = Script(stage)
        keys = f"publish_key {KEY}\npublish_key {OTHER_KEY}"
        self.proxy = stage.heartwire(
            self.script.origin, route=route, workers=workers, top=f"listen 127.0.0.1:{self.port} {{\n{keys}\n}}", **options)

    def post(self, query, body=b"hello", key=KEY, method="POST", **fields):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request(method, f"/publish?{query}", body, headers | {name.replace("_", "-"): text for name, text in fields.items()})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer, data

    def publish(self, query="route=/*", body=b"hello", **more):
        answer, data = self.post(query, body, **more)
        assert answer.status == 200, data
        return json.loads(data)


def test_an_event_stands_between_those_of_the_server_in_all_streams_of_the_route(stage, workers):
    published = Published(stage, workers)
    port = published.proxy.port
    with Client(port) as one, Client(port) as two, Client(port) as three:
        bodies = [resume(client, f"/{number}") for number, client in enumerate([one, two, three])]
        for number, body in enumerate(bodies):
            published.script.stream(number).chunk(b"data: 1\n\ndata: ha")
        for body in bodies:
            body.wait_for(b"data: 1\n\n")
        assert published.publish("route=/*&type=notice", b"a\r\nb\rc\n") == {"streams": 3, "clients": 3}
        for number in range(3):
            published.script.stream(number).chunk(b"lf\n\ndata: 3\n\n")
        for body in bodies:
            data = body.wait_for(b"data: 3\n\n")
            assert events(data) == ["1", "a", "b", "c", "half", "3"]
            assert b"\nevent: notice\ndata: a\ndata: b\ndata: c\n\n" in data
            assert data.count(b"\nid: hw1.") + data.startswith(b"id: hw1.") == 5, data


def test_a_client_that_was_away_gets_it_once(stage, workers):
    published = Published(stage, workers)
    with Client(published.proxy.port) as client:
        body = resume(client, "/s")
        published.script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1\n\n")
        id = last_id(body.data)
    wait_for(lambda: any(line["event"] == "stream_end" for line in published.proxy.stream_log.lines()))
    assert published.publish(body=b"2") == {"streams": 1, "clients": 0}
    with Client(published.proxy.port) as client:
        body = resume(client, "/s", id)
        published.script.stream(0).chunk(b"data: 3\n\n")
        assert events(body.wait_for(b"data: 3\n\n")) == ["2", "3"]
        id = last_id(body.data)
    with Client(published.proxy.port) as client:
        body = resume(client, "/s", id)
        published.script.stream(0).chunk(b"data: 4\n\n")
        assert events(body.wait_for(b"data: 4\n\n")) == ["4"]


def test_among_ids_of_the_server_it_has_none_of_its_own(stage):
    published = Published(stage)
    with Client(published.proxy.port) as client:
        body = resume(client, "/s")
        published.script.stream(0).chunk(b"id: a\ndata: 1\n\n")
        body.wait_for(b"data: 1\n\n")
        published.publish(body=b"2")
        assert body.wait_for(b"data: 2\n\n").endswith(b"id: a\ndata: 1\n\ndata: 2\n\n")


def test_it_waits_for_the_end_of_an_event_that_is_passed_on_in_parts(stage):
    published = Published(stage, limits="event 1KiB")
    with Client(published.proxy.port) as client:
        body = resume(client, "/s")
        published.script.stream(0).chunk(b"data: 1\n\ndata: " + b"x" * 4096)
        body.wait_for(b"x" * 2048)
        assert published.publish(body=b"3") == {"streams": 1, "clients": 1}
        published.script.stream(0).chunk(b"y\n\ndata: 4\n\n")
        data = body.wait_for(b"data: 4\n\n")
        assert [event[:2] for event in events(data)] == ["1", "xx", "3", "4"]
        assert b"x" * 4096 + b"y\n" in data


def test_it_is_kept_where_the_server_ends_inside_of_such_an_event(stage):
    published = Published(stage, route="history {\n}\nidentity public\nshare live", limits="event 1KiB")
    with Client(published.proxy.port) as client:
        body = resume(client, "/s")
        published.script.stream(0).chunk(b"data: 1\n\n")
        id = last_id(body.wait_for(b"data: 1\n\n"))
        published.script.stream(0).chunk(b"data: " + b"x" * 4096)
        body.wait_for(b"x" * 2048)
        assert published.publish(body=b"2") == {"streams": 1, "clients": 1}
        published.script.stream(0).close()
        client.wait_for_end()
    with Client(published.proxy.port) as client:
        assert events(resume(client, "/s", id).read_to_end()) == ["2"]


def test_only_streams_of_the_path_and_of_the_token_get_it(stage, workers):
    published = Published(stage, workers, route="history {\n}\nbearer_from query access_token")
    port = published.proxy.port
    with Client(port) as one, Client(port) as two:
        mine, other = resume(one, "/a%2fb?access_token=alice"), resume(two, "/c?access_token=bob")
        lines = published.proxy.stream_log.lines
        wait_for(lambda: [line["event"] for line in lines()].count("stream_open") == 2)
        tokens = {line["path"]: line["token"] for line in lines() if line["event"] == "stream_open"}
        assert published.publish("route=/*&path=/a%252fb", b"by path") == {"streams": 1, "clients": 1}
        assert published.publish(f"route=/*&token={tokens['/c']}", b"by token") == {"streams": 1, "clients": 1}
        assert published.publish(f"route=/*&path=/c&token={tokens['/a%2fb']}", b"nobody's") == {"streams": 0, "clients": 0}
        assert published.publish("route=/*", b"end") == {"streams": 2, "clients": 2}
        assert events(mine.wait_for(b"data: end\n\n")) == ["by path", "end"]
        assert events(other.wait_for(b"data: end\n\n")) == ["by token", "end"]


def test_a_request_that_is_sent_again_publishes_nothing_again(stage, workers):
    published = Published(stage, workers)
    with Client(published.proxy.port) as client:
        body = resume(client, "/s")
        published.script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1\n\n")
        for _ in range(3):
            assert published.publish(body=b"2", Idempotency_Key="one") == {"streams": 1, "clients": 1}
        assert published.publish(body=b"3", Idempotency_Key="two") == {"streams": 1, "clients": 1}
        published.publish(body=b"4")
        published.publish(body=b"4")
        assert events(body.wait_for(lambda data: data.count(b"data: 4\n\n") == 2)) == ["1", "2", "3", "4", "4"]


def test_what_is_wrong_is_said(stage):
    published = Published(stage, route="history {\n}", extra="route /plain {\nupstream 127.0.0.1:1\n}")
    refused = [
        ("route=/*", {"key": None}, 401, "needs one of the listener's keys"),
        ("route=/*", {"key": KEY + "x"}, 401, "needs one of the listener's keys"),
        ("route=/*", {"key": KEY[:-1]}, 401, "needs one of the listener's keys"),
        ("route=/*", {"key": None, "Authorization": f"Basic {KEY}"}, 401, "needs one of the listener's keys"),
        ("route=/*", {"method": "PUT"}, 405, "events are published with POST"),
        ("route=/*", {"body": b"x" * 65_537}, 413, "larger than 65536 bytes"),
        ("route=/*", {"body": iter([b"x" * 40_000] * 2)}, 413, "larger than 65536 bytes"),
        ("", {}, 400, "'route' is missing"),
        ("route=/*&route=/*", {}, 400, "stands twice"),
        ("route=/*&tipe=a", {}, 400, "unknown parameter"),
        ("route=/*&type=a%0ab", {}, 400, "'type' has at most"),
        ("route=/*&type=a%00", {}, 400, "'type' has at most"),
        ("route=/*&type=%ff", {}, 400, "'type' has at most"),
        ("route=/*&token=12", {}, 400, "'token' is no fingerprint"),
        ("route=/*&path=events", {}, 400, "'path' is no path"),
        ("route=/*", {"body": b"\xff"}, 400, "the body is not UTF-8"),
        ("route=/*", {"Idempotency_Key": "k" * 256}, 400, "an Idempotency-Key has 1 to 255 bytes"),
        ("route=/none", {}, 404, "no route has the name"),
        ("route=/plain", {}, 404, "has no 'history'"),
    ]
    for query, options, status, words in refused:
        answer, data = published.post(query, **options)
        assert answer.status == status and words in data.decode(), (query, options, answer.status, data)
        assert KEY not in data.decode()
    assert published.post("route=/*", key=None)[0].getheader("WWW-Authenticate") == 'Bearer realm="publish"'
    assert published.post("route=/*", method="GET")[0].getheader("Allow") == "POST"
    assert published.publish(key=OTHER_KEY) == {"streams": 0, "clients": 0}
    assert published.publish(body=b"x" * 65_536) == {"streams": 0, "clients": 0}
    lines = published.proxy.access_log.lines
    wait_for(lambda: len(lines()) == len(refused) + 4)
    assert {line["route"] for line in lines()} == {"publish"}
    assert KEY not in (published.proxy.folder / "access.log").read_text()


def test_its_listener_serves_no_clients_and_theirs_publishes_nothing(stage):
    published = Published(stage)
    for path in ["/", "/s", "/publish/", "/publish/x"]:
        connection = http.client.HTTPConnection("127.0.0.1", published.port, timeout=15)
        connection.request("POST", path, b"", {"Authorization": f"Bearer {KEY}"})
        assert connection.getresponse().status == 404
    with Client(published.proxy.port) as client:
        body = resume(client, "/publish?route=/*", fields=f"Authorization: Bearer {KEY}\r\n")
        published.script.stream(0).chunk(b"data: of the server\n\n")
        body.wait_for(b"data: of the server\n\n")
    assert len(published.script.requests) == 1


def test_a_key_is_replaced_by_a_reload(stage):
    published = Published(stage)
    assert published.publish() == {"streams": 0, "clients": 0}
    path = published.proxy.folder / "heartwire.conf"
    path.write_text(path.read_text().replace(f"publish_key {KEY}\n", ""))
    published.proxy.send_signal(1)
    published.proxy.wait_for_words(f"listen 127.0.0.1:{published.port} changed")
    assert published.post("route=/*")[0].status == 401
    assert published.publish(key=OTHER_KEY) == {"streams": 0, "clients": 0}
    assert KEY not in published.proxy.stderr()


@pytest.mark.parametrize("identity, finds_token", [("public", False), ("token", True)])
def test_a_shared_stream_has_it_once_for_all_and_for_a_token_only_if_all_have_it(stage, workers, identity, finds_token):
    route = f"history {{\n}}\nidentity {identity}\nshare live"
    published = Published(stage, workers, route=route + ("\nbearer_from query access_token" if finds_token else ""))
    port = published.proxy.port
    token = "?access_token=alice" if finds_token else ""
    with Client(port) as one, Client(port) as two:
        bodies = [resume(client, f"/s{token}") for client in [one, two]]
        published.script.stream(0).chunk(b"data: 1\n\n")
        for body in bodies:
            body.wait_for(b"data: 1\n\n")
        assert published.publish(body=b"2") == {"streams": 1, "clients": 2}
        if finds_token:
            opened = published.proxy.stream_log.openings(2)[0]
            assert published.publish(f"route=/*&token={opened['token']}", b"3") == {"streams": 1, "clients": 2}
        else:
            assert published.publish("route=/*&token=0123456789abcdef", b"3") == {"streams": 0, "clients": 0}
        published.script.stream(0).chunk(b"data: 4\n\n")
        for body in bodies:
            assert events(body.wait_for(b"data: 4\n\n")) == ["1", "2", *(["3"] if finds_token else []), "4"]
    assert len(published.script.requests) == 1


def test_an_event_for_a_token_is_for_streams_whose_readers_all_have_it(stage):
    """A stream that is found by a cookie may be read with another token later."""
    published = Published(stage, 1, route="history {\n}\nbearer_from query access_token\nidentity cookie who")
    fields = "Cookie: who=me\r\n"
    with Client(published.proxy.port) as client:
        body = resume(client, "/s?access_token=thefirst", None, fields)
        published.script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1\n\n")
        id = last_id(body.data)
    with Client(published.proxy.port) as client:
        body = resume(client, "/s?access_token=thesecond", id, fields)
        published.script.stream(0).chunk(b"data: 2\n\n")
        body.wait_for(b"data: 2\n\n")
        tokens = [line["token"] for line in published.proxy.stream_log.openings(2)]
        assert len(set(tokens)) == 2
        for token in tokens:
            assert published.publish(f"route=/*&token={token}") == {"streams": 0, "clients": 0}
