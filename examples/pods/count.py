#!/usr/bin/env python3
"""Puts numbered orders into the topic, reads them as a page does, and counts what is missing and what came twice.

    count.py URL --pods PORT... --redis PORT [--host HOST] [--orders N] [--readers-each N] [--expect all|some|told]

--host is the Host field. First it waits until each pod has so many streams more (0: one pod has). With --expect it ends with 1
where something else was seen: all orders once, some missing, or all that is missing where a gap was told.
"""

import argparse
import json
import pathlib
import sys
import threading
import time
import urllib.request

import redis

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from eventsource import EventSource  # noqa: E402: it stands in the folder above.


def state(port: int) -> dict:
    """What a pod says of itself; nothing while it is restarted."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/state", timeout=10) as response:
            return json.load(response)
    except OSError:
        return {"clients": 0, "consumed": 0}


class Page:
    def __init__(self, url: str, host: str | None):
        self.source = EventSource(url, fields={"Host": host} if host else None, limit=90)
        self.orders, self.gaps, self.by_pod = [], [], {}
        self.last = time.monotonic()
        self.is_over = threading.Event()

    def read(self):
        for event in self.source.events():
            if self.is_over.is_set():
                return
            if event is None:
                continue
            self.last = time.monotonic()
            if event.type == "stream_gap":
                self.gaps.append(event.data)
            elif event.type == "order":
                order = json.loads(event.data)
                self.orders.append(order["order"])
                self.by_pod.setdefault(order["pod"], []).append(order["order"])


def wait_until(condition, seconds: float, what: str):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not come within {seconds} s")
        time.sleep(0.05)


def produce(port: int, orders: int):
    """About 2,500 orders a second."""
    store = redis.Redis(port=port)
    for first in range(1, orders + 1, 50):
        pipeline = store.pipeline(transaction=False)
        for order in range(first, min(first + 50, orders + 1)):
            pipeline.xadd("orders", {"order": order})
        pipeline.execute()
        time.sleep(0.02)


def everything_is_consumed(port: int) -> bool:
    store = redis.Redis(port=port)
    return store.xinfo_groups("orders")[0]["last-delivered-id"] == store.xinfo_stream("orders")["last-generated-id"]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--pods", type=int, nargs="+", required=True)
    parser.add_argument("--redis", type=int, required=True)
    parser.add_argument("--host")
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--readers-each", type=int, default=0)
    parser.add_argument("--expect", choices=["all", "some", "told"])
    options = parser.parse_args()

    earlier = [state(pod) for pod in options.pods]

    def readers() -> list:
        """How many streams each pod has more than at the beginning: Heartwire keeps those of an earlier page for some time."""
        return [state(pod)["clients"] - before["clients"] for pod, before in zip(options.pods, earlier)]

    page = Page(options.url, options.host)
    threading.Thread(target=page.read, daemon=True).start()
    wait_until(lambda: min(readers()) >= options.readers_each and max(readers()) > 0, 20, "the page's streams at the pods")
    produce(options.redis, options.orders)
    wait_until(lambda: everything_is_consumed(options.redis), 60, "the last order")
    wait_until(lambda: time.monotonic() - page.last > 3, 60, "silence")
    page.is_over.set()

    missing, twice = options.orders - len(set(page.orders)), len(page.orders) - len(set(page.orders))
    in_order = all(orders == sorted(orders) for orders in page.by_pod.values())
    # A pod that was restarted counts from 0 again.
    shares = [str(max(0, state(pod)["consumed"] - before["consumed"])) for pod, before in zip(options.pods, earlier)]
    print(f"the pods have consumed {' and '.join(shares)} orders; the page has {len(page.orders)} of {options.orders}"
          f" over {page.source.connections} connections: {missing} missing, {twice} twice, {len(page.gaps)} gaps told;"
          f" each pod's order is {'kept' if in_order else 'not kept'}")
    as_expected = {
        None: True,
        "all": missing == twice == 0 and in_order and not page.gaps,
        "some": missing > options.orders / 50 and not page.gaps,
        "told": twice == 0 and in_order and (not missing or page.gaps),
    }[options.expect]
    return 0 if as_expected else 1


if __name__ == "__main__":
    sys.exit(main())
