"""Client libraries that read event streams without an EventSource, each the real one: heartbeats do not change what it reads.

None of them follows the standard completely. The libraries run in two separate virtual environments (`Tests/run` makes them),
because some exclude each other.
"""

import json
import subprocess
import time

import pytest

from support.paths import REPOSITORY

SILENCE = 0.35

LIBRARIES = {
    "openai": "sdks", "anthropic": "sdks", "httpx_sse": "sdks", "sseclient": "sdks", "aiohttp_sse_client": "sdks", "mcp_sse": "sdks",
    "mcp_http": "sdks", "old mcp_sse": "sdks-old", "old mcp_http": "sdks-old", "sseclient_py": "sdks-old",
}


def message(method, **parts):
    return json.dumps({"jsonrpc": "2.0", "method": method, **parts})


def events_of(dialect):
    """The events that a library takes for its own, as (type, data)."""
    if dialect == "chat":
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"}
        for word in ("one", "two", "three"):
            yield None, json.dumps({**chunk, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
        yield None, "[DONE]"
    elif dialect == "messages":
        for word in ("one", "two", "three"):
            yield "content_block_delta", json.dumps({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}})
        yield "message_stop", '{"type":"message_stop"}'
    elif dialect == "session":
        yield "endpoint", "/messages"
        for word in ("one", "two", "end"):
            yield "message", message("notifications/message", params={"level": "info", "data": word})
    elif dialect == "call":
        for word in ("one", "two"):
            yield "message", message("notifications/message", params={"level": "info", "data": word})
        yield "message", '{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}'
    else:
        for word in ("one", "two", "three", "end"):
            yield None, word


def dialect_of(request):
    path = request.target.decode()
    if path.endswith("/chat/completions"):
        return "chat"
    if path.endswith("/v1/messages"):
        return "messages"
    if path.endswith("/session"):
        return "session"
    return "call" if path.endswith("/call") else "text"


def answer(connection, request):
    """A stream with silences. Targets with `ids` in them are answered with ids, those with `cut` stay open behind the first event."""
    dialect = dialect_of(request)
    if dialect == "call" and request.method != b"POST":
        return connection.respond(405)
    connection.start_stream()
    for number, (kind, data) in enumerate(events_of(dialect)):
        if number:
            time.sleep(SILENCE)
        lines = [f"id: {number + 1}"] if b"ids" in request.target else []
        lines += ([f"event: {kind}"] if kind else []) + [f"data: {data}"]
        connection.chunk(("\n".join(lines) + "\n\n").encode())
        if b"cut" in request.target:
            return connection.wait_until_left(60)
    connection.last_chunk()


PATHS = {"anthropic": "", "mcp_sse": "/session", "mcp_http": "/call"}


def command(library, urls):
    python = REPOSITORY / ".build" / f"venv-{LIBRARIES[library]}" / "bin" / "python"
    assert python.exists(), f"{python} is missing: Tests/run makes it"
    name = library.removeprefix("old ")
    path = PATHS.get(name, "")
    return [python, REPOSITORY / "Tests/EndToEnd/support/sdk_clients.py", name, *(url + path for url in urls)]


def read(library, *urls):
    """What the library reads from each of these addresses."""
    process = subprocess.run(command(library, urls), capture_output=True, timeout=90)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def origin(shared_stage):
    return shared_stage.origin(answer)


@pytest.fixture(scope="module")
def proxy(shared_stage, origin):
    return shared_stage.heartwire(
        origin, heartbeat="100ms", opening="on", extra="".join(
            f"route /{form}/* {{\n    upstream origin\n    heartbeat 100ms\n    heartbeat_form {form}\n}}\n" for form in ("line", "block")))


def is_whole(found) -> bool:
    return not any(isinstance(one, list) and one[0] in ("raised", "logged", "error") for one in found)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("library", LIBRARIES)
def test_it_reads_the_same_with_heartbeats_as_without(origin, proxy, library):
    direct, ours = f"http://{origin.address}", f"http://127.0.0.1:{proxy.port}"
    plain, with_ids, *through = read(
        library, f"{direct}/plain", f"{direct}/ids", f"{ours}/plain", f"{ours}/ids", f"{ours}/line/plain", f"{ours}/line/ids")
    assert is_whole(plain) and is_whole(with_ids) and len(plain) >= 3, "the library reads this server as it is"
    if library == "sseclient":
        # This library takes every blank line for an event. By default the proxy writes such lines until it has seen an id; `line` is for this library.
        empty = ["message", "", None]
        assert [event for event in through[0] if event != empty] == plain
        assert through[1] in (with_ids, [empty] + with_ids), "at most the opening comment stands before the first id"
    else:
        assert through[0] == plain and through[1] == with_ids
    assert through[2] == plain and through[3] == with_ids, "comments without a blank line"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("library", ["openai", "httpx_sse", "sseclient", "old mcp_sse", "old mcp_http"])
def test_blank_lines_behind_an_id_are_what_it_cannot_read(origin, proxy, library):
    """Why the form of comments exists. If a library repairs this, the manual must be changed."""
    direct, block = read(library, f"http://{origin.address}/ids", f"http://127.0.0.1:{proxy.port}/block/ids")
    assert is_whole(direct) and block != direct


@pytest.mark.timeout(120)
@pytest.mark.parametrize("library", ["openai", "anthropic", "httpx_sse", "old mcp_sse"])
def test_the_retry_that_ends_a_stream_is_no_event(stage, library):
    origin = stage.origin(answer)
    proxy = stage.heartwire(origin, heartbeat="100ms", opening="on")
    address = f"http://127.0.0.1:{proxy.port}"
    process = subprocess.Popen(command(library, [f"{address}/cut", f"{address}/cut/ids"]), stdout=subprocess.PIPE)
    origin.wait_for_requests(2, timeout=60)
    time.sleep(0.4)
    proxy.stop()
    output, _ = process.communicate(timeout=30)
    for found in json.loads(output.splitlines()[-1]):
        # The first event of the old transport of MCP is not a message.
        assert is_whole(found) and len(found) == (0 if library == "old mcp_sse" else 1), found
