#!/usr/bin/env python3
"""Sends numbered events to everybody for some time; four pages read them in their ways, and each is asked what it has missed.

    watch.py PROXY-PORT BACKEND-PORT --seconds S [--every SECONDS] [--check]

With --check it ends with 1 where a page has missed or was told something else than README.md says.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from eventsource import EventSource  # noqa: E402: it stands in the folder above.

PAGES = {
    "plain": ("/events", {"Host": "plain.example"}, "without mask: the page comes back after 3 s, as browsers do"),
    "masked": ("/events", {}, "mask: one response"),
    "kept": ("/kept", {}, "mask, and a server that sends what follows Last-Event-ID: nothing missing"),
    "trapped": ("/events", {"Host": "recycled.example"}, "recycle, and a map that removes by name: the stream is silent"),
}


@dataclasses.dataclass
class Reading:
    """What a page has got, in order: numbers, and None for each gap that it was told of."""
    seen: list
    source: EventSource
    greetings: int = 0
    reached_the_end: bool = False

    def numbers(self) -> list:
        return [number for number in self.seen if number is not None]

    def missed(self, sent: int) -> set:
        return set(range(1, sent + 1)) - set(self.numbers())

    def missed_untold(self, sent: int) -> int:
        """How many numbers are missing in places where no gap was told."""
        count, last, is_told = 0, 0, False
        for number in [*self.seen, sent + 1]:
            if number is None:
                is_told = True
                continue
            count += 0 if is_told else max(0, number - last - 1)
            last, is_told = number, False
        return count

    def doubled(self) -> int:
        return len(self.numbers()) - len(set(self.numbers()))


def read(reading: Reading):
    try:
        for event in reading.source.events():
            if event is None:
                continue
            if event.type == "connected":
                reading.greetings += 1
            elif event.type == "stream_gap":
                reading.seen.append(None)
            elif event.data == "end":
                reading.reached_the_end = True
                return
            else:
                reading.seen.append(int(event.data))
    except TimeoutError:
        pass


def post(port: int, text: str):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(f"http://127.0.0.1:{port}/event", text.encode(), {"Content-Type": "text/plain"})
    opener.open(request, timeout=20).read()


def send(port: int, seconds: float, every: float) -> int:
    """Sends 1, 2, 3 … for that long, and then several ends, since one may be missed; says how many numbers."""
    number, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        number += 1
        post(port, str(number))
        time.sleep(every)
    for _ in range(5):
        time.sleep(0.8)
        post(port, "end")
    return number


def problems(name: str, reading: Reading, sent: int) -> list:
    """What differs from README.md."""
    missed, untold = reading.missed(sent), reading.missed_untold(sent)
    expected = {
        "plain": [(reading.source.connections >= 2, "Tomcat did not end it"), (untold > 0, "nothing was missed")],
        "masked": [(reading.source.connections == 1, "the page saw an end"), (untold == 0, "events are missing without a gap"),
                   (None in reading.seen, "no gap was told"), (len(missed) < sent / 2, "most events are missing"),
                   (reading.reached_the_end, "it is silent")],
        "kept": [(reading.source.connections == 1, "the page saw an end"), (not missed, f"{len(missed)} events are missing"),
                 (None not in reading.seen, "a gap was told"), (reading.reached_the_end, "it is silent")],
        "trapped": [(len(missed) > sent / 5, "it was not silent")],
    }[name]
    found = [text for is_so, text in expected if not is_so]
    if reading.doubled() or reading.numbers() != sorted(reading.numbers()):
        found.append("events came twice or in another order")
    if name != "plain" and reading.greetings != 1:
        found.append(f"the page was greeted {reading.greetings} times")
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("proxy", type=int)
    parser.add_argument("backend", type=int)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--every", type=float, default=0.2)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()

    readings, threads = {}, []
    for name, (path, fields, _) in PAGES.items():
        url = f"http://127.0.0.1:{options.proxy}{path}?user={name}"
        readings[name] = Reading([], EventSource(url, fields=fields, retry=3, limit=options.seconds + 5))
        threads.append(threading.Thread(target=read, args=(readings[name],)))
        threads[-1].start()
    deadline = time.monotonic() + 20
    while not all(reading.greetings for reading in readings.values()):
        assert time.monotonic() < deadline, "not all pages were greeted"
        time.sleep(0.05)
    sent = send(options.backend, options.seconds, options.every)
    for thread in threads:
        thread.join()

    failed = False
    for name, reading in readings.items():
        gaps = reading.seen.count(None)
        print(f"{name:8} {reading.source.connections:2} connections, {len(reading.missed(sent)):3} of {sent} events missing"
              f" ({reading.missed_untold(sent):3} of them not told of), {reading.doubled()} twice, {gaps:2} gaps told  -- {PAGES[name][2]}")
        for problem in problems(name, reading, sent) if options.check else []:
            failed = True
            print(f"  FAILED: {problem}: {reading.seen}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
