"""Streams that are recorded, and recordings that are played: the same bytes at the same times, and the same end."""

import json
import pathlib
import re
import signal
import subprocess
import time
import urllib.parse

import pytest

from support import planted
from support.client import Client
from support.ports import reserve_port

LIMIT = 10


def recordings(folder):
    return sorted(pathlib.Path(folder).glob("*.recording"))


def the_recording(folder, end=True):
    """The one recording of a folder, when it has its end."""
    deadline = time.monotonic() + LIMIT
    while True:
        found = recordings(folder)
        if len(found) == 1 and (not end or re.search(rb"(?m)^\d+ end ", found[0].read_bytes())):
            return found[0]
        assert time.monotonic() < deadline, f"no whole recording: {[(f.name, f.read_bytes()[-500:]) for f in found]}"
        time.sleep(0.01)


def recording_proxy(stage, handler, folder, bounds="", route="", **options):
    record = f"record {folder} {{\n{bounds}\n}}"
    return stage.heartwire(stage.origin(handler), route=[record, *route], heartbeat="300ms", opening="on", **options)


def play(stage, recording, *arguments):
    port = reserve_port()
    return stage.command(["replay", recording, "--listen", f"127.0.0.1:{port}", *arguments], port)


def curl(port):
    """What curl reads of a stream, and its exit status: 0 for a whole body, 18 for a cut one, 56 for a reset."""
    done = subprocess.run(["curl", "-sN", "--max-time", str(LIMIT), f"http://127.0.0.1:{port}/any/path"], capture_output=True)
    return done.stdout, done.returncode


# The comment at the opening makes the proxy drop the byte order mark: what it sends on differs, what it records does not.
PIECES = [b"\xef\xbb", b"\xbfretry: 3000\n\n", b"id: 1\r\ndata: \xc5\xbc\\n\r\n", b"\r\n", b"data: \x00\xff\x1b[31m\n\n", b": comment\ndata: in the mid"]


def ending(how):
    def handler(connection, request):
        connection.start_stream(content_type="text/event-stream; charset=utf-8")
        for piece in PIECES:
            connection.chunk(piece)
            time.sleep(0.15)
        if how == "finished":
            connection.last_chunk()
        elif how == "reset":
            connection.reset()
        else:
            connection.close()
    return handler


@pytest.mark.parametrize("how, word, status", [("finished", "finished", 0), ("closed", "cut_off", 18), ("reset", "reset", 56)])
def test_a_recording_plays_the_same_bytes_and_the_same_end(stage, tmp_path, how, word, status):
    folder = tmp_path / "recordings"
    proxy = recording_proxy(stage, ending(how), folder)
    with Client(proxy.port) as client:
        _, body = client.open_stream("/events")
        body.read_to_end(LIMIT)
    recording = the_recording(folder)
    text = recording.read_text()
    assert f" end {word} " in text and "content-type text/event-stream; charset=utf-8\n" in text
    assert all(character >= " " or character == "\n" for character in text), "a terminal would obey"
    player = play(stage, recording)
    began = time.monotonic()
    assert curl(player.port) == (b"".join(PIECES), status)
    assert 0.5 <= time.monotonic() - began < 3, "it is played at its own speed"
    # Through the proxy a client sees what it saw then.
    again = stage.heartwire(f"127.0.0.1:{player.port}", heartbeat="300ms")
    with Client(again.port) as client:
        _, body = client.open_stream("/again")
        body.read_to_end(LIMIT)
    cause = {"finished": "upstream_finished", "cut_off": "upstream_cut_off", "reset": "upstream_reset"}[word]
    assert again.stream_log.ending("/again")["cause"] == cause


