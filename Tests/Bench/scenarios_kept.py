"""What is measured of routes that keep and share streams: Heartwire alone, with `history` against without. Scenarios as in scenarios.py."""

import dataclasses

from scenarios import Figure, Part, Scenario, events_cost, memory

# More than a hundred events of 200 bytes, so that bounds take nothing.
HISTORY = "history {\n    events 1000\n    size 256KiB\n    away 10m\n}\n"
# A client that joins gets the last event at once.
SHARED = f"{HISTORY}identity public\nshare replay 1\n"
MISSED = 100


def ours(name: str) -> bool:
    return name.startswith("Heartwire")


def growth(result: dict) -> float:
    """MiB above what all clients took while they were live the first time."""
    return max(0, result["memory_peak_kib"] - result["memory_live_kib"]) / 1024


def scenarios(streams: int, brief: bool) -> list[Scenario]:
    """`streams` is how many are held; `brief` is for the self-test."""
    def kept():
        return {"kept": HISTORY}

    def shared():
        return {"kept": SHARED}

    first = ["--first", "100", "--warm-ms", "1000", "--opening-events"]
    plain = Part("kept-idle, plain", "/silent", [*first, "0"], streams=streams, window=0.2, contenders=ours,
                 figures=[Figure("memory", "memory, no history, no event", "KiB/stream", memory)])
    quiet = dataclasses.replace(
        plain, name="kept-idle", setting=kept,
        figures=[Figure("memory", "memory, history, no event", "KiB/stream", memory)])
    away = dataclasses.replace(
        quiet, name="kept-idle, away", load=[*plain.load, "--leaves"],
        figures=[Figure("memory", "memory, the same after its client has left", "KiB/stream", memory),
                 Figure("more", "the same, above one with its client", "KiB/stream", lambda it, other: memory(it) - memory(other),
                        beside=quiet.name)])
    full = dataclasses.replace(
        quiet, name="kept-idle, full", path="/hundred", load=[*first, "100"], streams=min(streams, 2000),
        figures=[Figure("memory", f"memory, history of {MISSED} events of 200 bytes", "KiB/stream", memory)])
    fan = Part("kept-fan, plain", "/fan", ["--warm-ms", "300"], streams=2000, interval_ms=100, window=2, contenders=ours,
               figures=[Figure("cpu", "CPU, no history", "s/1M events", events_cost)])
    kept_fan = dataclasses.replace(
        fan, name="kept-fan", setting=kept,
        figures=[Figure("cpu", "CPU, history", "s/1M events", events_cost),
                 Figure("ratio", "the same, against no history", "times", lambda it, other: events_cost(it) / events_cost(other),
                        beside=fan.name)])
    each = Part("shared, each its own", "/broadcast", ["--warm-ms", "300", "--rounds"], streams=2000, interval_ms=100, window=2,
                contenders=ours, figures=[Figure("cpu", "CPU, each client a stream of its own", "s/1M events", events_cost)])
    together = dataclasses.replace(
        each, name="shared", load=[*each.load, "--joins"], setting=shared,
        figures=[Figure("cpu", "CPU, one stream for all", "s/1M events", events_cost),
                 Figure("ratio", "the same, against streams of their own", "times",
                        lambda it, other: events_cost(it) / events_cost(other), beside=each.name),
                 Figure("last", "until the last has it, median", "ms", lambda it: it["round_us"]["median"] / 1000),
                 Figure("bytes", "bytes of the server's, against streams of their own", "1/1000",
                        lambda it, other: 1000 * (it["origin_bytes"] / it["seconds"]) / (other["origin_bytes"] / other["seconds"]),
                        beside=each.name)])
    crowd = Part("crowd", "/broadcast", ["--warm-ms", "300", "--joins", "--return-ms", str(MISSED * 10)], streams=200 if brief else 2000,
                 interval_ms=10, contenders=ours, setting=shared,
                 figures=[Figure("live", f"until the last has all that it missed ({MISSED} events) and is live", "ms",
                                 lambda it: it["return_us"]["most"] / 1000),
                          Figure("missed", "events missed", "events/client", lambda it: it["missed"] / it["streams"]),
                          Figure("memory", "the proxy's memory at most, above that of the live ones", "MiB", growth)])
    return [
        Scenario("kept-idle", f"{streams:,} idle streams that are kept", [plain, quiet, away, full]),
        Scenario("kept-fan", "2,000 kept streams, each 10 events/s of 200 bytes", [fan, kept_fan]),
        Scenario("shared", "the same, one stream for all", [each, together]),
        Scenario("crowd", f"{crowd.streams:,} clients of one stream come back at once", [crowd]),
    ]
