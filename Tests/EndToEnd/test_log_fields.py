"""The fields of the logs that decide why streams drop: who asked and through what, silences at the end, times to come back, waiting bytes."""

import re
import signal
import time

from support.client import Client
from support.logs import check_ending

CHROME = ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36")


def one_event(connection, request):
    connection.start_stream()
    connection.chunk(b"id: 7\ndata: a\n\n")
    time.sleep(0.5)
    connection.last_chunk()


def lines_of(proxy, path):
    return proxy.stream_log.opening(path), proxy.stream_log.ending(path)


def test_the_lines_tell_whether_the_same_eventsource_came_back(stage):
    proxy = stage.heartwire(stage.origin(one_event))
    for path, fields, expected in (
            ("/new", "", False), ("/back", "Last-Event-ID: 7\r\n", True), ("/unfit", "Last-Event-ID: \x01\r\n", True)):
        with Client(proxy.port) as client:
            _, body = client.open_stream(path, fields)
            body.read_to_end()
        assert [line["resumes"] for line in lines_of(proxy, path)] == [expected, expected], path


def test_an_access_line_tells_it_of_those_that_wanted_a_stream(stage):
    def refuse(connection, request):
        connection.respond(401, b"")
    proxy = stage.heartwire(stage.origin(refuse))
    for path, fields in (("/new", ""), ("/back", "Last-Event-ID: 7\r\n")):
        with Client(proxy.port) as client:
            client.get(path, "Accept: text/event-stream\r\nUser-Agent: node\r\n" + fields)
            assert client.read_response().status == 401
    with Client(proxy.port) as client:
        client.get("/other", "User-Agent: node\r\nLast-Event-ID: 7\r\n")
        client.read_response()
    for path, expected in (("/new", False), ("/back", True)):
        line = proxy.access_log.access(path)
        assert (line["resumes"], line["agent"], line["http"]) == (expected, "node", "1.1")
    assert not {"resumes", "agent", "http"} & set(proxy.access_log.access("/other"))


def test_the_lines_tell_the_kind_of_client_and_the_proxies_in_front_and_never_the_fields_themselves(stage):
    proxy = stage.heartwire(stage.origin(one_event))
    fields = (
        f"User-Agent: {CHROME}\r\nCF-RAY: 8c5f-FRA\r\nCf-Connecting-Ip: 203.0.113.9\r\nVia: 1.1 varnish (Varnish/7.1), 1.1 squid.example\r\n"
        "X-Forwarded-For: 203.0.113.9, 198.51.100.7\r\nX-Forwarded-For: 192.0.2.3\r\nX-Envoy-Expected-Rq-Timeout-Ms: 15000\r\n")
    with Client(proxy.port) as client:
        _, body = client.open_stream("/hops", fields)
        body.read_to_end()
    for line in lines_of(proxy, "/hops"):
        assert line["http"] == "1.1" and line["agent"] == "chrome"
        assert line["hops"] == ["cloudflare", "envoy", "varnish", "squid"]
        assert (line["via_count"], line["forwarded_count"], line["expected_timeout_ms"]) == (2, 3, 15000)
    assert b"203.0.113.9" not in proxy.stream_log.raw() and b"Mozilla" not in proxy.stream_log.raw()
    with Client(proxy.port) as client:
        _, body = client.open_stream("/direct", version="1.0")
        body.read_to_end()
    opening, _ = lines_of(proxy, "/direct")
    assert opening["http"] == "1.0"
    assert not {"agent", "hops", "via_count", "forwarded_count", "expected_timeout_ms"} & set(opening)


def test_a_trusted_proxys_client_is_named_beside_the_hops(stage):
    proxy = stage.heartwire(stage.origin(one_event), top="trusted_proxies 127.0.0.1/32")
    with Client(proxy.port) as client:
        _, body = client.open_stream("/trusted", "X-Forwarded-For: 203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\n")
        body.read_to_end()
    opening, _ = lines_of(proxy, "/trusted")
    assert opening["client_forwarded"] == "203.0.113.9" and opening["hops"] == ["nginx"] and opening["path"] == "/trusted"


def test_the_end_of_a_body_does_not_hide_the_silence_before_it(stage):
    proxy = stage.heartwire(stage.origin(one_event))
    with Client(proxy.port) as client:
        _, body = client.open_stream("/quiet")
        body.read_to_end()
    opening, ending = lines_of(proxy, "/quiet")
    check_ending(ending, "upstream_finished")
    assert 450 <= ending["upstream_silence_at_end_ms"] <= 4000
    assert 450 <= ending["client_silence_at_end_ms"] <= 4000
    assert "heartbeat_ms" not in opening and "heartbeat_ms" not in ending and "retry_ms" not in ending


