"""The console's live page, its feed and its two actions: in a browser, and by hand where a browser would never do it."""

import hashlib
import json
import os
import pathlib
import threading
import time

import pytest

from support import eventsource
from support.browser import Browser
from support.client import Client, exchange
from support.logs import check_ending
from support.ports import reserve_port
from support.reloading import File
from support.waiting import wait_until

def numbered(connection, request):
    """A stream of numbered events, ten a second."""
    connection.start_stream()
    number = 0
    while True:
        number += 1
        connection.chunk(b"id: %d\nevent: tick\ndata: x\n\n" % number)
        time.sleep(0.1)


def silent(connection, request):
    connection.start_stream()
    connection.chunk(b"data: first\n\n")
    connection.wait_until_left(60)


@pytest.fixture
def console(stage):
    port = reserve_port()
    proxy = stage.heartwire(stage.origin(numbered), workers=2, top=f"console 127.0.0.1:{port}", logs_events=True, heartbeat="1s")
    return proxy, port


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


class Feed:
    """A feed's messages as they come."""

    def __init__(self, port, path="/feed", fields=""):
        self.client = Client(port)
        self.client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode())
        self.response = self.client.read_head()
        self.body = self.client.body(self.response)

    def events(self):
        return [(event.type, json.loads(event.data)) for event in eventsource.read(bytes(self.body.data)).events]

    def wait_for(self, wanted, timeout=8):
        deadline = time.monotonic() + timeout
        while not (found := [data for kind, data in self.events() if wanted(kind, data)]):
            assert time.monotonic() < deadline, [kind for kind, _ in self.events()]
            self.body.pump(0.2)
        return found[-1]

    def close(self):
        self.client.close()


