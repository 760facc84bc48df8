"""Runs the scenarios in turns and prints the table. Tests/bench first installs packages and builds programs, and calls this.

In each repetition of a scenario every contender has one turn, in an order that moves on by one each time: an origin, a proxy and a generator
are started again, pinned (the proxy on one core, the two others on another), measured and killed. So a change of the machine's mood
meets all of them.

Left to others: what is measured (scenarios.py), how proxies are set up (peers.py), what the table looks like (table.py).
"""

import argparse
import json
import os
import pathlib
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import peers
import table
import scenarios_http2
import scenarios_kept
import scenarios_tokens
from scenarios import Figure, Part, Scenario, Tokens, scenarios

SCENARIOS = ("idle, idle-tls, fan, broadcast, burst, heartbeat, churn, plain, scale, log, h2-idle, h2-fan, h2-broadcast, h2-heartbeat, h2-churn, "
             "h2-plain, h2-unread, tokens, token-storm, token-flood, token-idle, kept-idle, kept-fan, shared, crowd")
HERE = pathlib.Path(__file__).resolve().parent


class Bench:
    def __init__(self, options, contenders, folder: pathlib.Path):
        self.options, self.contenders, self.folder = options, contenders, folder
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) < 2:
            sys.exit("Tests/bench: two processor cores are needed: one for the proxy, one for the load")
        self.load_core, self.proxy_core = allowed[0], allowed[-1]
        os.sched_setaffinity(0, {self.load_core})
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        # A stream takes two descriptors of a proxy.
        self.most_connections = min((hard - 200) // 2, 10000)
        self.results, self.failures = {}, {}
        self._certificate = None

    def certificate(self) -> tuple[str, str]:
        """ECDSA over P-256, made once."""
        if not self._certificate:
            pair = str(self.folder / "certificate.pem"), str(self.folder / "key.pem")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                            "/CN=bench.example", "-addext", "subjectAltName=DNS:bench.example", "-keyout", pair[1], "-out", pair[0]],
                           check=True, capture_output=True)
            self._certificate = pair
        return self._certificate

    def tokens(self, wanted: Tokens) -> tuple[str, str]:
        """The files with their public key and with the tokens, made once."""
        name = self.folder / f"{wanted.algorithm}-{wanted.count}-{wanted.are_forged}"
        if not name.with_suffix(".tokens").exists():
            forged = ["forged"] if wanted.are_forged else []
            subprocess.run([self.options.programs / "tokens", wanted.algorithm, str(wanted.count), name, *forged], check=True)
        return str(name.with_suffix(".pem")), str(name.with_suffix(".tokens"))

    def turn(self, part: Part, contender: peers.Contender | None) -> dict:
        """One contender's turn; None means without a proxy."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            started = []
            origin = subprocess.Popen([str(self.options.programs / "origin"), "--streams", str(part.streams), "--interval-us",
                                       str(max(1, part.interval_ms) * 1000)], stdout=subprocess.PIPE, text=True)
            try:
                origin_port = int(origin.stdout.readline().split()[1])
                port, watch, path, key, bring = origin_port, [], part.path, "", []
                if part.tokens:
                    key, file = self.tokens(part.tokens)
                    bring = ["--tokens", file]
                if contender:
                    check = (part.tokens.algorithm, key, part.tokens.have_claims) if part.tokens and part.tokens.are_checked else None
                    setting = peers.Setting(connections=self.most_connections, check=check, metrics=bool(part.metric), **part.setting())
                    started.append(contender.start(pathlib.Path(folder), origin_port, setting, self.proxy_core))
                    port, watch = started[0].port, started[0].processes()
                    if contender.weaves and part.weaving_path:
                        path = part.weaving_path
                window = part.window * self.options.window
                if part.whole_seconds:
                    window = max(1, round(window))
                command = [str(self.options.programs / "load"), "--port", str(port), "--path", path, "--streams", str(part.streams),
                           "--origin", str(origin.pid), "--window-ms", str(round(window * 1000))]
                if watch:
                    command += ["--watch", ",".join(map(str, watch))]
                if part.flood:
                    flood = subprocess.Popen([str(self.options.programs / "load"), "--port", str(port), *part.flood, *bring], stderr=subprocess.PIPE, text=True)
                    started.append(peers.Running(flood, port))
                    bring = []
                done = subprocess.run(command + self.shortened(part.load) + bring, capture_output=True, text=True)
                if part.flood and flood.poll() is not None:
                    raise peers.Failure(f"the flood ended by itself: {flood.stderr.read()}")
                if origin.poll() is not None:
                    raise peers.Failure("the origin ended by itself")
                if done.returncode != 0:
                    raise peers.Failure(done.stderr.strip() or f"the generator ended with status {done.returncode}")
                result = json.loads(done.stdout)
                if part.metric:
                    result[part.metric] = metric(setting.metrics_port, part.metric)
                return result
            finally:
                for running in started:
                    running.kill()
                origin.kill()
                origin.wait()

    def shortened(self, load: list[str]) -> list[str]:
        """The self-test does not wait for steady figures."""
        if not self.options.self_test:
            return load
        short = list(load)
        for index, word in enumerate(load):
            if word == "--most":
                short[index + 1] = str(int(load[index + 1]) // 10)
            if word == "--warm-ms":
                short[index + 1] = str(int(load[index + 1]) // (1 if "--heartbeats" in load else 2))
        return short

    def run_part(self, scenario: Scenario, part: Part, repetition: int):
        names = [contender for contender in self.contenders if part.contenders(contender.name)]
        if part.contenders("direct") and any(figure.less_direct for figure in part.figures):
            names.append(None)
        turns = repetition % len(names) if names else 0
        for contender in names[turns:] + names[:turns]:
            name = contender.name if contender else "direct"
            begun = time.monotonic()
            try:
                result = self.turn(part, contender)
            except peers.Failure as failure:
                self.failures.setdefault(part.name, {})[name] = str(failure)
                print(f"  {part.name}, {name}: FAILED: {failure}", file=sys.stderr)
                continue
            self.results.setdefault(part.name, {}).setdefault(name, []).append(result)
            print(f"  {part.name}, {name}: {time.monotonic() - begun:.1f} s, proxy busy {result['proxy_busy']:.0%}, "
                  f"generator {result['generator_busy']:.0%}", file=sys.stderr)

    def run(self, wanted: list[Scenario]):
        for repetition in range(self.options.repetitions):
            for scenario in wanted:
                print(f"{scenario.name} ({repetition + 1} of {self.options.repetitions})", file=sys.stderr, flush=True)
                for part in scenario.parts:
                    self.run_part(scenario, part, repetition)


def metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return sum(float(line.split()[-1]) for line in answer.read().decode().splitlines() if line.split(" ")[0].split("{")[0] == name)


def contenders(options) -> list[peers.Contender]:
    ours = [peers.Heartwire("Heartwire" if len(options.heartwire) == 1 else f"Heartwire {letter}", binary)
            for letter, binary in zip("ABCD", options.heartwire)]
    others = {
        "nginx": [peers.Nginx("nginx"), peers.Nginx("nginx 64k", "64k")],
        "haproxy": [peers.HAProxy("HAProxy"), peers.HAProxy("HAProxy 64k", "65536")],
        "h2o": [peers.H2O("h2o")],
        "nghttpx": [peers.Nghttpx("nghttpx")],
        "floor": [peers.Floor("floor", str(options.programs / "floor"))],
    }
    chosen = list(ours)
    for name in options.peers:
        if name not in others:
            sys.exit(f"Tests/bench: no peer is called {name}; there are {', '.join(others)}")
        there = [contender for contender in others[name] if contender.binary]
        if not there:
            print(f"{name} is not installed and left out", file=sys.stderr)
        chosen += there
    return chosen


def machine(bench: Bench) -> dict:
    """The kind of machine; without it the figures mean nothing."""
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    siblings = pathlib.Path(f"/sys/devices/system/cpu/cpu{bench.proxy_core}/topology/thread_siblings_list")
    shared = siblings.exists() and str(bench.load_core) in siblings.read_text().strip().replace("-", ",").split(",")
    return {"processor": model, "cores": os.cpu_count(), "kernel": platform.release(), "proxy_core": bench.proxy_core, "load_core": bench.load_core,
            "siblings": shared, "date": time.strftime("%Y-%m-%d")}


def check_self_test(bench: Bench, wanted: list[Scenario]):
    """Every figure is there and plausible, and all due events came."""
    problems = [f"{part}, {name}: {text}" for part, failed in bench.failures.items() for name, text in failed.items()]
    for part in (part for scenario in wanted for part in scenario.parts):
        for name, results in bench.results.get(part.name, {}).items():
            result = results[-1]
            for figure in part.figures if name != "direct" else []:
                value = table.measured(figure, [result], bench.results.get(figure.beside, {}).get(name, [])[-1:])[0]
                # Two measurements that are subtracted may come out either way.
                if not (-1e9 if figure.beside else 0) <= value < 1e9 or (value == 0 and figure.key in ("cpu", "close", "keep", "small", "large", "opening", "few", "many", "two", "off", "on")):
                    problems.append(f"{part.name}, {name}: {figure.label} is {value}")
            # Clients that come back get what they missed at once.
            if part.interval_ms and "missed" not in result:
                due = part.streams * result["seconds"] * 1000 / part.interval_ms
                came = result["heartbeats"] if "--heartbeats" in part.load else result["events"]
                if abs(came - due) > 0.15 * due + part.streams:
                    problems.append(f"{part.name}, {name}: {came} came where {due:.0f} were due")
        if not bench.results.get(part.name):
            problems.append(f"{part.name}: nothing was measured")
    if problems:
        sys.exit("self-test FAILED:\n" + "\n".join(problems))


def arguments():
    parser = argparse.ArgumentParser(prog="Tests/bench", description="Measures Heartwire beside nginx, HAProxy, h2o, nghttpx and a byte pump.")
    parser.add_argument("scenario", nargs="*", help=f"of {SCENARIOS}; all unless named")
    parser.add_argument("--quick", action="store_true", help="one short repetition: under six minutes")
    parser.add_argument("--self-test", action="store_true", help="Heartwire and the floor only, very short; checks the bench, measures nothing")
    parser.add_argument("--repetitions", type=int, help="how often every turn is taken (5)")
    parser.add_argument("--peers", type=lambda text: [name for name in text.split(",") if name], help="of nginx, haproxy, h2o, nghttpx, floor; all unless named")
    parser.add_argument("--heartwire", action="append", metavar="BINARY", help="the binary; twice, to compare two builds")
    parser.add_argument("--json", metavar="FILE", help="everything that was measured")
    parser.add_argument("--programs", type=pathlib.Path, default=HERE.parents[1] / ".build/bench", help=argparse.SUPPRESS)
    options = parser.parse_args()
    short = options.quick or options.self_test
    options.repetitions = options.repetitions or (1 if short else 5)
    options.window = 0.3 if options.self_test else 0.8 if options.quick else 1.5
    options.heartwire = [os.path.abspath(binary) for binary in options.heartwire or [HERE.parents[1] / ".build/release/heartwire"]]
    for binary in options.heartwire:
        if not os.access(binary, os.X_OK):
            sys.exit(f"Tests/bench: {binary} is no program")
    if options.peers is None:
        options.peers = ["floor"] if options.self_test else ["nginx", "haproxy", "h2o", "nghttpx", "floor"]
    return options


def main():
    options = arguments()
    # So that no started process is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="heartwire-bench-") as folder:
        bench = Bench(options, contenders(options), pathlib.Path(folder))
        streams = min(500 if options.self_test else 9800, bench.most_connections - 100)
        known = scenarios(streams, min(streams, 200 if options.self_test else 2000 if options.quick else 9800), bench.certificate)
        known += scenarios_http2.scenarios(streams, lambda: {"tls": bench.certificate(), "http2": True})
        known += scenarios_tokens.scenarios(streams, options.self_test)
        known += scenarios_kept.scenarios(streams, options.self_test)
        names = [scenario.name for scenario in known]
        for name in options.scenario:
            if name not in names:
                sys.exit(f"Tests/bench: no scenario is called {name}; there are {', '.join(names)}")
        wanted = [scenario for scenario in known if not options.scenario or scenario.name in options.scenario]
        bench.run(wanted)
        about = machine(bench)
        about["seconds"] = round(time.monotonic() - begun)
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps({"machine": about, "results": bench.results, "failures": bench.failures}, indent=1))
        print(table.markdown(wanted, bench, about))
        if options.self_test:
            check_self_test(bench, wanted)
            print("self-test passed")
    ours = [name for failed in bench.failures.values() for name in failed if name.startswith("Heartwire")]
    sys.exit(1 if ours else 0)


if __name__ == "__main__":
    main()
