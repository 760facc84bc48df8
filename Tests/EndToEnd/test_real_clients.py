"""Real programs as clients: curl, httpx, requests and Node's fetch each read a stream with heartbeats."""

import json
import shutil
import subprocess
import time

import httpx
import pytest
import requests

from support import eventsource


def three_events(connection, request):
    connection.start_stream()
    for number in range(3):
        if number:
            time.sleep(0.45)
        connection.chunk(b"id: %d\ndata: event %d\n\n" % (number, number))
    connection.last_chunk()


@pytest.fixture
def proxy(stage):
    return stage.heartwire(stage.origin(three_events), heartbeat="200ms", opening="on")


def check(stream: bytes):
    reading = eventsource.read(stream)
    assert [event.data for event in reading.events] == ["event 0", "event 1", "event 2"]
    assert len(reading.comments) >= 3, "the opening comment and heartbeats are missing"


@pytest.mark.parametrize("options", [[], ["--http1.0"], ["--compressed"]])
def test_curl(proxy, options):
    result = subprocess.run(
        ["curl", "-sS", "-N", "--noproxy", "*", *options, "-H", "Accept: text/event-stream", f"http://127.0.0.1:{proxy.port}/"],
        capture_output=True, timeout=20)
    assert result.returncode == 0, result.stderr
    check(result.stdout)


def test_curl_uploads_with_100_continue(stage):
    origin = stage.origin(lambda connection, request: connection.respond(200, b"%d" % len(request.body)))
    proxy = stage.heartwire(origin)
    result = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "-H", "Expect: 100-continue", "-T", "-", f"http://127.0.0.1:{proxy.port}/"],
        input=b"x" * 3_000_000, capture_output=True, timeout=20)
    assert (result.returncode, result.stdout) == (0, b"3000000"), result.stderr


def test_httpx(proxy):
    with httpx.Client(trust_env=False, timeout=10) as client:
        with client.stream("GET", f"http://127.0.0.1:{proxy.port}/", headers={"Accept": "text/event-stream"}) as response:
            check(b"".join(response.iter_raw()))


def test_requests(proxy):
    session = requests.Session()
    session.trust_env = False
    with session.get(f"http://127.0.0.1:{proxy.port}/", stream=True, timeout=10, headers={"Accept": "text/event-stream"}) as response:
        check(b"".join(response.iter_content(None)))


NODE = """
const response = await fetch(process.argv[1], { headers: { accept: "text/event-stream" } });
let text = "";
for await (const piece of response.body.pipeThrough(new TextDecoderStream())) text += piece;
console.log(JSON.stringify({ status: response.status, text }));
"""


def test_nodes_fetch(proxy):
    node = shutil.which("node")
    if not node:
        pytest.skip("node is not installed here")
    result = subprocess.run([node, "--input-type=module", "-e", NODE, "--", f"http://127.0.0.1:{proxy.port}/"],
                            capture_output=True, timeout=20)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["status"] == 200
    check(answer["text"].encode())
