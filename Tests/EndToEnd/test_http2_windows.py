"""HTTP/2's windows, streams above the limit, and a bystander on the same connection, with raw frames."""

from support.frames import (
    ACK, DATA, PING, PREFACE, PRIORITY, SETTINGS, WINDOW_UPDATE, RawConnection, block, data, frame, get, headers, literal, number, ping,
    post, request, reset, settings, window_update)
from test_http2_conformance import HUGE, IGNORED, MAXIMUM_STREAMS, OUR_RESET, check, ends, resets, table  # noqa: F401 (a fixture)

WEBSOCKET = (b":protocol", b"websocket")


def test_each_settings_is_acknowledged_once_and_ping_with_its_own_octets(table):
    with RawConnection(table[0].port) as client:
        for octets in (b"\0" * 8, b"\xff" * 8, b"12345678"):
            client.send(settings((3, 1)) + ping(octets))
            client.wait(lambda: (PING, ACK, 0, octets) in client.frames)
        assert [f for f in client.frames if f[0] == SETTINGS][1:] == [(SETTINGS, ACK, 0, b"")] * 4
        assert len([f for f in client.frames if f[0] == PING]) == 3


# Windows (6.9), of streams that the client reads


def pieces_of(client, stream) -> list:
    return [payload for kind, _, number, payload in client.frames if kind == DATA and number == stream]


def test_no_octet_comes_without_a_window_for_it(table):
    path = b"/window"
    with RawConnection(table[0].port, PREFACE + settings((4, 3))) as client:
        client.send(get(1, path))
        client.wait(lambda: pieces_of(client, 1) == [b"/wi"])
        # 3 were used: the window is -1, then 0, and then 1.
        client.send(settings((4, 2)) + window_update(1, 1))
        assert client.is_alive() and pieces_of(client, 1) == [b"/wi"]
        client.send(window_update(1, 1))
        client.wait(lambda: pieces_of(client, 1) == [b"/wi", b"n"])
        # Entries count in their order.
        client.send(settings((4, 100), (4, 4)))
        client.wait(lambda: pieces_of(client, 1) == [b"/wi", b"n", b"do"] )
        for octet in (b"w",):
            client.send(window_update(1, 1))
            client.wait(lambda: pieces_of(client, 1)[-1] == octet)
        assert client.is_whole(1) and client.bodies[1] == path and client.outcome() == []


def test_a_window_of_zero_holds_the_body_back_and_nothing_else(table):
    with RawConnection(table[0].port, PREFACE + settings((4, 0))) as client:
        client.send(get(1))
        client.wait(lambda: client.status(1))
        client.send(post(3, b"/head") + data(3, b"x", end=True) + get(5, method=b"HEAD") + get(7) + reset(7))
        client.wait(lambda: client.status(3) and client.is_whole(5))
        assert client.is_alive() and not client.bodies and not client.has_ended(1)
        client.send(settings((4, 1)))
        client.wait(lambda: client.bodies == {1: b"/", 3: b"/"})
        client.send(settings((4, 65_535)))
        client.wait(lambda: client.is_whole(1) and client.is_whole(3))
        assert client.bodies == {1: b"/x", 3: b"/head"}


# Streams that hold what they get: tunnels whose server has not answered yet


def tunnel(stream) -> bytes:
    return headers(stream, block((b":method", b"CONNECT"), WEBSOCKET, *request(b"/silence", None)), end=False)


def fill(stream, count=65_535) -> bytes:
    return b"".join(data(stream, bytes(min(16_384, count - at))) for at in range(0, count, 16_384))


def test_more_than_a_streams_window_resets_it(table):
    for exact, more in ((65_535, b"x"), (65_534, b"xx")):
        check(table, [tunnel(1), fill(1, exact), data(1, more)], resets("FLOW_CONTROL_ERROR"))
    check(table, [tunnel(1), fill(1, 65_500), data(1, b"", pad=35)], resets("FLOW_CONTROL_ERROR"))
    check(table, [tunnel(1), fill(1), data(1, b"")], IGNORED)


def test_more_than_the_connections_window_ends_it(table):
    # The connection's window is as large as those of all streams together.
    full = [tunnel(1 + 2 * n) + fill(1 + 2 * n) for n in range(MAXIMUM_STREAMS)] + [get(101)]
    check(table, [*full, data(101, b"x")], ends("FLOW_CONTROL_ERROR", ("reset", 101, "REFUSED_STREAM")))
    with RawConnection(table[0].port) as client:
        for step in full:
            client.send(step)
        # What the streams held is given back when they end: there is room for others.
        for n in range(MAXIMUM_STREAMS // 2 + 1):
            client.send(reset(1 + 2 * n))
        client.wait(lambda: [f for f in client.frames if f[0] == WINDOW_UPDATE and f[2] == 0][1:])
        client.send(post(103) + data(103, b"y", end=True))
        client.wait(lambda: client.is_whole(103))


def test_data_that_nobody_takes_is_given_back_to_the_connection(table):
    with RawConnection(table[0].port) as client:
        client.send(post(1) + window_update(1, 0))
        for _ in range(79):
            client.send(data(1, bytes(16_384)))
        assert client.is_alive() and client.outcome() == [OUR_RESET]
        first, *returned = [int.from_bytes(f[3], "big") for f in client.frames if f[0] == WINDOW_UPDATE and f[2] == 0]
        assert sum(returned) * 2 >= first + 65_535


# Too many streams (5.1.2)


def test_a_stream_too_many_is_refused_and_its_fields_count(table):
    with RawConnection(table[0].port) as client:
        for n in range(MAXIMUM_STREAMS):
            client.send(get(1 + 2 * n, b"/silence"))
        client.send(headers(101, block(*request(None)) + literal(b":path", b"/refused", 0x40)))
        client.send(data(101, b"x") + headers(101, block((b"a", b"b"))) + window_update(101, 1) + reset(1))
        client.send(headers(103, block(*request(None)) + b"\xbe"))
        client.wait(lambda: client.is_whole(103))
        assert client.outcome() == [("reset", 101, "REFUSED_STREAM")] and client.bodies[103] == b"/refused"
        client.send(headers(105, b"\x80"))
        assert client.wait_for_end() and client.outcome()[-1][2] == "COMPRESSION_ERROR"


# A bystander on the same connection


def test_an_event_stream_goes_on_beside_every_fault_of_its_neighbours(table):
    faults = [post(1, b"/silence") + octets for octets in (
        window_update(1, 0), window_update(1, HUGE), data(1, bytes(16_385)), frame(PRIORITY, 1, bytes(4)), headers(1, b"", end=False),
        data(1) * 17, headers(1, block((b"A", b"b"))))]
    faults += [get(1, b"/silence") + octets for octets in (data(1, b"x"), headers(1, b""), reset(1))]
    faults += [headers(1, block((b":path", b"/x"))), post(1, b"/silence", (b"content-length", b"1")) + data(1, b"xx", end=True)]
    with RawConnection(table[0].port) as client:
        client.send(get(1, b"/events"))
        client.wait(lambda: client.bodies.get(1))
        for at, fault in enumerate(faults * 5):
            client.send(renumbered(fault, 3 + 2 * at))
            assert client.is_alive()
        assert {stream for _, stream, _ in client.outcome()}.isdisjoint({0, 1}) and not client.has_ended(1)
        assert client.ask(1_000_001) == b"/alive"


def renumbered(octets, stream) -> bytes:
    """The same frames on another stream."""
    found = b""
    while octets:
        size = 9 + int.from_bytes(octets[:3], "big")
        found, octets = found + octets[:5] + number(stream) + octets[9:size], octets[size:]
    return found
