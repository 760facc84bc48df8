"""What each frame leads to that may not be where it is, or as it is: the required answers of RFC 9113 and 7541, over real sockets.

The subjects are those of h2spec's 146 cases, and of each row of the table of required answers. Every case is sent whole and byte by byte,
some in two parts at every place. A fault of one stream leaves its connection alive, and no case is felt on another connection.
"""

import itertools
import time

import pytest

from support import frames
from support.frames import (
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HAS_PRIORITY, HEADERS, PADDED, PING, PREFACE, PRIORITY, PRIORITY_UPDATE,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, RawConnection, block, continuation, data, frame, get, headers, literal, number, ping,
    post, request, reset, settings, window_update)

MAXIMUM_STREAMS = 20
HUGE = 2 ** 31 - 1
WEBSOCKET = (b":protocol", b"websocket")


@pytest.fixture(scope="module")
def table(shared_stage):
    """The proxy, and a connection beside all trouble."""
    def script(connection, request):
        if request.target.startswith(b"/events"):
            connection.start_stream()
            connection.chunk(b"data: 1\n\n")
            connection.wait_until_left(100)
        elif request.target == b"/silence":
            connection.wait_until_left(100)
        else:
            connection.respond(200, b"" if request.method == b"HEAD" else request.target)

    proxy = shared_stage.heartwire(
        shared_stage.origin(script), listen="protocols h2", limits=f"streams_per_connection {MAXIMUM_STREAMS}")
    with RawConnection(proxy.port, PREFACE + settings() + window_update(0, 2 ** 30)) as bystander:
        bystander.numbers = itertools.count(1, 2)
        yield proxy, bystander


# How a case ends


def ends(code, *before):
    """A connection error: GOAWAY with that code, then the end."""
    return ("connection", code, *before)


def resets(code, stream=1):
    """A stream error: one RST_STREAM, and the connection lives."""
    return ("stream", [("reset", stream, code)])


IGNORED = ("stream", [])