def test_it_is_played_faster_and_to_many(stage, tmp_path):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: 1\n\n")
        time.sleep(2)
        connection.chunk(b"data: 2\n\n")
        connection.last_chunk()
    proxy = recording_proxy(stage, handler, tmp_path / "r")
    with Client(proxy.port) as client:
        client.open_stream("/e")[1].read_to_end(LIMIT)
    recording = the_recording(tmp_path / "r")
    assert len(re.findall(rb"(?m)^\d+ heartbeat \d+$", recording.read_bytes())) >= 4
    player = play(stage, recording, "--speed", "10")
    began = time.monotonic()
    several = [subprocess.Popen(["curl", "-sN", f"http://127.0.0.1:{player.port}/"], stdout=subprocess.PIPE) for _ in range(5)]
    assert [one.communicate()[0] for one in several] == [b"data: 1\n\ndata: 2\n\n"] * 5
    assert 0.19 <= time.monotonic() - began < 1.8
    player.wait_for_words("10 times as fast")


def test_a_stream_that_its_client_left_stays_open_when_it_is_played(stage, tmp_path):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: 1\n\n")
        connection.wait_until_left()
    proxy = recording_proxy(stage, handler, tmp_path / "r")
    with Client(proxy.port) as client:
        client.open_stream("/e")[1].wait_for(b"data: 1\n\n")
    recording = the_recording(tmp_path / "r")
    assert b" end client_closed " in recording.read_bytes() or b" end client_reset " in recording.read_bytes()
    player = play(stage, recording)
    done = subprocess.run(["curl", "-sN", "--max-time", "1", f"http://127.0.0.1:{player.port}/"], capture_output=True)
    assert (done.stdout, done.returncode) == (b"data: 1\n\n", 28), "curl waits in vain"
    player.wait_for_words("the server had not ended the stream")


def test_a_token_that_comes_back_is_not_in_it(stage, tmp_path):
    token = planted.plant()

    def handler(connection, request):
        connection.start_stream()
        half = len(token) // 2
        connection.chunk(b"data: " + token.encode()[:half])
        time.sleep(0.1)
        connection.chunk(token.encode()[half:] + b" was yours\n\n")
        connection.last_chunk()
    proxy = recording_proxy(stage, handler, tmp_path / "r", route=["bearer_from query access_token"])
    with Client(proxy.port) as client:
        _, body = client.open_stream(f"/e?access_token={token}&other=secret")
        assert token.encode() in body.read_to_end(LIMIT)
    recording = the_recording(tmp_path / "r")
    planted.search("the recording", recording.read_bytes())
    assert b"secret" not in recording.read_bytes()
    assert curl(play(stage, recording).port)[0] == b"data: " + b"*" * len(token) + b" was yours\n\n"


def test_a_token_that_comes_back_in_json_or_in_a_url_is_not_in_it(stage, tmp_path):
    token = planted.plant() + "/+="
    whole = ["".join(f"\\u{ord(c):04x}" for c in token), "".join(f"%{ord(c):02X}" for c in token)]
    spellings = [token, json.dumps(token).replace("/", "\\/"), json.dumps(json.dumps(token).replace("/", "\\/")), urllib.parse.quote(token, safe=""),
                 json.dumps("?t=" + urllib.parse.quote(token, safe="")).replace("%", "\\u0025"), *whole]

    def handler(connection, request):
        connection.start_stream()
        for text in spellings:
            half = len(text) // 2
            connection.chunk(b"data: before " + text[:half].encode())
            time.sleep(0.03)
            connection.chunk(text[half:].encode() + b" after\n\n")
        connection.last_chunk()
    proxy = recording_proxy(stage, handler, tmp_path / "r", route=["bearer_from query access_token"])
    with Client(proxy.port) as client:
        client.open_stream(f"/e?access_token={urllib.parse.quote(token)}")[1].read_to_end(LIMIT)
    text = the_recording(tmp_path / "r").read_bytes()
    planted.search("the recording", text)
    recorded = curl(play(stage, the_recording(tmp_path / "r")).port)[0].decode()
    lines = [line for line in recorded.split("\n") if line]
    assert len(lines) == len(spellings)
    for line, text in zip(lines, spellings):
        assert len(line) == len(f"data: before {text} after") and line.startswith("data: before ") and line.endswith(" after")
        assert re.fullmatch(r'[\\"]*(\?t=)?\*+[\\"]*', line[len("data: before "):-len(" after")]), line


