#!/usr/bin/env python3
"""A server of event streams that sends an event after pauses of random length. Needs nothing but Python.

    backend.py PORT [--pause SECONDS] [--limit SECONDS]

--pause is the mean of the pauses (2). --limit closes each response after so long, whatever was sent, as a server's write timeout or a
killed worker does.
"""

import argparse
import asyncio
import random

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Backend:
    def __init__(self, pause: float, limit: float | None):
        self.pause, self.limit = pause, limit

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD)
            stream = asyncio.create_task(self.send_events(writer))
            left = asyncio.create_task(reader.read(1))
            # The client leaves, or the limit is reached: the response ends without its last chunk.
            await asyncio.wait([stream, left], timeout=self.limit, return_when=asyncio.FIRST_COMPLETED)
            stream.cancel()
            left.cancel()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def send_events(self, writer: asyncio.StreamWriter):
        number = 0
        while True:
            number += 1
            writer.write(chunk(b"id: %d\ndata: tick number %d\n\n" % (number, number)))
            await writer.drain()
            await asyncio.sleep(random.expovariate(1 / self.pause))


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--pause", type=float, default=2)
    parser.add_argument("--limit", type=float)
    options = parser.parse_args()
    backend = Backend(options.pause, options.limit)
    server = await asyncio.start_server(backend.serve, "127.0.0.1", options.port, backlog=1000)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
