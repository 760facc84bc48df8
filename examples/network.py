#!/usr/bin/env python3
"""A network that breaks: it passes connections on to a port of this machine, and cuts those that carry an event stream.

    network.py PORT TARGET-PORT [--after LEAST MOST]

Each is cut when it has carried so many bytes of the stream (a random number between the two), so mostly in the middle of an event. The
client is told (a reset), and of two cuts one stays unknown to the server for ten seconds, as when a telephone leaves its network.
"""

import argparse
import asyncio
import contextlib
import random
import socket
import struct

cuts = 0


def reset(writer: asyncio.StreamWriter):
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def to_server(client: asyncio.StreamReader, server: asyncio.StreamWriter):
    while data := await client.read(65536):
        server.write(data)
        await server.drain()


async def to_client(server: asyncio.StreamReader, client: asyncio.StreamWriter, left: int) -> bool:
    """Returns whether the connection is to be cut; False at its own end."""
    head, is_stream = b"", False
    while data := await server.read(65536):
        if not is_stream:
            head = head[-20:] + data
            is_stream = b"text/event-stream" in head
        if is_stream:
            data = data[:left]
            left -= len(data)
        client.write(data)
        await client.drain()
        if not left:
            return True
    return False


async def connection(client_reader, client, target: int, least: int, most: int):
    global cuts
    try:
        server_reader, server = await asyncio.open_connection("127.0.0.1", target, limit=4096)
    except OSError:
        reset(client)
        return
    upward = asyncio.create_task(to_server(client_reader, server))
    downward = asyncio.create_task(to_client(server_reader, client, random.randint(least, most)))
    try:
        await asyncio.wait([upward, downward], return_when=asyncio.FIRST_COMPLETED)
        if downward.done() and not downward.exception() and downward.result():
            cuts += 1
            reset(client)
            if cuts % 2 == 0:
                await asyncio.sleep(10)
            reset(server)
    finally:
        upward.cancel()
        downward.cancel()
        client.close()
        server.close()
        # A task that failed has told of its connection's end by that.
        await asyncio.gather(upward, downward, return_exceptions=True)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("target", type=int)
    parser.add_argument("--after", type=int, nargs=2, default=(4000, 9000), metavar=("LEAST", "MOST"))
    options = parser.parse_args()
    server = await asyncio.start_server(
        lambda reader, writer: connection(reader, writer, options.target, *options.after), "127.0.0.1", options.port)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