def test_files_are_private_and_their_number_is_bounded(stage, tmp_path):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: 1\n\n")
        connection.last_chunk()
    folder = tmp_path / "r"
    (folder).mkdir()
    (folder / "mine.txt").write_text("not a recording")
    proxy = recording_proxy(stage, handler, folder, bounds="files 3")
    for number in range(6):
        with Client(proxy.port) as client:
            client.open_stream(f"/{number}")[1].read_to_end(LIMIT)
        proxy.stream_log.ending(f"/{number}")
    proxy.stop()
    found = recordings(folder)
    assert [re.search(r"(?m)^path (.*)$", file.read_text())[1] for file in found] == ["/3", "/4", "/5"]
    assert {oct(file.stat().st_mode & 0o777) for file in found} == {"0o600"} and (folder / "mine.txt").exists()


def test_a_recording_ends_where_it_would_become_too_large_and_its_stream_goes_on(stage, tmp_path):
    def handler(connection, request):
        connection.start_stream()
        for _ in range(100):
            connection.chunk(b"data: " + b"x" * 2_000 + b"\n\n")
        connection.last_chunk()
    proxy = recording_proxy(stage, handler, tmp_path / "r", bounds="file_size 64KiB")
    with Client(proxy.port) as client:
        assert client.open_stream("/e")[1].read_to_end(LIMIT).count(b"data: ") == 100
    recording = the_recording(tmp_path / "r")
    assert recording.stat().st_size <= 65_536 + 100 and b" end recording_full " in recording.read_bytes()


def test_a_reload_switches_recording_on_and_off(stage, tmp_path):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: 1\n\n")
        connection.wait_until_left()
    proxy = stage.heartwire(stage.origin(handler), heartbeat="10s")
    file = proxy.folder / "heartwire.conf"
    plain = file.read_text()
    recorded = plain.replace("    heartbeat 10s\n", f"    heartbeat 10s\n    record {tmp_path / 'r'}\n")
    assert recorded != plain

    def reload(text, count):
        file.write_text(text)
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_for_words("SIGHUP: done", count)
    reload(recorded, 1)
    with Client(proxy.port) as client:
        client.open_stream("/recorded")[1].wait_for(b"data: 1\n\n")
        the_recording(tmp_path / "r", end=False)
        reload(plain, 2)
        assert b" end configuration_changed " in the_recording(tmp_path / "r").read_bytes()


def test_a_directory_that_cannot_be_used_is_told_at_the_start(stage, tmp_path):
    (tmp_path / "file").write_text("")
    port = reserve_port()
    text = f"listen 127.0.0.1:{port}\nroute /* {{\n upstream 127.0.0.1:1\n record {tmp_path / 'file'}\n}}\n"
    (tmp_path / "heartwire.conf").write_text(text)
    proxy = stage.command(["run", "--config", tmp_path / "heartwire.conf"], port, wait=False)
    assert proxy.wait() == 78 and str(tmp_path / "file") in proxy.stderr()


@pytest.mark.parametrize("content, words", [
    (b"GET / HTTP/1.1\n", "it is no recording of Heartwire"), (b"", "its header is not complete"),
    (b"heartwire-recording 9\n", "does not know"), (b"heartwire-recording 1\ncontent-type a\n\nzap\n", "line 4 cannot be read")])
def test_a_file_that_is_no_recording_is_refused_with_the_reason(stage, tmp_path, content, words):
    (tmp_path / "x").write_bytes(content)
    proxy = stage.command(["replay", tmp_path / "x", "--listen", f"127.0.0.1:{reserve_port()}"], 0, wait=False)
    assert proxy.wait() == 66 and words in proxy.stderr() and "/x cannot be played" in proxy.stderr()