def test_heartbeats_end_the_clients_silence_and_not_the_servers(stage):
    proxy = stage.heartwire(stage.origin(one_event), heartbeat="150ms")
    with Client(proxy.port) as client:
        _, body = client.open_stream("/beaten")
        body.read_to_end()
    opening, ending = lines_of(proxy, "/beaten")
    assert opening["heartbeat_ms"] == ending["heartbeat_ms"] == 150
    assert ending["heartbeats"] >= 2 and ending["upstream_silence_at_end_ms"] >= 450
    # Each heartbeat came 150 ms after what was written before.
    assert ending["client_silence_at_end_ms"] <= ending["upstream_silence_at_end_ms"] - 2 * 140
    assert 140 <= ending["client_silence_before_last_write_ms"] <= 2000


def test_the_silence_before_the_last_bytes_is_known(stage):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: a\n\n")
        time.sleep(0.6)
        connection.chunk(b"data: b\n\n")
        connection.wait_until_left(10)
    proxy = stage.heartwire(stage.origin(handler))
    with Client(proxy.port) as client:
        _, body = client.open_stream("/forgotten")
        body.wait_for(b"data: b")
        client.reset()
    ending = proxy.stream_log.ending("/forgotten")
    assert ending["cause"] == "client_reset"
    assert 550 <= ending["client_silence_before_last_write_ms"] <= 2000 and ending["client_silence_at_end_ms"] < 2000


def test_the_time_to_come_back_is_the_last_one_that_the_client_was_told(stage):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"retry: 4000\ndata: a\n\nretry: 1234\n\n")
        connection.wait_until_left(20)
    proxy = stage.heartwire(stage.origin(handler), heartbeat="10s")
    with Client(proxy.port) as client:
        _, body = client.open_stream("/server")
        body.wait_for(b"1234\n\n")
    assert proxy.stream_log.ending("/server")["retry_ms"] == 1234
    with Client(proxy.port) as client:
        _, body = client.open_stream("/drained")
        body.wait_for(b"1234\n\n")
        proxy.send_signal(signal.SIGTERM)
        told = int(re.findall(rb"retry: ?(\d+)\n", body.read_to_end())[-1])
    assert proxy.wait() == 0
    ending = proxy.stream_log.ending("/drained")
    check_ending(ending, "drained")
    assert ending["retry_ms"] == told != 1234
    assert ending["bytes_to_client"] == len(body.data)


def test_a_slow_reader_is_seen_before_it_is_cut(stage):
    def handler(connection, request):
        connection.start_stream()
        for _ in range(400):
            connection.chunk(b"data: " + b"x" * 60_000 + b"\n\n")
        connection.last_chunk()
    proxy = stage.heartwire(stage.origin(handler), timeouts="client_stall 10s")
    with Client(proxy.port) as client:
        client.get("/slow", "Accept: text/event-stream\r\n")
        time.sleep(1.5)
        body = client.body(client.read_head())
        body.read_to_end(30)
        assert body.complete
    ending = proxy.stream_log.ending("/slow")
    assert ending["max_pending_bytes"] > 0 and 1000 <= ending["pending_ms"] <= ending["duration_ms"]


def test_a_reader_that_keeps_up_leaves_nothing_waiting(stage):
    proxy = stage.heartwire(stage.origin(one_event))
    with Client(proxy.port) as client:
        _, body = client.open_stream("/quick")
        body.read_to_end()
    ending = proxy.stream_log.ending("/quick")
    assert ending["max_pending_bytes"] == 0 and ending["pending_ms"] == 0


def come_and_go(proxy, path="/again", fields="", how="close"):
    """A stream that the client ends; returns its opening once its end is in the log."""
    known = {line["stream"] for line in proxy.stream_log.records() if line["event"] == "stream_open"}
    with Client(proxy.port) as client:
        _, body = client.open_stream(path, fields)
        body.wait_for(b"data: a\n\n")
        getattr(client, how)()
    ending = proxy.stream_log.wait_for(lambda line: line["event"] == "stream_end" and line["stream"] not in known)[0]
    return next(line for line in proxy.stream_log.records() if line["event"] == "stream_open" and line["stream"] == ending["stream"])


def endless(connection, request):
    connection.start_stream()
    connection.chunk(b"data: a\n\n")
    connection.wait_until_left(30)


