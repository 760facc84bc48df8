"""Reads the proxy's logs: JSON lines of the events proxy_start, stream_open, stream_end, access, stream_event and stream_heartbeat."""

import json
import pathlib
import re
import time

# Every cause that the manual lists. Unit tests compare the manual with the code, and a cause outside of this list is a failure.
MANUAL = pathlib.Path(__file__).resolve().parents[3] / "conf" / "logs.md"
CAUSES = set(re.findall(r"(?m)^\| `(\w+)` \| (?:client|upstream|proxy) \|", MANUAL.read_text()))
assert len(CAUSES) > 25


class Log:
    """One log file that the proxy is writing."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    def raw(self) -> bytes:
        return self.path.read_bytes() if self.path.exists() else b""

    def records(self) -> list:
        """All complete lines but those about the proxy itself (proxy_start)."""
        return [record for record in self.lines() if record["event"] != "proxy_start"]

    def lines(self) -> list:
        """All complete lines. Each has to be one JSON object without control characters."""
        found = []
        for line in self.raw().split(b"\n")[:-1]:
            assert not re.search(rb"[\x00-\x1f\x7f]", line), f"a control character in the log line {line!r}"
            try:
                record = json.loads(line)
            except ValueError as error:
                raise AssertionError(f"{self.path.name}: not JSON ({error}): {line!r}")
            assert isinstance(record, dict) and "event" in record and "time" in record, f"incomplete line {line!r}"
            assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z", record["time"]), record["time"]
            found.append(record)
        return found

    def wait_for(self, wanted, timeout: float = 15, count: int = 1) -> list:
        """Waits until at least `count` records satisfy the predicate; returns all that do.

        Records that belong together still come one after the other, those of several workers in any order.
        So a test that looks at several of them says how many there must be.
        """
        deadline = time.monotonic() + timeout
        while True:
            found = [record for record in self.records() if wanted(record)]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, (
                f"{len(found)} of {count} such lines in {self.path.name} within {timeout} s; it holds\n"
                + "\n".join(json.dumps(record) for record in self.records()[-12:]))
            time.sleep(0.02)

    def openings(self, count: int, timeout: float = 15) -> list:
        """The stream_open records of all streams, once there are so many."""
        return self.wait_for(lambda r: r["event"] == "stream_open", timeout, count)

    def endings(self, count: int, timeout: float = 15) -> list:
        """The stream_end records of all streams, once there are so many."""
        return self.wait_for(lambda r: r["event"] == "stream_end", timeout, count)

    def ending(self, path: str, timeout: float = 15) -> dict:
        """The one stream_end record of a path; a second one is a failure."""
        found = self.wait_for(lambda r: r["event"] == "stream_end" and r.get("path") == path, timeout)
        assert len(found) == 1, f"{len(found)} endings for one stream: {found}"
        return found[0]

    def opening(self, path: str, timeout: float = 15) -> dict:
        found = self.wait_for(lambda r: r["event"] == "stream_open" and r.get("path") == path, timeout)
        assert len(found) == 1, f"{len(found)} openings for one stream: {found}"
        return found[0]

    def events(self, opening: dict, count: int, timeout: float = 15) -> list:
        """The lines about single events and heartbeats of the stream with this opening, once there are so many."""
        deadline = time.monotonic() + timeout
        while True:
            found = [r for r in self.records() if r["event"] in ("stream_event", "stream_heartbeat") and r["stream"] == opening["stream"]]
            if len(found) >= count:
                assert len(found) == count, f"{len(found)} lines, not {count}: {found}"
                return found
            assert time.monotonic() < deadline, f"{len(found)} lines of {opening['stream']}, not {count}: {found}"
            time.sleep(0.02)

    def access(self, path: str, timeout: float = 15) -> dict:
        found = self.wait_for(lambda r: r["event"] == "access" and r.get("path") == path, timeout)
        assert len(found) == 1, f"{len(found)} access lines for one exchange: {found}"
        return found[0]


def check_ending(record: dict, cause: str):
    """What every ending must have: exactly this cause, its evidence, and the kernel's view of the client."""
    assert record["cause"] in CAUSES, f"undocumented cause {record['cause']!r}"
    assert record["cause"] == cause, f"cause {record['cause']!r} with evidence {record.get('evidence')!r}, not {cause!r}"
    assert record.get("evidence"), f"no evidence in {record}"
    expected_side = {"client": "client", "upstream": "upstream", "connect": "upstream"}.get(cause.split("_")[0])
    assert expected_side in (None, record["side"]), f"side {record['side']} for {cause}"
    check_transport(record)


def check_transport(record: dict):
    """The record's `tcp` object: the kernel's own numbers for the client connection (TCP_INFO)."""
    view = record.get("tcp")
    assert isinstance(view, dict), f"no TCP view in {record}"
    for key in ("rtt_us", "rtt_variance_us", "retransmits", "total_retransmits", "unacknowledged_bytes",
                "since_last_ack_ms", "since_last_sent_ms"):
        assert isinstance(view.get(key), int) and view[key] >= 0, f"no {key} in the TCP view {view}"
    assert view["state"], view
