"""The streams of all servers of an upstream become one: what each of them says, in its order, with ids of the proxy's."""

import contextlib
import os
import socket
import struct
import subprocess
import threading
import time

import pytest

from support.client import Client, get
from support.origin import Left
from support.reloading import File
from support.scripted import Script, events, gaps, last_id, resume, wait_for

MERGED = "history {\n}\nmerge all"


class Pods:
    """Servers of which each has streams of its own."""

    def __init__(self, stage, count, route=MERGED, **options):
        self.scripts = [Script(stage) for _ in range(count)]
        self.proxy = stage.heartwire(*[script.origin for script in self.scripts], route=route, workers=1, **options)

    def say(self, pod, text, stream=0):
        self.scripts[pod].stream(stream).chunk(text)


def texts(body) -> list:
    return [text for text in events(bytes(body.data)) if text[0] != "{"]


def until(body, condition, timeout=15):
    """Reads on until that is so."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, bytes(body.data)
        body.collect(0.05)


def said(body, *expected):
    until(body, lambda: len(texts(body)) >= len(expected))
    assert texts(body) == list(expected)


def test_a_client_reads_what_all_servers_say_and_comes_back_to_it(stage):
    pods = Pods(stage, 3)
    with Client(pods.proxy.port) as client:
        body = resume(client, "/s?a=1", fields="Cookie: who=me\r\n")
        for pod in range(3):
            pods.say(pod, f"id: 1\ndata: {pod}-1\n\nid: 2\ndata: ".encode())
        until(body, lambda: len(texts(body)) == 3)
        # A block goes on whole, however those of the others come between.
        for pod in range(3):
            pods.say(pod, f"{pod}-2\n\n".encode())
        until(body, lambda: len(texts(body)) == 6)
        for pod in range(3):
            assert [text for text in texts(body) if text[0] == str(pod)] == [f"{pod}-1", f"{pod}-2"]
        place = last_id(bytes(body.data))
        assert place.startswith("hw1.")
        requests = [script.requests[0] for script in pods.scripts]
        assert {request.target for request in requests} == {b"/s?a=1"} and {request.value("cookie") for request in requests} == {b"who=me"}
    pods.proxy.stream_log.ending("/s")
    pods.say(2, b"data: missed\n\n")
    with Client(pods.proxy.port) as client:
        body = resume(client, "/s?a=1", place, "Cookie: who=me\r\n")
        said(body, "missed")
        pods.say(0, b"data: live\n\n")
        said(body, "missed", "live")
        assert not gaps(bytes(body.data))
    assert [len(script.streams) for script in pods.scripts] == [1, 1, 1]


@pytest.mark.parametrize("is_resumable", [False, True])
def test_a_server_that_drops_is_asked_again_by_itself_while_the_others_are_read(stage, is_resumable):
    pods = Pods(stage, 2, MERGED + ("\nresumable on" if is_resumable else ""))
    with Client(pods.proxy.port) as client:
        body = resume(client, "/s")
        pods.say(0, b"id: a7\ndata: a\n\n")
        said(body, "a")
        pods.say(1, b"id: b9\ndata: b\n\n")
        said(body, "a", "b")
        pods.scripts[0].stream(0).reset()
        pods.say(1, b"id: b10\ndata: b2\n\n")
        said(body, "a", "b", "b2")
        # What the server says again is left out where its ids tell it.
        pods.say(0, b"id: a7\ndata: a\n\nid: a8\ndata: a2\n\n", stream=1)
        said(body, "a", "b", "b2", "a2")
        assert pods.scripts[0].requests[1].value("last-event-id") == b"a7"
        assert [gap["reason"] for gap in gaps(bytes(body.data))] == ([] if is_resumable else ["upstream"])
        assert len(pods.scripts[1].streams) == 1 and not body.ended


def test_a_stream_ends_when_all_servers_have_ended_theirs(stage):
    pods = Pods(stage, 2)
    with Client(pods.proxy.port) as client:
        body = resume(client, "/s")
        pods.say(0, b"data: a\n\n")
        pods.say(1, b"data: b\n\n")
        until(body, lambda: len(texts(body)) == 2)
        for script in pods.scripts:
            script.origin.stop_listening()
        pods.scripts[0].stream(0).last_chunk()
        pods.say(1, b"data: c\n\n")
        until(body, lambda: len(texts(body)) == 3)
        pods.scripts[1].stream(0).last_chunk()
        until(body, lambda: body.ended)


def test_with_mask_the_client_waits_for_the_first_server_that_comes_back(stage):
    pods = Pods(stage, 2, MERGED + "\nmask 20s")
    with Client(pods.proxy.port) as client:
        body = resume(client, "/s")
        pods.say(0, b"data: a\n\n")
        pods.say(1, b"data: b\n\n")
        until(body, lambda: len(texts(body)) == 2)
        for script in pods.scripts:
            script.origin.stop_listening()
            script.stream(0).reset()
        time.sleep(1)
        pods.scripts[1].origin.listen_again()
        pods.say(1, b"data: c\n\n", stream=1)
        until(body, lambda: "c" in texts(body))
        pods.scripts[0].origin.listen_again()
        pods.say(0, b"data: d\n\n", stream=1)
        until(body, lambda: "d" in texts(body))
        assert sorted(texts(body)) == ["a", "b", "c", "d"] and not body.ended


@pytest.mark.parametrize("mark, alike", [("id", b"id: 1\ndata: of %d\n\n"), ("data", b"event: x\ndata: same\nid: of %d\n\n")])
def test_what_another_server_has_said_is_dropped_for_a_while(stage, mark, alike):
    pods = Pods(stage, 2, f"{MERGED} unique {mark} 2s")
    with Client(pods.proxy.port) as client:
        body = resume(client, "/s")
        pods.say(0, alike % 0)
        until(body, lambda: len(texts(body)) == 1)
        pods.say(1, alike % 1 + b"data: other\n\n")
        until(body, lambda: "other" in texts(body))
        assert len(texts(body)) == 2
        # One that says the same twice means it.
        pods.say(0, alike % 0)
        until(body, lambda: len(texts(body)) == 3)
        time.sleep(2.2)
        pods.say(1, alike % 1)
        until(body, lambda: len(texts(body)) == 4)


def refusing(stage, status):
    """A server that has no stream at first."""
    script = Script(stage)
    script.status = status
    serve = script.origin.handler

    def answer(connection, request):
        if script.status == 200:
            return serve(connection, request)
        script.requests.append(request)
        connection.respond(script.status, b"no stream here")

    script.origin.handler = answer
    return script


def test_the_head_is_that_of_a_server_that_has_the_stream_and_the_others_are_asked_again(stage):
    scripts = [refusing(stage, 404), Script(stage), refusing(stage, 503)]
    proxy = stage.heartwire(*[script.origin for script in scripts], route=MERGED, workers=1)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        scripts[1].stream(0).chunk(b"data: b\n\n")
        said(body, "b")
        wait_for(lambda: scripts[0].requests and scripts[2].requests)
        scripts[0].status = scripts[2].status = 200
        for script in (scripts[0], scripts[2]):
            script.stream(0, timeout=20).chunk(b"data: late\n\n")
        said(body, "b", "late", "late")


def test_where_no_server_has_the_stream_the_client_gets_the_last_answer(stage):
    scripts = [refusing(stage, 404), refusing(stage, 404)]
    proxy = stage.heartwire(*[script.origin for script in scripts], route=MERGED, workers=1)
    response = get(proxy.port, "/s", "Accept: text/event-stream\r\n")
    assert response.status == 404 and response.body == b"no stream here"
    assert [len(script.requests) for script in scripts] == [1, 1]


class Name:
    """A server's name with the addresses that the test gives it. It listens on this process's own address, port 53."""

    def __init__(self, addresses):
        self.addresses = addresses
        self.address = f"127.54.{os.getpid() // 200 % 200}.{os.getpid() % 200 + 1}"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            query, client = self.socket.recvfrom(2048)
            if not query:
                return
            end = query.index(b"\0", 12)
            kind, = struct.unpack("!H", query[end + 1:end + 3])
            found = self.addresses if kind == 1 else []
            answer = query[:2] + b"\x81\x80" + struct.pack("!HHHH", 1, len(found), 0, 0) + query[12:end + 5]
            for address in found:
                answer += b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + socket.inet_aton(address)
            self.socket.sendto(answer, client)

    def close(self):
        self.socket.sendto(b"", (self.address, 53))
        self.thread.join()
        self.socket.close()


def test_an_address_that_a_name_gets_is_read_and_one_that_it_loses_until_its_stream_ends(stage, tmp_path):
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
        pytest.skip("no file can be put in the place of /etc/resolv.conf here")
    first = Script(stage)
    second = Script(stage, host="127.0.0.2", port=first.origin.port)
    name = Name(["127.0.0.1"])
    try:
        (tmp_path / "resolv.conf").write_text(f"nameserver {name.address}\n")
        proxy = stage.heartwire(
            f"pods.example:{first.origin.port}", route=MERGED, top="resolve_interval 1s",
            prefix=["unshare", "--mount", "bash", "-c", f'mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec "$@"', "bash"])
        with Client(proxy.port) as client:
            body = resume(client, "/s")
            first.stream(0).chunk(b"data: a\n\n")
            said(body, "a")
            name.addresses = ["127.0.0.1", "127.0.0.2"]
            second.stream(0).chunk(b"data: b\n\n")
            said(body, "a", "b")
            name.addresses = ["127.0.0.2"]
            time.sleep(3)
            first.stream(0).chunk(b"data: c\n\n")
            said(body, "a", "b", "c")
            first.stream(0).last_chunk()
            time.sleep(3)
            second.stream(0).chunk(b"data: d\n\n")
            said(body, "a", "b", "c", "d")
            assert len(first.streams) == len(second.streams) == 1
    finally:
        name.close()


@pytest.mark.parametrize("pods", [1, 2])
def test_recycle_break_of_the_only_pod_that_is_read_does_not_end_the_response(stage, pods):
    scripts = [Script(stage) for _ in range(pods)]
    proxy = stage.heartwire(*[script.origin for script in scripts], route="history {\n}\nmerge all\nmask 2s\nrecycle 4s break", workers=1)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        scripts[0].stream(0).chunk(b"data: a\n\n")
        body.wait_for(b"data: a")
        if pods == 2:
            scripts[1].stream(0)
            scripts[1].origin.stop_listening()
            scripts[1].stream(0).reset()
        body.collect(6)
        assert not body.ended, bytes(body.data)
        scripts[0].stream(1).chunk(b"data: b\n\n")
        body.wait_for(b"data: b")


@pytest.mark.parametrize("manner", ["overlap", "break"])
@pytest.mark.parametrize("merge", ["merge all", "merge off"])
def test_an_event_that_is_said_again_comes_once_when_a_response_is_replaced(stage, merge, manner):
    scripts = [Script(stage) for _ in range(2 if "all" in merge else 1)]
    terms = f"history {{\n}}\n{merge}\nresumable on\nmask 10s\nrecycle 3s {manner}"
    proxy = stage.heartwire(*[script.origin for script in scripts], route=terms, workers=1)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        for number in range(1, 4):
            scripts[0].stream(0).chunk(b"id: %d\ndata: e%d\n\n" % (number, number))
        body.wait_for(b"data: e3")
        new = scripts[0].stream(1)
        assert scripts[0].requests[1].value("last-event-id") == b"3"
        new.chunk(b"id: 3\ndata: e3\n\n")
        body.collect(0.5)
        if manner == "overlap":
            with contextlib.suppress(Left, OSError):
                scripts[0].stream(0).chunk(b"id: 4\ndata: e4\n\n")
        new.chunk(b"id: 4\ndata: e4\n\n")
        body.wait_for(b"data: e4")
        body.collect(3)
        assert texts(body) == ["e1", "e2", "e3", "e4"], bytes(body.data)


@pytest.mark.parametrize("resumable", ["off", "on"])
def test_a_pod_in_the_place_of_the_only_one_goes_on_behind_a_gap(stage, resumable):
    scripts = [Script(stage), Script(stage)]
    proxy = stage.heartwire(scripts[0].origin, route=f"history {{\n}}\nmerge all\nmask 20s\nresumable {resumable}", workers=1)
    file = File(proxy)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        scripts[0].stream(0).chunk(b"id: 1\ndata: a1\n\n")
        body.wait_for(b"data: a1")
        scripts[0].origin.stop_listening()
        scripts[0].stream(0).reset()
        time.sleep(1)
        file.edit((f"server {scripts[0].origin.address}", f"server {scripts[1].origin.address}"))
        file.reload()
        scripts[1].stream(0).chunk(b"id: 3\ndata: a3\n\n")
        body.wait_for(b"data: a3")
        assert gaps(bytes(body.data)) or scripts[1].requests[0].value("last-event-id"), bytes(body.data)


def test_a_pod_that_breaks_and_never_comes_back_is_a_gap(stage):
    pods = Pods(stage, 2)
    file = File(pods.proxy)
    with Client(pods.proxy.port) as client:
        body = resume(client, "/s")
        pods.say(0, b"data: a1\n\n")
        pods.say(1, b"data: b1\n\n")
        body.wait_for(lambda data: data.count(b"data: ") == 2)
        file.edit((f"server {pods.scripts[1].origin.address}", "# gone"))
        file.reload()
        pods.scripts[1].stream(0).reset()
        body.wait_for(b"event: stream_gap")
        assert [gap["reason"] for gap in gaps(body.data)] == ["upstream"] and not body.ended


def test_a_pod_that_answered_something_else_once_is_read_when_it_is_back(stage):
    answers = []

    def serve(connection, request):
        answers.append(request)
        if len(answers) == 2:
            return connection.respond(404, b"not ready")
        with contextlib.suppress(Left, OSError):
            connection.start_stream()
            connection.chunk(b"id: %d\ndata: a%d\n\n" % (len(answers), len(answers)))
            if len(answers) == 1:
                time.sleep(1)
                return connection.reset()
            connection.wait_until_left(60)

    a = stage.origin(serve)
    b = Script(stage)
    proxy = stage.heartwire(a, b.origin, route="history {\n}\nmerge all\nmask 20s", workers=1)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        b.stream(0).chunk(b"id: 1\ndata: b1\n\n")
        body.wait_for(lambda data: data.count(b"data: ") == 2)
        b.origin.stop_listening()
        b.stream(0).reset()
        body.collect(8)
        assert len(answers) > 2 or body.ended, (len(answers), bytes(body.data))


def test_one_address_under_two_names_is_read_once(stage):
    a, b = Script(stage), Script(stage)
    port = b.origin.address.rsplit(":", 1)[1]
    proxy = stage.heartwire(a.origin, b.origin, f"localhost:{port}", route="history {\n}\nmerge all", workers=1)
    for _ in range(3):
        with Client(proxy.port) as client:
            place, other = len(a.streams), len(b.streams)
            body = resume(client, "/s")
            a.stream(place)
            b.stream(other)
            body.collect(1.5)
            for stream in b.streams[other:]:
                with contextlib.suppress(Left, OSError):
                    stream.chunk(b"data: b1\n\n")
            body.wait_for(b"data: b1")
            body.collect(0.5)
            assert texts(body) == ["b1"], bytes(body.data)
