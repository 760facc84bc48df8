"""What is measured: the scenarios, their parts, and the figures that each part gives.

A part is one run of the generator against one contender. How a contender is set up for it is `Setting`'s (peers.py); how long it lasts and
how often it is repeated is bench.py's.
"""

import dataclasses
from collections.abc import Callable

from peers import Setting


@dataclasses.dataclass
class Figure:
    key: str
    label: str
    unit: str
    value: Callable[..., float]     # of a result, and of the result that stands beside it
    more_is_better: bool = False
    less_direct: bool = False       # the same measurement without a proxy is subtracted
    compared: bool = True           # with the peers and the floor
    beside: str = ""                # the part that was measured in the same repetition and that `value` needs too


@dataclasses.dataclass
class Part:
    name: str
    path: str
    load: list[str]
    figures: list[Figure]
    interval_ms: int = 0            # at which the origin sends to each stream
    streams: int = 0
    window: float = 1.0             # in units of the bench's usual window
    whole_seconds: bool = False     # so that the window holds the same number of every contender's heartbeats
    setting: Callable[[], dict] = dict
    contenders: Callable[[str], bool] = lambda name: True
    weaving_path: str | None = None  # the path for contenders that make heartbeats themselves
    saturates: bool = False         # as fast as possible, instead of by the clock
    tokens: "Tokens | None" = None  # that the requests bring
    metric: str = ""                # of Heartwire's own, which the result has too
    flood: list[str] | None = None  # a second generator beside the measured one; the tokens are then the flood's


@dataclasses.dataclass(frozen=True)
class Tokens:
    algorithm: str
    count: int                      # of different ones
    are_checked: bool = True
    are_forged: bool = False
    have_claims: bool = False       # that the route requires, and tells the server


@dataclasses.dataclass
class Scenario:
    name: str
    about: str
    parts: list[Part]


def per(total: str, count: str, scale: float) -> Callable[[dict], float]:
    return lambda result: result[total] / result[count] * scale


def memory(result: dict) -> float:
    return (result["memory_after_kib"] - result["memory_before_kib"]) / result["opened"]


def events_cost(result: dict) -> float:
    return result["proxy_ns"] / result["events"] / 1000


def usual(name: str) -> bool:
    """Contenders with their usual buffers, without the origin itself. nghttpx is measured where it differs: with HTTP/2."""
    return "64k" not in name and name not in ("direct", "nghttpx")


EVENT_BYTES, BURST_BYTES = 200, 1024


