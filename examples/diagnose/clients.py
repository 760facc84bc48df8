#!/usr/bin/env python3
"""People with browsers: they come one after another, read a stream, come back a second after it was cut, and leave some time.

    clients.py PORT [--people N] [--seconds S] [--stay SECONDS] [--host HOST] [--path PATH]

Each has an address of its own (127.0.1.N). --stay is the mean time after which somebody leaves by himself. Says at the end how many streams
there were and how many of them were cut.
"""

import argparse
import asyncio
import random
import time

RETRY = (0.95, 1.15)  # An EventSource waits for some seconds; these hurry, so that a minute tells as much as three.


class Crowd:
    def __init__(self, options):
        self.options = options
        self.streams = self.cut = 0

    async def person(self, number: int):
        options = self.options
        end = time.monotonic() + options.seconds
        # Evenly over a third of the time: by chance alone most would sometimes come together, and then be of one age.
        await asyncio.sleep(options.seconds / 3 * (number + random.random()) / options.people)
        leaves = min(time.monotonic() + random.expovariate(1 / options.stay), end + 60)
        last_id = b""
        while True:
            self.streams += 1
            was_cut, last_id = await self.stream(number, min(leaves, end) - time.monotonic(), last_id)
            if not was_cut:
                return
            self.cut += 1
            await asyncio.sleep(random.uniform(*RETRY))
            if time.monotonic() >= min(leaves, end):
                return

    async def stream(self, number: int, seconds: float, last_id: bytes):
        """Reads one stream; says whether it was cut, and the id of its last event."""
        try:
            source = f"127.0.{1 + number // 250}.{1 + number % 250}"
            reader, writer = await asyncio.open_connection(self.options.host, self.options.port, local_addr=(source, 0))
        except OSError:
            return True, last_id
        resume = b"Last-Event-ID: %s\r\n" % last_id if last_id else b""
        writer.write(b"GET %s HTTP/1.1\r\nHost: example.test\r\nAccept: text/event-stream\r\nConnection: close\r\n%s\r\n"
                     % (self.options.path.encode(), resume))
        end = time.monotonic() + seconds
        try:
            while (left := end - time.monotonic()) > 0:
                data = await asyncio.wait_for(reader.read(65536), left)
                if not data:
                    return True, last_id
                for line in data.split(b"\n"):
                    if line.startswith(b"id: "):
                        last_id = line[4:].strip()
        except TimeoutError:
            pass
        except OSError:
            return True, last_id
        finally:
            writer.close()
        return False, last_id

    async def run(self):
        await asyncio.gather(*(self.person(number) for number in range(self.options.people)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--stay", type=float, default=60)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--path", default="/events")
    crowd = Crowd(parser.parse_args())
    asyncio.run(crowd.run())
    print(f"{crowd.streams} streams, {crowd.cut} of them were cut")


if __name__ == "__main__":
    main()
