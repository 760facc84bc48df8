"""Reads event streams with a client library and prints what the library made of them, as JSON: one list for each URL, all read at once.

    python sdk_clients.py LIBRARY URL...

It runs in a virtual environment of its own, because these libraries exclude each other and the harness's. An error is part of what
was read. Whatever a library logs as a warning or worse is too.
"""

import asyncio
import importlib
import json
import logging
import sys
import threading


MODULES = {
    "openai": ["openai"], "anthropic": ["anthropic"], "httpx_sse": ["httpx", "httpx_sse"], "sseclient": ["sseclient"],
    "sseclient_py": ["requests", "sseclient"], "aiohttp_sse_client": ["aiohttp_sse_client.client"], "mcp_sse": ["mcp.client.sse"],
    "mcp_http": ["mcp.types", "mcp.client.streamable_http"],
}


class Logged(logging.Handler):
    """Keeps the errors that a library reports, for the thread that caused them."""

    def __init__(self, found):
        super().__init__(logging.WARNING)
        self.found, self.thread = found, threading.get_ident()

    def emit(self, record):
        if record.thread == self.thread:
            self.found.append(["logged", record.levelname, record.getMessage()])


def openai(url, found):
    import openai
    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
    for chunk in client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}], stream=True):
        found.append(chunk.choices[0].delta.content)


def anthropic(url, found):
    import anthropic
    client = anthropic.Anthropic(base_url=url, api_key="none", max_retries=0)
    for event in client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "hello"}], stream=True):
        found.append([event.type, getattr(getattr(event, "delta", None), "text", None)])


def httpx_sse(url, found):
    import httpx
    from httpx_sse import connect_sse
    with httpx.Client(trust_env=False, timeout=20) as client, connect_sse(client, "GET", url) as source:
        found += ([event.event, event.data, event.id, event.retry] for event in source.iter_sse())


def sseclient(url, found):
    from sseclient import SSEClient
    for event in SSEClient(url):
        found.append([event.event, event.data, event.id])
        if event.data == "end":  # It would come back.
            return


def sseclient_py(url, found):
    import requests
    from sseclient import SSEClient
    answer = requests.get(url, stream=True, timeout=20, headers={"Accept": "text/event-stream"})
    # Pieces as they come.
    found += ([event.event, event.data, event.id] for event in SSEClient(answer.iter_content(None)).events())


def aiohttp_sse_client(url, found):
    from aiohttp_sse_client.client import EventSource

    async def read():
        async with EventSource(url) as source:
            async for event in source:
                found.append([event.type, event.data, event.last_event_id])
                if event.data == "end":
                    return
    asyncio.run(read())


def mcp_sse(url, found):
    """The older of the protocol's two transports: a stream that stays open, beside requests."""
    from mcp.client.sse import sse_client

    async def read():
        async with sse_client(url) as (messages, _):
            async for message in messages:
                if isinstance(message, Exception):
                    found.append(["error", str(message)])
                    continue
                found.append(plain(message))
                if "end" in found[-1]:
                    return
    asyncio.run(read())


def mcp_http(url, found):
    """The newer one: each request is answered with a stream of its own."""
    from mcp.client import streamable_http
    from mcp.shared.message import SessionMessage
    connect = getattr(streamable_http, "streamable_http_client", None) or streamable_http.streamablehttp_client

    async def read():
        from mcp import types
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        adapter = getattr(types, "jsonrpc_message_adapter", None)
        request = adapter.validate_python(request, by_name=False) if adapter else types.JSONRPCMessage.model_validate(request)
        async with connect(url) as (messages, requests, *_):
            await requests.send(SessionMessage(request))
            async for message in messages:
                if isinstance(message, Exception):
                    found.append(["error", str(message)])
                    continue
                found.append(plain(message))
                if "result" in found[-1]:
                    return
    asyncio.run(read())


def plain(message):
    return message.message.model_dump_json(by_alias=True, exclude_none=True)


def main():
    library, *urls = sys.argv[1:]
    for module in MODULES[library]:  # Once, and not by all threads at once.
        importlib.import_module(module)
    results = [[] for _ in urls]

    def run(url, found):
        handler = Logged(found)
        logging.getLogger().addHandler(handler)
        try:
            globals()[library](url, found)
        except BaseException as error:  # Also exception groups of asyncio: the user of a library gets whatever it raises.
            found.append(["raised", type(error).__name__, str(error)[:200]])
        logging.getLogger().removeHandler(handler)
    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in zip(urls, results)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # What the library itself prints comes before it.
    print("\n" + json.dumps(results))


if __name__ == "__main__":
    main()