def scenarios(streams: int, tls_streams: int, certificate: Callable[[], tuple[str, str]]) -> list[Scenario]:
    """`streams` is what idle and heartbeat hold: 9,800, or what the machine's descriptors allow."""
    idle = Part(
        "idle", "/idle", ["--first", "100", "--warm-ms", "1000"], streams=streams, window=0.2, contenders=usual,
        figures=[Figure("memory", "memory", "KiB/stream", memory),
                 Figure("opening", "CPU to establish", "µs/stream", per("opening_proxy_ns", "opened", 1e-3))])
    idle_tls = dataclasses.replace(
        idle, name="idle TLS", load=[*idle.load, "--tls"], streams=tls_streams, setting=lambda: {"tls": certificate()},
        contenders=lambda name: usual(name) and name != "floor",
        figures=[idle.figures[0], Figure("opening", "CPU to establish", "ms/handshake", per("opening_proxy_ns", "opened", 1e-6))])
    cost = Figure("cpu", "CPU", "s/1M events", events_cost)
    fan = Part(
        "fan", "/fan", ["--warm-ms", "300"], streams=2000, interval_ms=100, window=2, contenders=lambda name: usual(name) or name == "direct",
        figures=[cost, Figure("latency", "latency added, median", "µs", lambda result: result["latency_us"]["median"], less_direct=True),
                 Figure("latency-99", "latency added, 99 %", "µs", lambda result: result["latency_us"]["99"], less_direct=True, compared=False)])
    broadcast = Part(
        "broadcast", "/broadcast", ["--warm-ms", "300", "--rounds"], streams=2000, interval_ms=100, window=2, contenders=usual,
        figures=[cost, Figure("last", "until the last has it, median", "ms", lambda result: result["round_us"]["median"] / 1000)])
    burst = Part(
        "burst", "/burst", ["--warm-ms", "300", "--sequence-mask", "63"], streams=50, saturates=True, contenders=lambda name: name not in ("direct", "nghttpx"),
        figures=[Figure("cpu", "CPU", "s/GB", lambda result: result["proxy_ns"] / (result["events"] * BURST_BYTES)),
                 Figure("rate", "rate", "1000 events/s", lambda result: result["events"] / result["seconds"] / 1000, more_is_better=True)])
    heartbeat = Part(
        "heartbeat", "/heartbeat", ["--heartbeats", "--warm-ms", "1200"], streams=streams, interval_ms=1000, window=2, whole_seconds=True, weaving_path="/idle",
        setting=lambda: {"heartbeat_seconds": 1}, contenders=usual,
        figures=[Figure("cpu", "CPU", "s/1M heartbeats", per("proxy_ns", "heartbeats", 1e-3)),
                 Figure("deviation", "off the interval, median", "ms", lambda result: result["deviation_us"]["median"] / 1000, compared=False),
                 Figure("deviation-99", "off the interval, 99 %", "ms", lambda result: result["deviation_us"]["99"] / 1000, compared=False)])
    churn = [
        # h2o does not watch a client while it streams to it: a client that leaves a silent stream keeps it open on both sides, until there is no room.
        Part("churn, close", "/leave", ["--repeat", "--leave-after", "3", "--warm-ms", "200", "--most", "12000"], streams=32, saturates=True,
             contenders=lambda name: usual(name) and name != "h2o", figures=[Figure("close", "CPU, client leaves after three events", "µs/stream", per("proxy_ns", "responses", 1e-3))]),
        Part("churn, keep-alive", "/keep", ["--repeat", "--warm-ms", "200"], streams=32, saturates=True, contenders=usual,
             figures=[Figure("keep", "CPU, keep-alive", "µs/stream", per("proxy_ns", "responses", 1e-3))])]
    plain = [
        Part("plain, small", "/small", ["--repeat", "--warm-ms", "200"], streams=32, saturates=True, contenders=usual,
             figures=[Figure("small", "CPU, 200 bytes", "µs/request", per("proxy_ns", "responses", 1e-3))]),
        Part("plain, large", "/large", ["--repeat", "--warm-ms", "200"], streams=32, saturates=True, contenders=lambda name: name not in ("direct", "nghttpx"),
             figures=[Figure("large", "CPU, 1 MiB", "s/GB", per("proxy_ns", "body_bytes", 1))])]
    # The three parts run next to each other, so that the log and not the time of day makes the difference.
    log = [dataclasses.replace(fan, name=f"log, {logs}", setting=lambda logs=logs: {"logs": logs}, contenders=lambda name: name.startswith("Heartwire"),
                               figures=[Figure(logs, f"CPU, {what}", "s/1M events", events_cost)])
           for logs, what in (("off", "no log"), ("streams", "stream log"), ("events", "stream log and event log"))]
    # The same 20,000 events a second, spread over fewer and more streams, and over two workers that may use every core.
    scale = [dataclasses.replace(
        fan, name=f"scale, {label}", streams=count, interval_ms=count // 20, setting=lambda workers=workers: {"workers": workers},
        contenders=lambda name: name.startswith("Heartwire"), figures=[Figure(key, f"CPU, {label}", "s/1M events", events_cost)])
        for key, label, count, workers in (
            ("few", "100 streams", 100, 1), ("many", f"{streams:,} streams", streams // 20 * 20, 1), ("two", "2,000 streams, two workers", 2000, 2))]
    return [
        Scenario("idle", f"{idle.streams:,} idle streams", [idle]),
        Scenario("idle-tls", f"{idle_tls.streams:,} idle streams over TLS 1.3, ECDSA P-256", [idle_tls]),
        Scenario("fan", "2,000 streams, each 10 events/s of 200 bytes", [fan]),
        Scenario("broadcast", "the same, all in the same instant", [broadcast]),
        Scenario("burst", "50 streams of 1 KiB events as fast as they go", [burst]),
        Scenario("heartbeat", f"{heartbeat.streams:,} idle streams, one heartbeat a second", [heartbeat]),
        Scenario("churn", "three events and the end", churn),
        Scenario("plain", "ordinary responses, keep-alive", plain),
        Scenario("scale", "fan with other numbers of streams and workers", scale),
        Scenario("log", "fan without logs, with the stream log, with a line for each event", log),
    ]