def test_a_stream_names_the_one_that_the_same_client_had_before(stage):
    proxy = stage.heartwire(stage.origin(endless), workers=2)
    first = come_and_go(proxy, "/again?token=1", "User-Agent: a\r\n")
    time.sleep(0.4)
    second = come_and_go(proxy, "/again?token=2", "User-Agent: a\r\nLast-Event-ID: 1\r\n", "reset")
    third = come_and_go(proxy, "/again", "User-Agent: a\r\n")
    assert "previous_stream" not in first and "since_previous_end_ms" not in first
    assert second["previous_stream"] == first["stream"] and 350 <= second["since_previous_end_ms"] <= 3000
    assert third["previous_stream"] == second["stream"] and third["since_previous_end_ms"] < 2000
    for path, fields in (
            ("/elsewhere", "User-Agent: a\r\n"), ("/again", "User-Agent: b\r\n"), ("/again", ""),
            ("/again", "User-Agent: a\r\nX-Forwarded-For: 203.0.113.9\r\n")):
        assert "previous_stream" not in come_and_go(proxy, path, fields), (path, fields)
    # After all these the stream's own client is still known.
    assert come_and_go(proxy, "/again", "User-Agent: a\r\n")["previous_stream"] == third["stream"]


def test_a_client_with_a_token_is_known_by_it_wherever_it_comes_from(stage):
    proxy = stage.heartwire(stage.origin(endless))
    ada, bob = ("Authorization: Bearer token-of-ada-0001\r\nUser-Agent: a\r\n", "Authorization: Bearer token-of-bob-0002\r\nUser-Agent: a\r\n")
    first = come_and_go(proxy, "/mine", ada)
    assert "previous_stream" not in come_and_go(proxy, "/mine", bob)
    assert "previous_stream" not in come_and_go(proxy, "/mine", "User-Agent: a\r\n")
    again = come_and_go(proxy, "/mine", ada.replace("Agent: a", "Agent: phone") + "X-Forwarded-For: 203.0.113.9\r\n")
    assert again["previous_stream"] == first["stream"] and again["token"] == first["token"]


def test_behind_a_trusted_proxy_the_forwarded_client_counts(stage):
    proxy = stage.heartwire(stage.origin(endless), top="trusted_proxies 127.0.0.1/32")
    ada, bob = ("X-Forwarded-For: 203.0.113.9, 10.0.0.{}\r\n", "X-Forwarded-For: 203.0.113.10, 10.0.0.{}\r\n")
    first = come_and_go(proxy, "/mine", ada.format(1))
    assert "previous_stream" not in come_and_go(proxy, "/mine", bob.format(1))
    assert come_and_go(proxy, "/mine", ada.format(2))["previous_stream"] == first["stream"]


def test_the_end_of_a_stream_tells_how_many_others_are_open(stage):
    origin, other = stage.origin(endless), stage.origin(endless)
    proxy = stage.heartwire(
        origin, workers=2, extra=f"upstream other {{\n    server {other.address}\n}}\nroute /other/* {{\n    upstream other\n}}\n")
    clients = [Client(proxy.port) for _ in range(6)]
    for number, client in enumerate(clients):
        _, body = client.open_stream(f"/other/{number}" if number == 5 else f"/{number}")
        body.wait_for(b"data: a\n\n")
    for number, left in ((0, 4), (1, 3), (5, 0), (2, 2)):
        clients[number].close()
        ending = proxy.stream_log.ending(f"/other/{number}" if number == 5 else f"/{number}")
        assert ending["open_streams"] == ending["open_streams_server"] == left
    # A burst: the last one of all has no other.
    proxy.send_signal(signal.SIGTERM)
    assert proxy.wait() == 0
    rest = [line["open_streams"] for line in proxy.stream_log.records() if line["event"] == "stream_end"][-2:]
    assert rest == [1, 0]
    for client in clients:
        client.close()


def starts(log, count):
    """The lines about the proxy itself, once there are so many."""
    deadline = time.monotonic() + 5
    while len(found := [line for line in log.lines() if line["event"] == "proxy_start"]) < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    assert len(found) == count
    return found


def test_a_log_begins_with_the_process_and_its_limits(stage):
    proxy = stage.heartwire(
        stage.origin(endless), heartbeat="15s", upstream="stream_silence_timeout 40s", timeouts="client_stall 20s", workers=2,
        top="fingerprint_key a-key-that-nobody-may-see-in-a-log")
    first = starts(proxy.stream_log, 1)[0]
    assert first == proxy.stream_log.lines()[0] and first["reload"] is False and "again" not in first
    assert first["process"] == proxy.process.pid and first["workers"] == 2 and re.match(r"\d+\.\d+\.\d+\Z", first["version"])
    assert re.match(r"[0-9a-f]{16}\Z", first["configuration"])
    assert first["routes"] == [{
        "route": "/*", "upstream": "origin", "heartbeat_ms": 15000, "stream_silence_timeout_ms": 40000, "client_stall_ms": 20000,
        "response_timeout_ms": 300000}]
    assert b"nobody-may-see-in" not in proxy.stream_log.raw()