def check(table, steps, expected, pieces=None):
    proxy, bystander = table
    with RawConnection(proxy.port) as client:
        for step in [steps] if isinstance(steps, bytes) else steps:
            if isinstance(step, bytes):
                # One byte in each segment; of long vectors, a hundredth.
                client.send(step, pieces and max(len(step) // 100, 1) if len(step) > 400 else pieces)
            else:
                client.wait(lambda: step(client))
        if expected[0] == "connection":
            assert client.wait_for_end() == "fin", (client.end, client.outcome())
            *resets_before, (kind, _, code) = client.outcome()
            assert (kind, code) == ("goaway", expected[1]) and resets_before == [*expected[2:]], client.outcome()
        else:
            assert client.is_alive(), client.outcome()
            assert client.outcome() == expected[1]
            # Another stream of the same connection.
            assert client.ask(1_000_001) == b"/alive" and client.outcome() == expected[1]
    assert bystander.ask(next(bystander.numbers)) == b"/alive" and not bystander.outcome()


def answered(stream, status=200):
    """A step: waits for a whole answer with that status."""
    return lambda client: client.is_whole(stream) and client.status(stream) == status


def begun(stream):
    """A step: waits for the answer's head."""
    return lambda client: client.status(stream)


# The states of stream 1 before a case

OPEN = [post(1, b"/silence")]
EVENTS = [get(1, b"/events"), begun(1)]  # Half-closed (remote).
CLOSED = [get(1), answered(1)]  # END_STREAM on both sides.
RESET = [*OPEN, reset(1)]  # By the client.
RESET_BY_US = [*OPEN, window_update(1, 0)]
OUR_RESET = ("reset", 1, "PROTOCOL_ERROR")


def after_our_reset(*more):
    return ("stream", [OUR_RESET, *more])


# With a request's pseudo-fields it makes HEADERS of 16,384 octets.
LONG = literal(b"a", bytes(b"x" * (16_384 - len(block(*request())) - len(literal(b"a", b"x" * 16_000)) + 16_000)))

FRAMES = {
    # Frames that are in order, with everything that they may have
    "GET": ([get(1), answered(1)], IGNORED),
    "HEAD": ([get(1, method=b"HEAD"), answered(1)], IGNORED),
    "OPTIONS of everything": ([get(1, b"*", method=b"OPTIONS"), answered(1)], IGNORED),
    "POST": ([post(1), data(1, b"test", end=True), answered(1)], IGNORED),
    "POST with trailers": ([post(1), data(1, b"test"), headers(1, block((b"x-test", b"ok"))), answered(1)], IGNORED),
    "several DATA frames": ([post(1), data(1, b"a"), data(1, b"b"), data(1, b"c", end=True), answered(1)], IGNORED),
    "padded DATA": ([post(1), data(1, b"test", pad=255), data(1, b"x", end=True, pad=0), answered(1)], IGNORED),
    "DATA that is nothing but padding": ([post(1), data(1, b"", pad=200), data(1, b"", end=True, pad=3), answered(1)], IGNORED),
    "an empty DATA frame at the end": ([post(1), data(1, b"", end=True), answered(1)], IGNORED),
    "padded HEADERS": ([headers(1, block(*request()), pad=255), answered(1)], IGNORED),
    "HEADERS with a priority": ([headers(1, block(*request()), priority=number(0) + b"\xff"), answered(1)], IGNORED),
    "HEADERS with a priority and padding": ([headers(1, block(*request()), priority=number(1 << 31) + b"\0", pad=7), answered(1)], IGNORED),
    "HEADERS that depend on themselves": ([headers(1, block(*request()), priority=number(1) + b"\xff"), answered(1)], IGNORED),
    "PRIORITY of an idle stream": (frame(PRIORITY, 1, number(0) + b"\x0f"), IGNORED),
    "PRIORITY, exclusive": ([frame(PRIORITY, 1, number(0x80000003) + b"\x0f"), get(1), answered(1)], IGNORED),
    "PRIORITY of a stream on itself": ([*OPEN, frame(PRIORITY, 1, number(1) + b"\x0f")], IGNORED),
    "RST_STREAM": (RESET, IGNORED),
    "RST_STREAM with an unknown code": ([*OPEN, reset(1, 0xff)], IGNORED),
    "SETTINGS of every kind": (settings((1, 0), (2, 0), (3, 100), (4, 1000), (5, 16_777_215), (6, 100), (8, 1), (9, 1)), IGNORED),
    "SETTINGS of unknown kinds": (settings((0xff, HUGE), (0, 1), (7, 0xffffffff)), IGNORED),
    "an acknowledgement of SETTINGS": (settings(flags=ACK), IGNORED),
    "an acknowledgement of SETTINGS that nobody asked for": (settings(flags=ACK) * 3, IGNORED),
    "an acknowledgement of PING that nobody asked for": (ping(flags=ACK), IGNORED),
    "PING with unknown flags": (ping(flags=0xfe), IGNORED),
    "WINDOW_UPDATE of the connection": (window_update(0, 1), IGNORED),
    "WINDOW_UPDATE of the connection up to 2^31-1": (window_update(0, HUGE - 65_535), IGNORED),
    "WINDOW_UPDATE of a stream up to 2^31-1": ([*EVENTS, window_update(1, HUGE - 65_535)], IGNORED),
    "WINDOW_UPDATE with the reserved bit": (frame(WINDOW_UPDATE, 0, number(0x80000001)), IGNORED),
    "WINDOW_UPDATE of an open stream": ([*OPEN, window_update(1, 1)], IGNORED),
    "CONTINUATION": ([headers(1, block(*request()[:2]), whole=False), continuation(1, block(*request()[2:])), answered(1)], IGNORED),
    "CONTINUATION for each field": ([headers(1, b"", whole=False), *[continuation(1, block(field), whole=False) for field in request()],
                                     continuation(1), answered(1)], IGNORED),
    "GOAWAY with streams open": ([*EVENTS, frame(GOAWAY, 0, number(0) + number(0))], IGNORED),
    "GOAWAY with an unknown code and debug data": ([*EVENTS, frame(GOAWAY, 0, number(0) + number(0xff) + b"debug")], IGNORED),
    "GOAWAY without streams": (frame(GOAWAY, 0, number(0) + number(0)), ends("NO_ERROR")),
    # Unknown things (4.1, 5.5)
    "an unknown type": (frame(0x16, 0, b"12345678"), IGNORED),
    "an unknown type on an open stream": ([*OPEN, frame(0xff, 1, b"x", flags=0xff)], IGNORED),
    "an unknown type on an idle stream": (frame(0xee, 1), IGNORED),
    "ALTSVC": (frame(0x0a, 0, b"\0\1xh2=\":1\""), IGNORED),
    "ORIGIN": (frame(0x0c, 0, b"\0\1x"), IGNORED),
    "unknown flags": ([frame(HEADERS, 1, block(*request()), 0xd2 | END_HEADERS | END_STREAM), answered(1)], IGNORED),
    "a reserved bit": ([frame(PING, 1 << 31, b"12345678"), frame(HEADERS, 1 << 31 | 1, block(*request()), END_HEADERS | END_STREAM),
                        answered(1)], IGNORED),
    "an unknown type over 16,384 octets on the connection": (frame(0xff, 0, length=16_385), ends("FRAME_SIZE_ERROR")),
    # Lengths (4.2)
    "DATA of 16,384 octets": ([post(1), data(1, bytes(16_384), end=True), answered(1)], IGNORED),
    "DATA of 16,385 octets": ([*OPEN, data(1, bytes(16_385))], resets("FRAME_SIZE_ERROR")),
    "DATA of 16,385 octets on an event stream": ([*EVENTS, data(1, bytes(16_385))], resets("FRAME_SIZE_ERROR")),
    "DATA of 2^24-1 octets": ([*OPEN, frame(DATA, 1, length=2 ** 24 - 1)], ends("FLOW_CONTROL_ERROR")),
    "HEADERS of 16,384 octets": ([headers(1, block(*request()) + LONG), answered(1)], IGNORED),
    "HEADERS of 16,385 octets": (frame(HEADERS, 1, length=16_385, flags=END_HEADERS), ends("FRAME_SIZE_ERROR")),
    "CONTINUATION of 16,385 octets": ([headers(1, b"", whole=False), frame(CONTINUATION, 1, length=16_385)], ends("FRAME_SIZE_ERROR")),
    "SETTINGS of 16,386 octets": (frame(SETTINGS, 0, length=16_386), ends("FRAME_SIZE_ERROR")),
    "WINDOW_UPDATE of 16,385 octets": ([*OPEN, frame(WINDOW_UPDATE, 1, bytes(16_385))], ends("FRAME_SIZE_ERROR")),
    "RST_STREAM of 16,385 octets": ([*OPEN, frame(RST_STREAM, 1, bytes(16_385))], ends("FRAME_SIZE_ERROR")),
    "PRIORITY of 16,385 octets": ([*OPEN, frame(PRIORITY, 1, bytes(16_385))], resets("FRAME_SIZE_ERROR")),
    "an unknown type over 16,384 octets on a stream": ([*OPEN, frame(0xff, 1, bytes(16_385))], resets("FRAME_SIZE_ERROR")),
    "RST_STREAM of 3 octets": ([*OPEN, frame(RST_STREAM, 1, b"\0\0\0")], ends("FRAME_SIZE_ERROR")),
    "RST_STREAM of 5 octets": ([*OPEN, frame(RST_STREAM, 1, bytes(5))], ends("FRAME_SIZE_ERROR")),
    "PRIORITY of 4 octets": ([*OPEN, frame(PRIORITY, 1, bytes(4))], resets("FRAME_SIZE_ERROR")),
    "PRIORITY of 6 octets on an event stream": ([*EVENTS, frame(PRIORITY, 1, bytes(6))], resets("FRAME_SIZE_ERROR")),
    "PRIORITY of 4 octets on an idle stream": (frame(PRIORITY, 1, bytes(4)), ends("FRAME_SIZE_ERROR")),
    "PRIORITY of 4 octets on a closed stream": ([*CLOSED, frame(PRIORITY, 1, bytes(4))], resets("FRAME_SIZE_ERROR")),
    "SETTINGS of 3 octets": (frame(SETTINGS, 0, b"\0\3\0"), ends("FRAME_SIZE_ERROR")),
    "SETTINGS of 7 octets": (frame(SETTINGS, 0, bytes(7)), ends("FRAME_SIZE_ERROR")),
    "an acknowledgement of SETTINGS that holds something": (settings((3, 1), flags=ACK), ends("FRAME_SIZE_ERROR")),
    "PING of 7 octets": (frame(PING, 0, bytes(7)), ends("FRAME_SIZE_ERROR")),
    "PING of 9 octets": (frame(PING, 0, bytes(9)), ends("FRAME_SIZE_ERROR")),
    "PING without octets": (frame(PING), ends("FRAME_SIZE_ERROR")),
    "GOAWAY of 7 octets": (frame(GOAWAY, 0, bytes(7)), ends("FRAME_SIZE_ERROR")),
    "WINDOW_UPDATE of 3 octets": (frame(WINDOW_UPDATE, 0, b"\0\0\1"), ends("FRAME_SIZE_ERROR")),
    "WINDOW_UPDATE of 5 octets on a stream": ([*OPEN, frame(WINDOW_UPDATE, 1, b"\0\0\0\1\0")], ends("FRAME_SIZE_ERROR")),
    "PRIORITY_UPDATE of 3 octets": (frame(PRIORITY_UPDATE, 0, bytes(3)), ends("FRAME_SIZE_ERROR")),
    # Field blocks (4.3, 6.2, 6.10)
    **{f"{name} inside of a field block": ([headers(1, block(*request()), whole=False), octets], ends("PROTOCOL_ERROR")) for name, octets in {
        "DATA": data(1, b"x"), "HEADERS of the same stream": headers(1, b""), "HEADERS of another stream": get(3),
        "PRIORITY": frame(PRIORITY, 1, bytes(5)), "RST_STREAM": reset(1), "SETTINGS": settings(), "PING": ping(),
        "GOAWAY": frame(GOAWAY, 0, bytes(8)), "WINDOW_UPDATE": window_update(0, 1), "CONTINUATION of another stream": continuation(3),
        "CONTINUATION on the connection": continuation(0), "PUSH_PROMISE": frame(PUSH_PROMISE, 1, bytes(4), END_HEADERS),
        "an unknown frame": frame(0xff, 0), "an unknown frame of the stream": frame(0xff, 1),
        "PRIORITY_UPDATE": frame(PRIORITY_UPDATE, 0, bytes(4)),
    }.items()},
    "a frame inside of a block that CONTINUATION goes on with": (
        [headers(1, b"", whole=False), continuation(1, block(*request()), whole=False), data(1, b"x")], ends("PROTOCOL_ERROR")),
    "CONTINUATION behind END_HEADERS": ([*OPEN, continuation(1)], ends("PROTOCOL_ERROR")),
    "CONTINUATION behind the CONTINUATION with END_HEADERS": (
        [headers(1, b"", end=False, whole=False), continuation(1, block(*request(b"/silence", b"POST"))), continuation(1)],
        ends("PROTOCOL_ERROR")),
    "CONTINUATION behind DATA": ([*OPEN, data(1, b"x"), continuation(1)], ends("PROTOCOL_ERROR")),
    "CONTINUATION on an idle stream": (continuation(1), ends("PROTOCOL_ERROR")),
    "CONTINUATION on the connection": (continuation(0), ends("PROTOCOL_ERROR")),
    "CONTINUATION on an event stream": ([*EVENTS, continuation(1)], ends("PROTOCOL_ERROR")),
    "CONTINUATION on a closed stream": ([*CLOSED, continuation(1)], ends("PROTOCOL_ERROR")),
    "CONTINUATION on a stream that was reset": ([*RESET, continuation(1)], ends("PROTOCOL_ERROR")),
    # Streams and the connection (5.1.1, 6)
    **{f"{name} on the connection": (octets, ends("PROTOCOL_ERROR")) for name, octets in {
        "DATA": data(0, b"x"), "HEADERS": headers(0, block(*request())), "PRIORITY": frame(PRIORITY, 0, bytes(5)), "RST_STREAM": reset(0),
        "PUSH_PROMISE": frame(PUSH_PROMISE, 0, bytes(4), END_HEADERS)}.items()},
    **{f"{name} on a stream": ([*OPEN, octets], ends("PROTOCOL_ERROR")) for name, octets in {
        "SETTINGS": settings(stream=1), "PING": frame(PING, 1, bytes(8)), "GOAWAY": frame(GOAWAY, 1, bytes(8)),
        "PRIORITY_UPDATE": frame(PRIORITY_UPDATE, 1, number(1)), "PUSH_PROMISE": frame(PUSH_PROMISE, 1, number(2), END_HEADERS)}.items()},
    "a stream of an even number": (get(2), ends("PROTOCOL_ERROR")),
    "a stream below an earlier one": ([get(5), get(3)], ends("PROTOCOL_ERROR")),
    "the number of a closed stream": ([*CLOSED, get(1)], ends("STREAM_CLOSED")),
    "the number of a stream that the client reset": ([*RESET, get(1)], ends("STREAM_CLOSED")),
    "PUSH_PROMISE": (frame(PUSH_PROMISE, 1, number(2) + block(*request()), END_HEADERS), ends("PROTOCOL_ERROR")),
    # States (5.1)
    "idle: DATA": (data(1, b"x"), ends("PROTOCOL_ERROR")),
    "idle: RST_STREAM": (reset(1), ends("PROTOCOL_ERROR")),
    "idle: WINDOW_UPDATE": (window_update(1, 1), ends("PROTOCOL_ERROR")),
    "idle, of an even number: DATA": ([get(5), data(2, b"x")], ends("PROTOCOL_ERROR")),
    "half-closed: DATA": ([*EVENTS, data(1, b"x")], resets("STREAM_CLOSED")),
    "half-closed: empty DATA": ([*EVENTS, data(1, b"", end=True)], resets("STREAM_CLOSED")),
    "half-closed: HEADERS": ([*EVENTS, get(1)], resets("STREAM_CLOSED")),
    "half-closed: trailers": ([*EVENTS, headers(1, block((b"a", b"b")))], resets("STREAM_CLOSED")),
    "half-closed: WINDOW_UPDATE": ([*EVENTS, window_update(1, 100)], IGNORED),
    "half-closed: PRIORITY": ([*EVENTS, frame(PRIORITY, 1, bytes(5))], IGNORED),
    "half-closed: RST_STREAM": ([*EVENTS, reset(1)], IGNORED),
    "half-closed before an answer: DATA": ([get(1, b"/silence"), data(1, b"x")], resets("STREAM_CLOSED")),
    "half-closed before an answer: HEADERS": ([get(1, b"/silence"), get(1)], resets("STREAM_CLOSED")),
    "closed: WINDOW_UPDATE": ([*CLOSED, window_update(1, 1)], IGNORED),
    "closed: WINDOW_UPDATE of 0": ([*CLOSED, window_update(1, 0)], IGNORED),
    "closed: RST_STREAM": ([*CLOSED, reset(1)], IGNORED),
    "closed: PRIORITY": ([*CLOSED, frame(PRIORITY, 1, bytes(5))], IGNORED),
    "closed: DATA": ([*CLOSED, data(1, b"x")], resets("STREAM_CLOSED")),
    "closed: DATA twice, answered once": ([*CLOSED, data(1, b"x"), data(1, b"x")], resets("STREAM_CLOSED")),
    "closed: trailers": ([*CLOSED, headers(1, block((b"a", b"b")))], ends("STREAM_CLOSED")),
    "reset: WINDOW_UPDATE": ([*RESET, window_update(1, 1)], IGNORED),
    "reset: RST_STREAM": ([*RESET, reset(1)], IGNORED),
    "reset: PRIORITY": ([*RESET, frame(PRIORITY, 1, bytes(5))], IGNORED),
    "reset: DATA": ([*RESET, data(1, b"x")], resets("STREAM_CLOSED")),
    "reset: trailers": ([*RESET, headers(1, block((b"a", b"b")))], ends("STREAM_CLOSED")),
    "reset by the proxy: WINDOW_UPDATE": ([*RESET_BY_US, window_update(1, 0)], after_our_reset()),
    "reset by the proxy: RST_STREAM": ([*RESET_BY_US, reset(1)], after_our_reset()),
    "reset by the proxy: PRIORITY": ([*RESET_BY_US, frame(PRIORITY, 1, bytes(5))], after_our_reset()),
    "reset by the proxy: DATA": ([*RESET_BY_US, data(1, b"x"), data(1, b"x", end=True)], after_our_reset()),
    "reset by the proxy: trailers": ([*RESET_BY_US, headers(1, block((b"a", b"b")))], after_our_reset()),
    # A field of a stream that is gone stands in the table for the next one.
    "reset by the proxy: fields for the table": (
        [*RESET_BY_US, headers(1, literal(b":path", b"/table", 0x40)), headers(3, block(*request(None)) + b"\xbe"),
         lambda client: client.bodies.get(3) == b"/table"], after_our_reset()),
    "a second block without END_STREAM": ([*OPEN, headers(1, block((b"a", b"b")), end=False)], resets("PROTOCOL_ERROR")),
    "trailers that do not end the body, and then do": (
        [*OPEN, headers(1, b"", end=False), headers(1, b"")], resets("PROTOCOL_ERROR")),
    "two faults of a stream, one reset": ([*OPEN, window_update(1, 0), window_update(1, 0), data(1, bytes(16_385))], resets("PROTOCOL_ERROR")),
    # Padding (6.1, 6.2)
    "DATA with padding as long as its payload": ([*OPEN, frame(DATA, 1, b"\5abcd", PADDED)], ends("PROTOCOL_ERROR")),
    "DATA with more padding than payload": ([*OPEN, frame(DATA, 1, b"\xffabcd", PADDED)], ends("PROTOCOL_ERROR")),
    "DATA without room for its pad length": ([*OPEN, frame(DATA, 1, b"", PADDED)], ends("FRAME_SIZE_ERROR")),
    "HEADERS with more padding than payload": (
        frame(HEADERS, 1, b"\x80" + block(*request()), PADDED | END_HEADERS | END_STREAM), ends("PROTOCOL_ERROR")),
    "HEADERS without room for their pad length": (frame(HEADERS, 1, b"", PADDED | END_HEADERS | END_STREAM), ends("FRAME_SIZE_ERROR")),
    "HEADERS without room for their priority": (frame(HEADERS, 1, bytes(4), HAS_PRIORITY | END_HEADERS | END_STREAM), ends("FRAME_SIZE_ERROR")),
    "HEADERS whose padding reaches into their priority": (
        frame(HEADERS, 1, b"\1" + bytes(5), PADDED | HAS_PRIORITY | END_HEADERS | END_STREAM), ends("PROTOCOL_ERROR")),
    # SETTINGS (6.5.2)
    "ENABLE_PUSH of 2": (settings((2, 2)), ends("PROTOCOL_ERROR")),
    "INITIAL_WINDOW_SIZE of 2^31": (settings((4, 2 ** 31)), ends("FLOW_CONTROL_ERROR")),
    "MAX_FRAME_SIZE of 16,383": (settings((5, 16_383)), ends("PROTOCOL_ERROR")),
    "MAX_FRAME_SIZE of 2^24": (settings((5, 2 ** 24)), ends("PROTOCOL_ERROR")),
    "NO_RFC7540_PRIORITIES of 2": (settings((9, 2)), ends("PROTOCOL_ERROR")),
    "a bad entry behind good ones": (settings((3, 1), (4, 5), (2, 2)), ends("PROTOCOL_ERROR")),
    "INITIAL_WINDOW_SIZE that moves a window over 2^31-1": (
        [*EVENTS, window_update(1, 1_000_000), settings((4, HUGE))], ends("FLOW_CONTROL_ERROR")),
    "INITIAL_WINDOW_SIZE of 2^31-1": ([*EVENTS, settings((4, HUGE))], IGNORED),
    # Windows (6.9)
    "WINDOW_UPDATE of 0 on the connection": (window_update(0, 0), ends("PROTOCOL_ERROR")),
    "WINDOW_UPDATE of 0 with the reserved bit": (frame(WINDOW_UPDATE, 0, number(1 << 31)), ends("PROTOCOL_ERROR")),
    "WINDOW_UPDATE of 0 on a request": ([*OPEN, window_update(1, 0)], resets("PROTOCOL_ERROR")),
    "WINDOW_UPDATE of 0 on an event stream": ([*EVENTS, window_update(1, 0)], resets("PROTOCOL_ERROR")),
    "WINDOW_UPDATE over 2^31-1 on the connection": (window_update(0, HUGE) * 2, ends("FLOW_CONTROL_ERROR")),
    "WINDOW_UPDATE over 2^31-1 on a request": ([*OPEN, window_update(1, HUGE) * 2], resets("FLOW_CONTROL_ERROR")),
    "WINDOW_UPDATE over 2^31-1 on an event stream": ([*EVENTS, window_update(1, HUGE)], resets("FLOW_CONTROL_ERROR")),
    # PRIORITY_UPDATE (RFC 9218 section 7.1)
    "PRIORITY_UPDATE": ([frame(PRIORITY_UPDATE, 0, number(1) + b"u=1, i"), get(1), answered(1)], IGNORED),
    "PRIORITY_UPDATE that cannot be parsed": (frame(PRIORITY_UPDATE, 0, number(1) + b"\0\xff=,"), IGNORED),
    "PRIORITY_UPDATE of a closed stream": ([*CLOSED, frame(PRIORITY_UPDATE, 0, number(1))], IGNORED),
    "PRIORITY_UPDATE of the connection": (frame(PRIORITY_UPDATE, 0, number(0)), ends("PROTOCOL_ERROR")),
    "PRIORITY_UPDATE of a stream of the server's": (frame(PRIORITY_UPDATE, 0, number(2)), ends("PROTOCOL_ERROR")),
    "PRIORITY_UPDATE of as many idle streams as may be open": (
        b"".join(frame(PRIORITY_UPDATE, 0, number(1 + 2 * n)) for n in range(MAXIMUM_STREAMS)), IGNORED),
    "PRIORITY_UPDATE of one idle stream more": (
        b"".join(frame(PRIORITY_UPDATE, 0, number(1 + 2 * n)) for n in range(MAXIMUM_STREAMS + 1)), ends("PROTOCOL_ERROR")),
    # HPACK
    **{f"HPACK: {name}": (headers(1, octets), ends("COMPRESSION_ERROR")) for name, octets in {
        "index 0": b"\x80", "an index beyond both tables": b"\xbe", "an index far beyond both tables": b"\xff\xff\xff\x03",
        "a name beyond both tables": b"\x7e\x01x", "a name of index 0 that is cut": b"\x40",
        "a table of more than 4,096 bytes": frames.integer(4097, 5, 0x20), "a table's size behind a field": b"\x82\x20",
        "a table's size at the end": block(*request()) + b"\x21", "EOS in Huffman text": b"\x00\x01a\x84\xff\xff\xff\xff",
        "8 bits of padding": b"\x00\x01a\x82\x1f\xff", "padding with a zero": b"\x00\x01a\x81\x18",
        "an integer that overflows": b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "an integer that never ends": b"\xff\xff",
        "a name longer than the block": b"\x00\x05ab", "a value longer than the block": b"\x00\x01a\x05b",
        "a value that is missing": b"\x00\x01a",
    }.items()},
    "HPACK: an error in trailers": ([*OPEN, headers(1, b"\x80")], ends("COMPRESSION_ERROR")),
    "HPACK: an error on a stream that the proxy has reset": ([*RESET_BY_US, headers(1, b"\x80")], ends("COMPRESSION_ERROR", OUR_RESET)),
    "HPACK: an error in CONTINUATION": ([headers(1, b"\x82", whole=False), continuation(1, b"\x80")], ends("COMPRESSION_ERROR")),
    "HPACK: an evicted entry": (
        [headers(1, block(*request()) + literal(b"a", b"b", 0x40)), answered(1), headers(3, b"\x20\x3f\xe1\x1f" + block(*request()) + b"\xbe")],
        ends("COMPRESSION_ERROR")),
    "HPACK: two sizes of the table": ([headers(1, b"\x20\x3f\xe1\x1f" + block(*request())), answered(1)], IGNORED),
    "HPACK: an entry larger than the table": (
        [headers(1, b"\x3f\x01" + block(*request()) + literal(b"a", b"b" * 100, 0x40)), answered(1)], IGNORED),
    "HPACK: every kind of field": (
        [headers(1, b"\x82\x86\x41\x04test\x04\x02/x" + literal(b"a", b"1", 0x40) + literal(b"b", b"2", 0x10) + b"\x0f\x2b\x00" + b"\xbe"),
         answered(1)], IGNORED),
    "HPACK: Huffman text": ([headers(1, b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"), answered(1)], IGNORED),
    # Bounds
    "100 fields": ([headers(1, block(*request(), *[(b"a", b"b")] * 96)), answered(1)], IGNORED),
    "129 fields": ([headers(1, block(*request(), *[(b"a", b"b")] * 125)), answered(1, 431)], IGNORED),
    "1,001 fields": (headers(1, block(*request(), *[(b"a", b"b")] * 997)), ends("ENHANCE_YOUR_CALM")),
    "900 fields of 4,000 bytes out of the table": (
        [headers(1, block(*request()) + literal(b"a", b"b" * 4000, 0x40) + b"\xbe" * 900), answered(1, 431)], IGNORED),
    "a field block in 16 frames": (
        [headers(1, block(*request()), whole=False), *[continuation(1, block((b"a", b"b")), whole=n == 14) for n in range(15)], answered(1)],
        IGNORED),
    "a field block in 17 frames": (
        [headers(1, block(*request()), whole=False), *[continuation(1, block((b"a", b"b")), whole=n == 15) for n in range(16)]],
        ends("ENHANCE_YOUR_CALM")),
    "a field block with three empty frames": (
        [headers(1, block(*request()), whole=False), *[continuation(1, whole=n == 2) for n in range(3)]], ends("ENHANCE_YOUR_CALM")),
    "a field block of more than 64 KiB": (
        [headers(1, block(*request()) + literal(b"a", bytes(80_000))[:16_000], whole=False), *[continuation(1, bytes(16_000), whole=False)] * 4],
        ends("ENHANCE_YOUR_CALM")),
    "64 entries in SETTINGS": (settings(*[(0xff, 1)] * 64), IGNORED),
    "65 entries in SETTINGS": (settings(*[(0xff, 1)] * 65), ends("ENHANCE_YOUR_CALM")),
    "16 empty DATA frames": ([*OPEN, data(1) * 16], IGNORED),
    "17 empty DATA frames": ([*OPEN, data(1) * 17], resets("ENHANCE_YOUR_CALM")),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_are_answered_as_the_standard_says(table, name):
    for pieces in (None, 1):
        check(table, *FRAMES[name], pieces)


@pytest.mark.parametrize("name", [
    "POST with trailers", "HEADERS with a priority and padding", "CONTINUATION", "reset by the proxy: DATA", "PING inside of a field block",
    "HPACK: every kind of field", "PRIORITY_UPDATE", "WINDOW_UPDATE over 2^31-1 on the connection"])
def test_the_answer_is_the_same_wherever_the_bytes_are_divided(table, name):
    steps, expected = FRAMES[name]
    steps = [steps] if isinstance(steps, bytes) else steps
    whole = b"".join(step for step in steps if isinstance(step, bytes))
    waits = [step for step in steps if not isinstance(step, bytes)]
    for place in range(1, len(whole)):
        pause = lambda client: time.sleep(0.001) or True
        check(table, [whole[:place], pause, whole[place:], *waits], expected)


# The beginning (3.4)


BEGINNINGS = {
    "no preface": settings(), "a request of HTTP/1.1": b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n",
    **{f"a wrong octet at {place}": PREFACE[:place] + b"\0" + PREFACE[place + 1:] + settings() for place in range(len(PREFACE))},
    **{f"{name} before SETTINGS": PREFACE + octets for name, octets in {
        "HEADERS": get(1), "PING": ping(), "WINDOW_UPDATE": window_update(0, 1), "an unknown frame": frame(0xff),
        "an acknowledgement": settings(flags=ACK), "GOAWAY": frame(GOAWAY, 0, bytes(8)), "PRIORITY": frame(PRIORITY, 1, bytes(5))}.items()},
    "SETTINGS on a stream": PREFACE + settings(stream=1),
}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_a_connection_that_begins_otherwise_is_ended(table, name):
    for pieces in (None, 1):
        with RawConnection(table[0].port, b"") as client:
            client.send(BEGINNINGS[name] + get(1), pieces)
            assert client.wait_for_end() in ("fin", "ConnectionResetError")
            assert [(kind, code) for kind, _, code in client.outcome()] in ([], [("goaway", "PROTOCOL_ERROR")])
            assert not client.heads


def test_the_proxys_settings_come_at_once_and_say_what_they_have_to(table):
    with RawConnection(table[0].port, PREFACE) as client:
        kind, flags, stream, payload = client.wait(lambda: client.frames)[0]
        assert (kind, flags, stream) == (SETTINGS, 0, 0)
        said = {int.from_bytes(payload[at: at + 2], "big"): int.from_bytes(payload[at + 2: at + 6], "big") for at in range(0, len(payload), 6)}
        assert len(said) * 6 == len(payload) and said[3] == MAXIMUM_STREAMS and said[9] == 1 and said[8] == 1 and said[6] >= 16_384
        assert 2 not in said and said.get(4, 65_535) >= 65_535 and said.get(5, 16_384) == 16_384
