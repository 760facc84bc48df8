"""What is measured of HTTP/2: event streams that share connections over TLS 1.3. Scenarios as in scenarios.py."""

import dataclasses

from scenarios import Figure, Part, Scenario, events_cost, memory, per, usual

FULL, PAGE = 100, 6     # streams on a connection: as many as all take, and a page's
SHARED = ["--tls", "--shared"]


def connection(full: dict, page: dict) -> float:
    """KiB of a connection, from the memory of a stream where a hundred, and where six share one."""
    return (memory(page) - memory(full)) / (1 / PAGE - 1 / FULL)


def without_connection(full: dict, page: dict) -> float:
    return memory(full) - connection(full, page) / FULL


def late(result: dict) -> float:
    return result["latency_us"]["99"]


def speaks(name: str) -> bool:
    """Contenders that serve HTTP/2."""
    return (usual(name) or name == "nghttpx") and name != "floor"


def scenarios(streams: int, setting) -> list[Scenario]:
    """`streams` is how many are held; `setting` makes what every proxy needs for TLS and HTTP/2."""
    page_streams = streams // PAGE * PAGE
    records = Figure("records", "TLS records", "records/event", per("records", "events", 1), compared=False)
    cost = Figure("cpu", "CPU", "µs/event", events_cost)
    full = Part(
        "h2-idle, full", "/idle", ["--first", str(FULL), "--warm-ms", "1000", *SHARED, str(FULL)], streams=streams // FULL * FULL,
        window=0.2, setting=setting, contenders=speaks,
        figures=[Figure("memory", f"memory, {FULL} to a connection", "KiB/stream", memory),
                 Figure("opening", f"CPU to establish, {FULL} to a connection", "µs/stream", per("opening_proxy_ns", "opened", 1e-3))])
    page = dataclasses.replace(
        full, name="h2-idle, page", load=["--first", str(PAGE * 20), "--warm-ms", "1000", *SHARED, str(PAGE)], streams=page_streams,
        figures=[Figure("memory", f"memory, {PAGE} to a connection", "KiB/stream", memory),
                 Figure("stream", "memory, the stream alone", "KiB", lambda it, other: without_connection(other, it), beside=full.name),
                 Figure("connection", "memory, the connection alone", "KiB", lambda it, other: connection(other, it), beside=full.name)])
    fan = Part(
        "h2-fan", "/fan", ["--warm-ms", "300", *SHARED, str(FULL)], streams=4 * FULL, interval_ms=100, window=2, setting=setting,
        contenders=speaks, figures=[cost, records])
    broadcast = dataclasses.replace(fan, name="h2-broadcast", path="/broadcast")
    heartbeat = Part(
        "h2-heartbeat", "/heartbeat", ["--heartbeats", "--warm-ms", "1200", *SHARED, str(FULL)], streams=4 * FULL, interval_ms=1000,
        window=2, whole_seconds=True, weaving_path="/idle", setting=lambda: {**setting(), "heartbeat_seconds": 1}, contenders=speaks,
        figures=[Figure("cpu", "CPU", "µs/heartbeat", per("proxy_ns", "heartbeats", 1e-3)),
                 Figure("records", "TLS records", "records/heartbeat", per("records", "heartbeats", 1), compared=False)])
    often = ["--repeat", "--warm-ms", "200", *SHARED, "32"]
    churn = [
        # nghttpx takes so many resets for an attack and ends the connection.
        Part("h2-churn, close", "/leave", [*often, "--leave-after", "3", "--most", "12000"], streams=32, saturates=True, setting=setting,
             contenders=lambda name: speaks(name) and name != "nghttpx",
             figures=[Figure("close", "CPU, stream reset after three events", "µs/stream", per("proxy_ns", "responses", 1e-3))]),
        Part("h2-churn, end", "/keep", often, streams=32, saturates=True, setting=setting, contenders=speaks,
             figures=[Figure("keep", "CPU, stream ends after three events", "µs/stream", per("proxy_ns", "responses", 1e-3))])]
    plain = Part("h2-plain", "/small", often, streams=32, saturates=True, setting=setting, contenders=speaks,
                 figures=[Figure("small", "CPU, 200 bytes", "µs/request", per("proxy_ns", "responses", 1e-3))])
    alone = Part(
        "h2-unread, all are read", "/fan", ["--warm-ms", "500", *SHARED, str(FULL)], streams=FULL, interval_ms=20, window=2,
        setting=setting, contenders=speaks, figures=[Figure("latency", "latency, all streams read, 99 %", "µs", late, compared=False)])
    unread = dataclasses.replace(
        alone, name="h2-unread, one is not", load=[*alone.load, "--unread", "/burst"],
        figures=[Figure("latency", "latency, one stream not read, 99 %", "µs", late),
                 Figure("slower", "the same, against all read", "times", lambda it, other: late(it) / late(other), beside=alone.name,
                        compared=False)])
    # Node's windows: an unread stream may use up the connection's.
    narrow = dataclasses.replace(
        unread, name="h2-unread, narrow", load=[*unread.load, "--narrow"],
        figures=[Figure("came", "events that came, windows of 64 KiB", "%",
                        lambda it: 100 * it["events"] / ((FULL - 1) * it["seconds"] * 50), more_is_better=True)])
    return [
        Scenario("h2-idle", "idle streams of HTTP/2 over TLS 1.3", [full, page]),
        Scenario("h2-fan", "400 streams on 4 connections, each 10 events/s of 200 bytes", [fan]),
        Scenario("h2-broadcast", "the same, all in the same instant", [broadcast]),
        Scenario("h2-heartbeat", "400 idle streams on 4 connections, one heartbeat a second", [heartbeat]),
        Scenario("h2-churn", "32 streams at a time, three events and the end", churn),
        Scenario("h2-plain", "ordinary responses", [plain]),
        Scenario("h2-unread", "99 streams with 50 events/s beside one that is not read", [alone, unread, narrow]),
    ]