def reload(proxy, change, count):
    text = (proxy.folder / "heartwire.conf").read_text()
    assert change(text) != text
    (proxy.folder / "heartwire.conf").write_text(change(text))
    proxy.send_signal(signal.SIGHUP)
    proxy.wait_for_words("SIGHUP: done", count)


def test_a_reload_has_a_line_and_only_another_configuration_has_another_digest(stage):
    proxy = stage.heartwire(stage.origin(endless), heartbeat="15s", top="fingerprint_key " + 32 * "a" + "\nhistory_key " + 32 * "c")
    reload(proxy, lambda text: "# a comment\n" + text.replace(32 * "a", 32 * "b").replace(32 * "c", 32 * "d"), 1)
    reload(proxy, lambda text: text.replace("heartbeat 15s", "heartbeat 10s"), 2)
    lines = starts(proxy.stream_log, 3)
    assert [line["reload"] for line in lines] == [False, True, True]
    assert lines[0]["configuration"] == lines[1]["configuration"] != lines[2]["configuration"]
    assert [line["routes"][0]["heartbeat_ms"] for line in lines] == [15000, 15000, 10000]
    assert len({line["process"] for line in lines}) == 1


def test_a_log_that_is_opened_again_begins_with_the_limits_and_the_streams_that_run(stage):
    proxy = stage.heartwire(stage.origin(endless), heartbeat="15s")
    clients = [Client(proxy.port) for _ in range(250)]
    # More than are written in two turns.
    for number, client in enumerate(clients):
        _, body = client.open_stream(f"/{number}", "Last-Event-ID: 1\r\n")
        body.wait_for(b"data: a\n\n")
    proxy.stream_log.opening("/249")
    before = {line["path"]: line for line in proxy.stream_log.records() if line["event"] == "stream_open"}
    time.sleep(0.3)
    proxy.stream_log.path.rename(proxy.folder / "stream.log.1")
    proxy.send_signal(signal.SIGUSR1)
    proxy.stream_log.openings(250)
    first, *rest = proxy.stream_log.lines()
    assert first["event"] == "proxy_start" and first["reload"] is True and first["again"] is True
    assert first["routes"][0]["heartbeat_ms"] == 15000
    for line in rest:
        assert line["again"] is True and 250 <= line["age_ms"] <= 60_000
        known = before[line["path"]]
        assert {key: value for key, value in line.items() if key not in ("time", "again", "age_ms")} == {
            key: value for key, value in known.items() if key != "time"}
    for client in clients:
        client.close()
    proxy.stream_log.wait_for(lambda line: line["event"] == "stream_end" and line["path"] == "/249")


def test_a_log_that_a_reload_switches_on_knows_the_streams_that_run(stage):
    proxy = stage.heartwire(stage.origin(endless))
    with Client(proxy.port) as early, Client(proxy.port) as late:
        _, body = early.open_stream("/early")
        body.wait_for(b"data: a\n\n")
        proxy.stream_log.opening("/early")
        log = proxy.stream_log.path
        reload(proxy, lambda text: text.replace(f"stream_log {log}", "stream_log off"), 1)
        _, body = late.open_stream("/late")
        body.wait_for(b"data: a\n\n")
        lines = len(proxy.stream_log.lines())
        reload(proxy, lambda text: text.replace("stream_log off", f"stream_log {log}"), 2)
        proxy.stream_log.wait_for(lambda line: "again" in line, count=2)
        found = proxy.stream_log.lines()[lines:]
        assert found[0]["event"] == "proxy_start" and found[0]["reload"] is True and "again" not in found[0]
        assert sorted((line["path"], line["again"]) for line in found[1:]) == [("/early", True), ("/late", True)]
    assert proxy.stream_log.ending("/late")["open_streams"] <= 1


def test_the_kernel_says_what_a_client_has_acknowledged(stage):
    proxy = stage.heartwire(stage.origin(one_event))
    with Client(proxy.port) as client:
        _, body = client.open_stream("/told")
        body.read_to_end()
    ending = proxy.stream_log.ending("/told")
    for view in (ending["tcp"], ending["upstream_tcp"]):
        assert view["bytes_acked"] > 0 and view["notsent_bytes"] == 0 and view["delivery_rate"] >= 0
    # The head, an event in its chunk.
    assert 100 <= ending["tcp"]["bytes_acked"] <= 2000
