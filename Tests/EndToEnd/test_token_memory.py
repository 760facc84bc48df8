"""What an idle stream costs more when it ends with a token: heavy, because bytes show only over thousands of streams."""

import os
import resource
import time

import pytest

from support import tokens
from test_idle_streams import SilentOrigin, Watchers

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(240)]

STREAMS = int(os.environ.get("HEARTWIRE_IDLE_STREAMS", "3000"))
# Of what a stream costs that brings the same token to a route that checks none.
LIMIT = 64
# So many tokens a worker remembers, with their claims: memory that is not the streams'.
REMEMBERED = 1_024


class Bearers(Watchers):
    """The clients of the idle streams, each with a token of a list, or without any."""

    def __init__(self, port, fields):
        super().__init__(port)
        self.fields = fields

    def request(self) -> bytes:
        field = self.fields[len(self.clients) % len(self.fields)]
        return f"GET /idle HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n{field}\r\n".encode()


def measured(stage, origin, streams, warm, fields, checks=True) -> float:
    """The bytes that each of so many streams with these fields costs a proxy of its own."""
    def text(port, folder):
        return (
            f"listen 127.0.0.1:{port}\nstream_log off\nworkers 1\nlimits {{\n connections {4 * streams}\n}}\n"
            f"issuer main {{\n name {tokens.ISSUER}\n audience any\n shared_secret HS256 {tokens.SECRET}\n}}\n"
            f"route /* {{\n upstream {origin.address}\n heartbeat 10m\n"
            + (" bearer_check main\n bearer_missing pass\n expiring 5m\n}\n" if checks else "}\n"))

    proxy = stage.heartwire(text=text)
    opened = []
    try:
        # Memory that exists only once must exist before: of the first streams, and of the tokens that are remembered.
        opened.append(Bearers(proxy.port, warm).open(len(warm)))
        before = proxy.memory()["Pss_Anon"]
        opened.append(Bearers(proxy.port, fields).open(streams))
        opened[1].read_until(lambda: min(opened[1].events.values()) >= 1, 60)
        time.sleep(0.5)
        return (proxy.memory()["Pss_Anon"] - before) / streams
    finally:
        for watchers in opened:
            watchers.close()


def test_a_stream_with_an_expiring_token_costs_few_bytes_more_than_one_without(stage):
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Two descriptors a stream in this process, and two in the proxy.
    streams = min(STREAMS, (soft - 3_000) // 2)
    assert streams >= 1000, f"only {soft} descriptors are allowed here"
    exp = int(time.time()) + 3600

    def bearers(count) -> list:
        return [f"Authorization: Bearer {tokens.by_secret(exp=exp, sub=str(number))}\r\n" for number in range(count)]

    origin = SilentOrigin()
    kinds = {"none": [""], "shared": bearers(20), "own": bearers(streams)}
    warm = bearers(REMEMBERED + 20)
    cost = {name: measured(stage, origin, streams, warm, fields) for name, fields in kinds.items()}
    cost["unchecked"] = measured(stage, origin, streams, warm, kinds["own"], checks=False)
    origin.close()
    print("memory per idle stream: " + ", ".join(f"{name} {each:.0f} bytes" for name, each in cost.items()))
    # The object with which a checked token is known is 48 bytes larger, and the others' often fits into memory that was free anyway.
    assert cost["shared"] - cost["unchecked"] <= LIMIT + 32 and cost["own"] - cost["unchecked"] <= LIMIT + 32, cost