def page_token(port):
    document = exchange(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").body.decode()
    return document.split('name="page-token" content="')[1].split('"')[0]


def act(port, path, body=b"{}", fields=(), token=None, origin=True):
    lines = [f"POST {path} HTTP/1.1", f"Host: localhost:{port}", "Content-Type: application/json", f"Content-Length: {len(body)}",
             f"X-Heartwire-Page: {token or page_token(port)}", *fields]
    if origin:
        lines.append(f"Origin: http://localhost:{port}")
    return exchange(port, "\r\n".join([*lines, "", ""]).encode() + body)


def test_the_feed_is_an_event_stream_with_ids_and_a_time_to_come_back(console):
    proxy, port = console
    with Client(proxy.port) as client:
        client.open_stream("/events/one")
        feed = Feed(port)
        assert feed.response.value("content-type") == b"text/event-stream"
        row = feed.wait_for(lambda kind, data: kind == "rows")["rows"][0]
        assert row[0]["path"] == "/events/one" and row[0]["event"] == "stream_open" and len(row) == 7
        stream = row[0]["stream"]
        numbers = feed.wait_for(lambda kind, data: kind == "numbers" and any(r[0] == stream and r[1] > 12 for r in data["rows"]))
        [row] = [r for r in numbers["rows"] if r[0] == stream]
        assert abs(numbers["asked"] - row[4]) < 800, "the numbers are those of the moment when the workers were asked"
        assert 0 <= numbers["now"] - row[3] < 3000 and 0 <= numbers["now"] - row[4] < 3000 and row[5] == 0
        reading = eventsource.read(bytes(feed.body.data))
        assert bytes(feed.body.data).startswith(b"retry: 2000\n\n")
        ids = [int(event.id) for event in reading.events]
        assert ids == list(range(1, len(ids) + 1))
    end = feed.wait_for(lambda kind, data: kind == "lines" and any(line["event"] == "stream_end" for line in data["lines"]))
    [cause] = [line["cause"] for line in end["lines"] if line["event"] == "stream_end"]
    assert cause in ("client_closed", "client_reset"), "a client that closes with unread events resets"
    hour = feed.wait_for(lambda kind, data: kind == "hour" and data["causes"], timeout=12)
    assert hour["causes"][0]["cause"] == cause and sum(hour["causes"][0]["minutes"]) == 1
    feed.close()


def test_what_ended_before_somebody_looked_is_shown(console):
    proxy, port = console
    with Client(proxy.port) as client:
        client.open_stream("/before")
    proxy.stream_log.ending("/before")
    feed = Feed(port)
    lines = feed.wait_for(lambda kind, data: kind == "lines")["lines"]
    assert {line["event"] for line in lines if line.get("path") == "/before"} == {"stream_open", "stream_end"}
    assert all(line == next(one for one in proxy.stream_log.records() if one == line) for line in lines), "the lines are the log's own"
    feed.close()


def test_one_streams_events_heartbeats_and_end_are_told(console):
    proxy, port = console
    with Client(proxy.port) as client:
        client.open_stream("/followed")
        opening = proxy.stream_log.opening("/followed")
        feed = Feed(port, f"/streams/{opening['stream']}/feed")
        events = feed.wait_for(lambda kind, data: kind == "events" and len(data["lines"]) > 5)
        assert {line["stream"] for line in events["lines"]} == {opening["stream"]}
        assert all(line["event"] == "stream_event" and line["type"] == "tick" and line["id"] for line in events["lines"])
        numbers = [line["number"] for line in events["lines"]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "no event is left out"
        with Client(proxy.port) as other:
            other.open_stream("/other")
            time.sleep(1.5)
    end = feed.wait_for(lambda kind, data: kind == "lines" and any(line["event"] == "stream_end" for line in data["lines"]))
    assert {line["stream"] for line in end["lines"]} == {opening["stream"]}
    feed.close()


def test_the_feed_is_bounded_in_viewers_and_a_viewer_that_never_reads_is_dropped(stage):
    port = reserve_port()
    proxy = stage.heartwire(stage.origin(silent), workers=1, top=f"console 127.0.0.1:{port}")
    feeds = [Feed(port) for _ in range(16)]
    assert exchange(port, b"GET /feed HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 503
    assert exchange(port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
    feeds.pop().close()
    deadline = time.monotonic() + 5
    while Feed(port).response.status != 200:
        assert time.monotonic() < deadline
    for feed in feeds:
        feed.close()


def test_a_viewer_that_reads_nothing_delays_nobody_and_is_dropped(stage):
    def handler(connection, request):
        (numbered if request.target == b"/bystander" else silent)(connection, request)

    port = reserve_port()
    proxy = stage.heartwire(stage.origin(handler), workers=1, top=f"console 127.0.0.1:{port}")
    # More than the kernel takes for a client that reads nothing.
    clients = [Client(proxy.port) for _ in range(1500)]
    for client in clients:
        client.get("/many/" + "x" * 900)
    with Client(proxy.port) as watched, Client(port, receive_buffer=4096) as deaf:
        _, body = watched.open_stream("/bystander")
        collecting = threading.Thread(target=body.collect, args=(6,))
        collecting.start()
        deaf.send(b"GET /feed HTTP/1.1\r\nHost: localhost\r\n\r\n")
        other = Feed(port)
        rows = lambda: {row[0]["stream"] for kind, data in other.events() if kind == "rows" for row in data["rows"]}
        deadline = time.monotonic() + 30
        while len(rows()) < 1501:
            assert time.monotonic() < deadline, f"the other viewer has {len(rows())} rows"
            other.body.pump(0.2)
        collecting.join()
        gaps = [later - earlier for (earlier, _), (later, _) in zip(body.pieces, body.pieces[1:])]
        assert len(gaps) > 30 and max(gaps) < 1, f"an event came {max(gaps):.3f} s after the one before"
        # The deaf one is reset when it has taken nothing for ten seconds.
        deadline = time.monotonic() + 20
        while connections(proxy, port) > 1:
            assert time.monotonic() < deadline, "the deaf viewer is still there"
            other.body.pump(0.2)
    other.close()
    for client in clients:
        client.close()


def connections(proxy, port) -> int:
    """How many connections the console has."""
    lines = pathlib.Path(f"/proc/{proxy.process.pid}/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)


def test_a_feed_ends_when_a_reload_changes_the_token_that_opened_it_and_lives_on_otherwise(stage):
    """A token that leaked is changed: who has a feed by it learns nothing more."""
    def digest(token):
        return hashlib.sha256(token.encode()).hexdigest()

    def bearer(token):
        return f"Authorization: Bearer {token}\r\n"

    port, leaked, fresh = reserve_port(), "the leaked one", "the fresh one"
    proxy = stage.heartwire(stage.origin(numbered), top=f"console 127.0.0.1:{port} {{\ntoken_sha256 {digest(leaked)}\n}}", heartbeat="1s")
    file = File(proxy)

    def feeds(token):
        return [Feed(port, path, bearer(token)) for path in ("/feed", f"/streams/{stream}/feed")]

    with Client(proxy.port) as client:
        client.open_stream("/watched")
        stream = proxy.stream_log.opening("/watched")["stream"]
        opened = feeds(leaked)
        assert [feed.response.status for feed in opened] == [200, 200]
        # A reload that leaves the console's block as it is: what begins after it is told.
        file.edit(("heartbeat 1s", "heartbeat 2s"))
        file.reload()
        with Client(proxy.port) as later:
            later.open_stream("/later")
            opened[0].wait_for(lambda kind, data: kind == "rows" and any(row[0]["path"] == "/later" for row in data["rows"]))
        before = len(opened[1].events())
        opened[1].wait_for(lambda kind, data: len(opened[1].events()) > before + 1)
        assert not any(feed.body.ended for feed in opened)
        file.edit((digest(leaked), digest(fresh)))
        assert "console changed" in file.reload()
        for feed in opened:
            feed.body.read_to_end(5)
            assert feed.body.complete, "it ends like a stream that may come back, and is asked for the token then"
            feed.close()
        refused, served = feeds(leaked), feeds(fresh)
        assert [feed.response.status for feed in refused + served] == [401, 401, 200, 200]
        served[0].wait_for(lambda kind, data: kind == "rows" and any(row[0]["path"] == "/watched" for row in data["rows"]))
        for feed in refused + served:
            feed.close()


def test_ending_a_stream_is_an_honest_cause_and_its_client_may_come_back(console):
    proxy, port = console
    with Client(proxy.port) as client:
        _, body = client.open_stream("/to-end")
        stream = proxy.stream_log.opening("/to-end")["stream"]
        answer = act(port, f"/streams/{stream}/end")
        assert answer.status == 200
        data = body.read_to_end()
        assert body.complete and b"retry: " in data, "the stream ends in good order, and says when to come back"
    record = proxy.stream_log.ending("/to-end")
    check_ending(record, "ended_by_operator")
    assert act(port, f"/streams/{stream}/end").status == 404
    assert act(port, "/streams/w0-999999/end").status == 404 and act(port, "/streams/w77-000001/end").status == 404


def test_nobody_but_the_page_acts(console):
    proxy, port = console
    with Client(proxy.port) as client:
        _, body = client.open_stream("/kept")
        stream = proxy.stream_log.opening("/kept")["stream"]
        path, token = f"/streams/{stream}/end", page_token(port)
        assert len(token) == 32
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            raw = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Heartwire-Page: {token}\r\nOrigin: http://localhost\r\n\r\n"
            assert exchange(port, raw.encode(), method=method).status == 405
        assert act(port, path, token="0" * 32).status == 403
        assert act(port, path, origin=False).status == 403
        assert act(port, path, origin=False, fields=["Origin: http://evil.example"]).status == 403
        assert act(port, path, origin=False, fields=["Sec-Fetch-Site: cross-site"]).status == 403
        assert act(port, path, fields=["Sec-Fetch-Site: same-site"]).status == 403
        form = (f"POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: http://localhost:{port}\r\nX-Heartwire-Page: {token}\r\n"
                "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}")
        assert exchange(port, form.encode()).status == 415
        assert act(port, path, body=b"{" + b" " * 1100 + b"}").status == 413
        count = len(body.data)
        body.collect(0.5)
        assert len(body.data) > count, "the stream goes on"
        assert act(port, path, origin=False, fields=["Sec-Fetch-Site: same-origin"]).status == 200


def test_the_event_log_of_a_route_is_switched_while_streams_run(console):
    proxy, port = console
    path = "/routes/%2F%2A/event-log"
    with Client(proxy.port) as client:
        client.open_stream("/switched")
        stream = proxy.stream_log.opening("/switched")["stream"]
        of_stream = lambda: sum(record["stream"] == stream for record in proxy.event_log.records())
        deadline = time.monotonic() + 5
        while of_stream() < 5:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert act(port, path, b'{"on": false}').status == 200
        time.sleep(1)  # The log's own thread writes what came before.
        count = of_stream()
        time.sleep(0.6)
        assert of_stream() == count
        assert act(port, path, b'{"on": true}').status == 200
        wait_until(lambda: of_stream() > count + 3)
        assert act(port, path, b'{"on": 1}').status == 400 and act(port, path, b"").status == 400
        assert act(port, "/routes/%2Fnone/event-log", b'{"on": true}').status == 404
        assert act(port, path, b'{"on": false}').status == 200
        proxy.send_signal(1)
        proxy.wait_for_words("SIGHUP: done")
        count = of_stream()
        # After a reload the configuration holds again.
        wait_until(lambda: of_stream() > count)


def picture(browser, name):
    """Keeps a picture where somebody asked for it."""
    if folder := os.environ.get("HEARTWIRE_SCREENSHOTS"):
        browser.screenshot(pathlib.Path(folder) / f"{name}.png")


def show(browser, width=1440, height=900, scheme="light", mobile=False):
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


def press(browser, key, code=None):
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, **({"text": key} if len(key) == 1 and kind == "keyDown" else {}))


def test_the_page_shows_searches_follows_and_ends_a_stream_by_keyboard(console, browser):
    proxy, port = console
    show(browser)
    with Client(proxy.port) as one, Client(proxy.port) as other:
        one.open_stream("/prices/eur", fields="User-Agent: node\r\n")
        other.open_stream("/prices/%3Cb%3Eusd", fields="User-Agent: curl/8\r\n")
        browser.open(f"http://localhost:{port}/")
        browser.wait_for("document.querySelectorAll('.row:not([hidden])').length === 2", 15)
        text = browser.evaluate("document.getElementById('rows').innerText")
        assert "/prices/eur" in text and "127.0.0.1" in text and "node" in text
        press(browser, "/")
        assert browser.evaluate("document.activeElement.id") == "search"
        browser.call("Input.insertText", text="eur node")
        browser.wait_for("document.querySelectorAll('.row:not([hidden])').length === 1", 5)
        press(browser, "ArrowDown")
        press(browser, "Enter")
        browser.wait_for("document.getElementById('detail').open", 5)
        browser.wait_for("document.querySelectorAll('#detail-events tr').length > 5", 10)
        picture(browser, "one-stream")
        browser.evaluate("document.querySelector('#detail-actions button').click()")
        browser.evaluate("document.querySelector('#detail-actions button').click()")
        browser.wait_for("document.getElementById('detail-badge').textContent === 'ended by operator'", 10)
        check_ending(proxy.stream_log.ending("/prices/eur"), "ended_by_operator")
        browser.evaluate("document.getElementById('detail-close').focus()")
        press(browser, "Escape")
        browser.wait_for("!document.getElementById('detail').open", 5)
        browser.wait_for("document.getElementById('tail-list').innerText.includes('ended by operator')", 5)
        press(browser, "/")
        press(browser, "Escape")
        browser.wait_for("document.getElementById('search').value === ''", 5)
        browser.wait_for("document.getElementById('cause-list').innerText.includes('ended by operator')", 10)
    assert browser.page_errors() == []
    assert browser.evaluate("performance.getEntriesByType('resource').every(entry => new URL(entry.name).origin === location.origin)")


def test_a_routes_streams_are_counted_at_once_and_its_button_keeps_the_focus(console, browser):
    proxy, port = console
    clients = [Client(proxy.port) for _ in range(3)]
    for client in clients:
        client.open_stream("/counted")
    show(browser)
    browser.open(f"http://localhost:{port}/")
    browser.wait_for("document.querySelectorAll('.row:not([hidden])').length === 3", 15)
    browser.wait_for("document.querySelector('.route-line .number').textContent === '3'", 1.5)
    # Their events are a tenth of a second apart.
    browser.wait_for("[...document.querySelectorAll('.row:not([hidden])')].every(row => row.children[5].textContent.endsWith(' ms'))", 5)
    browser.evaluate("(() => { window.button = document.querySelector('.route-line button'); window.button.focus(); })()")
    clients.pop().close()
    browser.wait_for("document.querySelector('.route-line .number').textContent === '2'", 5)
    time.sleep(3.5)
    assert browser.evaluate("document.activeElement === window.button"), "the keyboard's focus was lost"
    pressed = browser.evaluate("window.button.getAttribute('aria-pressed')")
    browser.evaluate("window.button.click()")
    browser.wait_for(f"window.button.getAttribute('aria-pressed') !== '{pressed}'", 5)
    assert browser.evaluate("document.activeElement === window.button")
    for client in clients:
        client.close()


def test_a_strangers_words_are_text(stage, browser):
    """Paths, ids and event types are chosen by others: none of them becomes an element, and no script of theirs runs."""
    wicked = b"<img src=x onerror=alert(1)>"

    def handler(connection, request):
        connection.start_stream()
        while True:
            connection.chunk(b"event: " + wicked + b"\nid: " + wicked + b"\ndata: x\n\n")
            time.sleep(0.2)

    port = reserve_port()
    proxy = stage.heartwire(stage.origin(handler), top=f"console 127.0.0.1:{port}")
    with Client(proxy.port) as client:
        client.send(b"GET /" + wicked.replace(b" ", b"_") + b" HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
        client.read_head()
        browser.open(f"http://localhost:{port}/")
        browser.wait_for("document.querySelectorAll('.row:not([hidden])').length === 1", 15)
        browser.evaluate("document.querySelector('.row').click()")
        browser.wait_for("document.getElementById('detail-events').innerText.includes('onerror')", 10)
        assert browser.evaluate("document.querySelectorAll('img').length") == 0
        assert "<img" in browser.evaluate("document.getElementById('detail-title').textContent")
    assert browser.page_errors() == []


def test_a_page_on_a_name_that_points_here_reads_nothing(console, tmp_path):
    """DNS rebinding as it happens: the browser resolves the attacker's name to this machine."""
    _, port = console
    with Browser(tmp_path, "--host-resolver-rules=MAP evil.example 127.0.0.1") as browser:
        browser.open(f"http://evil.example:{port}/")
        browser.wait_for("document.documentElement.innerText.includes('not asked by this name')", 15)
        assert "page-token" not in browser.evaluate("document.documentElement.outerHTML")
        outcome = "fetch('{}').then(answer => answer.status, () => 'refused')"
        assert browser.evaluate(outcome.format("/metrics")) in (421, "refused")
        assert browser.evaluate(outcome.format(f"http://localhost:{port}/metrics")) == "refused"


def test_ten_thousand_streams_are_shown_sorted_and_searched(stage, browser):
    count = int(os.environ.get("HEARTWIRE_CONSOLE_STREAMS", "2000"))
    port = reserve_port()
    proxy = stage.heartwire(stage.origin(silent), workers=2, top=f"console 127.0.0.1:{port}", heartbeat="5s")
    clients = [Client(proxy.port) for _ in range(count)]
    try:
        for number, client in enumerate(clients):
            client.send(f"GET /rooms/{number:05} HTTP/1.1\r\nHost: rooms.example\r\nAccept: text/event-stream\r\n\r\n".encode())
        show(browser, scheme="dark")
        browser.open(f"http://localhost:{port}/")
        browser.wait_for(f"document.getElementById('shown')?.textContent.startsWith('{count} streams')", 60)
        assert browser.evaluate("document.querySelectorAll('.row').length") < 100, "only the rows in sight are elements"
        picture(browser, "many-dark")
        took = browser.evaluate("""(() => { const from = performance.now(); document.querySelectorAll('#heads button')[1].click();
            return performance.now() - from; })()""")
        assert took < 1000
        browser.evaluate("document.getElementById('rows').scrollTop = 1e9")
        browser.wait_for(f"document.getElementById('rows').innerText.includes('/rooms/{count - 1:05}')", 5)
        browser.evaluate("(() => { const box = document.getElementById('search'); box.value = 'rooms/00017'; box.dispatchEvent(new Event('input')); })()")
        browser.wait_for("document.getElementById('shown').textContent.startsWith('1 of ')", 5)
        show(browser, 390, 844, mobile=True)
        browser.wait_for("document.querySelector('#heads').scrollWidth <= innerWidth", 5)
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390, "nothing sticks out at a phone's width"
        picture(browser, "phone")
    finally:
        for client in clients:
            client.close()
    assert browser.page_errors() == []
