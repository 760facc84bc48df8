"""Random event streams and random ways of cutting them up, from a seed that is printed on failure."""

import os
import random


def seed() -> int:
    """The seed of this run: $HEARTWIRE_SEED, or a fresh one. Printed, so that a failure can be repeated."""
    value = int(os.environ.get("HEARTWIRE_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"HEARTWIRE_SEED={value}")
    return value


def _value(chance: random.Random) -> bytes:
    kind = chance.randrange(9)
    if kind == 0:
        return b""
    if kind == 1:
        return bytes(chance.choice(b"\x00\x01\x1b\x7f\x80\xc3\xff: \t\xef\xbb\xbf") for _ in range(chance.randrange(1, 9)))
    if kind == 2:
        return "žluťoučký kůň 🐎 ".encode() * chance.randrange(1, 4)
    if kind == 3:
        return b"x" * chance.choice((200, 255, 256, 257, 1500, 9000))
    return bytes(chance.choice(b"abcdefghij 0123456789:") for _ in range(chance.randrange(1, 30)))


def _line(chance: random.Random) -> bytes:
    kind = chance.randrange(12)
    space = chance.choice((b"", b" ", b"  "))
    if kind <= 4:
        return b"data:" + space + _value(chance)
    if kind == 5:
        return b"id:" + space + _value(chance)
    if kind == 6:
        return b"event:" + space + chance.choice((b"update", b"message", b"", b"heartbeat ", _value(chance)))
    if kind == 7:
        return b"retry:" + space + chance.choice((b"1500", b"0", b"007", b"-1", b"12a", b"", b"99999"))
    if kind == 8:
        return b":" + _value(chance)
    if kind == 9:
        return chance.choice((b"data", b"id", b"retry", b"event", b"unknown: field", b"\xef\xbb\xbfdata: not first"))
    if kind == 10:
        return _value(chance)
    return b"data: tick"


def random_stream(chance: random.Random, lines: int) -> bytes:
    """A stream with everything in it: mixed line ends, comments, marks, NULs, invalid UTF-8, any ending."""
    ends = chance.choice(((b"\n",), (b"\r\n",), (b"\r",), (b"\n", b"\r\n", b"\r"), (b"\r", b"\n")))
    stream = chance.choice((b"", b"", b"\xef\xbb\xbf", b"\xef\xbb", b"\xef\xbb\xbf\xef\xbb\xbf"))
    for _ in range(lines):
        stream += (_line(chance) if chance.random() < 0.7 else b"") + chance.choice(ends)
    if chance.random() < 0.5:
        stream += _line(chance)
    return stream


def random_split(chance: random.Random, stream: bytes, most: int) -> list:
    """Cuts a stream into at most that many non-empty pieces; line ends and the mark are favourite places."""
    if len(stream) < 2:
        return [stream] if stream else []
    places = set()
    for _ in range(most - 1):
        if chance.random() < 0.6:
            at = chance.randrange(len(stream))
            near = [stream.find(mark, at) for mark in (b"\r", b"\n", b"\xef", b":")]
            near = [place for place in near if place >= 0]
            at = min(near) + chance.choice((0, 1)) if near else at
        else:
            at = chance.randrange(len(stream))
        if 0 < at < len(stream):
            places.add(at)
    cuts = [0, *sorted(places), len(stream)]
    return [stream[a:b] for a, b in zip(cuts, cuts[1:])]
