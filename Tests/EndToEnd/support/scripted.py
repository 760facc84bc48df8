"""A server that sends what the test says, and what is read out of an event stream."""

import json
import re
import time

from support.client import Client


class Script:
    """A server that sends what the test says; each request gets a stream of its own."""

    def __init__(self, stage, **options):
        self.streams, self.requests = [], []
        self.origin = stage.origin(self.serve, **options)

    def serve(self, connection, request):
        # Who has an answer finds the request here.
        self.requests.append(request)
        connection.start_stream()
        self.streams.append(connection)
        connection.wait_until_left(60)

    def stream(self, number, timeout=15):
        deadline = time.monotonic() + timeout
        while len(self.streams) <= number:
            assert time.monotonic() < deadline, f"the server has {len(self.streams)} streams"
            time.sleep(0.01)
        return self.streams[number]


def wait_for(condition, timeout=15):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def events(data: bytes) -> list:
    """The values of the data lines, in order."""
    return [value.decode() for value in re.findall(rb"(?m)^data: (.*)$", data)]


def last_id(data: bytes) -> str:
    return re.findall(rb"(?m)^id: (.+)$", data)[-1].decode()


def gaps(data: bytes) -> list:
    return [json.loads(text) for text in re.findall(rb"(?m)^event: stream_gap\ndata: (.*)$", data)]


def resume(client, path, id=None, fields=""):
    head, body = client.open_stream(path, (f"Last-Event-ID: {id}\r\n" if id else "") + fields)
    assert head.status == 200
    return body


class Readers:
    """Clients of streams that stay until the end."""

    def __init__(self, proxy):
        self.proxy, self.clients = proxy, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.close()

    def open(self, path="/s", fields="Cookie: who=me\r\n", id=None):
        self.clients.append(Client(self.proxy.port))
        return resume(self.clients[-1], path, id, fields)
