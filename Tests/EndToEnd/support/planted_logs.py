"""Logs whose truth is known: streams as people make them, and one cause that ends some of them. Every line has the keys of a real one."""

import json
import random

START = 1_795_233_600_000  # 2026-11-21T04:00:00Z


def moment(milliseconds):
    seconds, rest = divmod(int(milliseconds), 1000)
    days, seconds = divmod(seconds - 1_795_219_200, 86_400)
    return f"2026-11-{21 + days:02d}T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}Z"


class Planted:
    """`silence` says after how many seconds of silence a hop cuts, `age` at which age; `side` on which side it stands."""

    def __init__(self, seed=1, people=40, hours=4.0, silence=None, age=None, side="client", heartbeat=None, addresses=3, hops=("nginx",)):
        self.chance = random.Random(seed)
        self.lines = []
        self.number = 0
        self.silence, self.age, self.side, self.heartbeat = silence, age, side, heartbeat
        self.addresses, self.hops = addresses, hops
        for person in range(people):
            self.person(person, START + self.chance.randrange(int(hours * 1_800_000)), START + hours * 3_600_000)
        self.lines.sort(key=lambda line: line[0])

    def person(self, person, time, until):
        """Comes, is cut and comes back after its retry, until it leaves by itself."""
        resumes = False
        leaves = time + self.chance.expovariate(1 / 2_400_000) + 20_000
        while time < min(leaves, until):
            ended, was_cut = self.stream(person, time, min(leaves, until), resumes)
            if not was_cut:
                return
            time = ended + 3_000 + self.chance.randrange(200)
            resumes = True

    def stream(self, person, opened, leaves, resumes):
        self.number += 1
        # The server speaks now and then; the heartbeat speaks in between.
        last, longest, events, beats = opened, 0, 0, 0
        cut_at = opened + self.age * 1000 + self.chance.randrange(8) if self.age else float("inf")
        while True:
            gap = self.chance.expovariate(1 / 30_000) + 200
            if self.heartbeat and gap > self.heartbeat:
                gap, beats = self.heartbeat, beats + 1
            else:
                events += 1
            if self.silence and gap >= self.silence * 1000:
                cut_at = min(cut_at, last + self.silence * 1000 + self.chance.randrange(6))
            if last + gap >= min(cut_at, leaves):
                break
            longest, last = max(longest, gap), last + gap
        ended = min(cut_at, leaves)
        was_cut = cut_at < leaves
        self.write(person, opened, ended, int(ended - last), int(max(longest, ended - last)), events, beats, was_cut, resumes)
        return ended, was_cut

    def write(self, person, opened, ended, silence, longest, events, beats, was_cut, resumes):
        common = {
            "stream": f"w0-{self.number:06d}", "route": "/events/*", "upstream": "backend", "server": f"10.0.0.{person % 2 + 1}:9000",
            "client": f"192.0.2.{person % self.addresses}:{20_000 + self.number % 40_000}", "client_forwarded": f"198.51.100.{person}",
            "host": "www.example.com", "path": "/events/prices", "method": "GET", "status": 200, "token": f"{person * 7919:016x}",
            "token_from": "query", "resumes": resumes, "http": "1.1", "agent": "chrome", "hops": list(self.hops),
        }
        woven = {"woven": bool(self.heartbeat)} | ({"heartbeat_ms": self.heartbeat} if self.heartbeat else {})
        self.lines.append((opened, {"time": moment(opened), "event": "stream_open"} | common | woven))
        is_upstream = was_cut and self.side == "upstream"
        cause, side, evidence = (
            ("upstream_cut_off", "upstream", "closed before the last chunk") if is_upstream else ("client_closed", "client", "FIN received")
        )
        self.lines.append((ended, {"time": moment(ended), "event": "stream_end"} | common | {
            "cause": cause, "side": side, "evidence": evidence, "duration_ms": int(ended - opened), "first_event_ms": 40 if events else None,
            "connect_ms": 1, "response_ms": 9, "events": events, "bytes_from_upstream": events * 60, "bytes_to_client": events * 60,
            "heartbeats": beats, "longest_upstream_silence_ms": longest, "longest_client_silence_ms": longest,
            "upstream_silence_at_end_ms": silence, "client_silence_at_end_ms": silence, "client_silence_before_last_write_ms": 0,
            "retry_ms": 3000} | woven | {
            "mid_line": False, "tcp": {"state": "close_wait", "retransmits": 0, "since_last_sent_ms": silence},
            "upstream_tcp": {"state": "established", "retransmits": 0, "since_last_received_ms": silence}}))

    def text(self):
        return "".join(json.dumps(line, separators=(",", ":")) + "\n" for _, line in self.lines)
