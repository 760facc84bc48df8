"""The metrics: what is told of streams, requests, servers and reloads, in a form that promtool and a real Prometheus take."""

import json
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest

from support.client import Client, exchange, get
from support.paths import REPOSITORY
from support.ports import reserve_port
from support.reloading import File
from support.sockets import wait_until_read

OPEN_METRICS = "Accept: application/openmetrics-text;version=1.0.0"
EXAMPLE = REPOSITORY / "examples" / "monitoring"


def server(connection, request):
    if request.target.startswith(b"/plain"):
        return connection.respond(404, b"no such thing")
    connection.start_stream()
    connection.chunk(b"data: 1\n\n")
    if request.target.startswith(b"/cut"):
        wait_until_read(connection.socket)  # A reset destroys what was not read yet.
        return connection.reset()
    connection.origin.proceed.wait(20)
    connection.chunk(b"data: 2\n\ndata: 3\n\n")
    connection.wait_until_left(30)


class Metrics:
    """A proxy with a console, and what the console tells."""

    def __init__(self, stage, **options):
        self.port = reserve_port()
        self.origin = stage.origin(server)
        self.origin.proceed = threading.Event()
        self.proxy = stage.heartwire(self.origin, top=f"console 127.0.0.1:{self.port}\n" + options.pop("top", ""), **options)

    def text(self, *fields) -> str:
        lines = ["GET /metrics HTTP/1.1", "Host: localhost", *fields, "", ""]
        answer = exchange(self.port, "\r\n".join(lines).encode())
        assert answer.status == 200
        return answer.body.decode()

    def samples(self) -> dict:
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in self.text().splitlines() if line[0] != "#"}

    def sum(self, name, *labels) -> float:
        return sum(value for key, value in self.samples().items()
                   if key.split("{")[0] == name and all(label in key for label in labels))

    def wait_for(self, value, name, *labels):
        deadline = time.monotonic() + 10
        while (found := self.sum(name, *labels)) != value:
            assert time.monotonic() < deadline, f"{name} {labels} is {found} and not {value}"
            time.sleep(0.02)


@pytest.fixture
def metrics(stage):
    return Metrics(stage, heartbeat="200ms", outage="retry 20s", upstream="idle_connections 0")


def test_what_a_stream_does_is_told_while_it_runs_and_its_cause_at_its_end(metrics):
    with Client(metrics.proxy.port) as client:
        _, body = client.open_stream("/events?access_token=planted-secret", "Last-Event-ID: 7\r\n")
        body.wait_for(b"data: 1")
        metrics.wait_for(1, "heartwire_streams_open")
        metrics.wait_for(1, "heartwire_streams_opened_total", 'resumed="true"')
        metrics.wait_for(1, "heartwire_events_total")
        body.wait_for(lambda data: data.count(b":\n") >= 3)
        assert metrics.sum("heartwire_heartbeats_total") >= 2
        metrics.origin.proceed.set()
        metrics.wait_for(3, "heartwire_events_total")
        assert metrics.sum("heartwire_stream_bytes_total", "from_upstream") == 27
        assert metrics.sum("heartwire_streams_ended_total") == 0
        assert metrics.sum("heartwire_connections_open", 'tls="false"') == 1
    metrics.wait_for(0, "heartwire_streams_open")
    ending = metrics.proxy.stream_log.ending("/events")
    metrics.wait_for(1, "heartwire_streams_ended_total", f'cause="{ending["cause"]}"', 'side="client"')
    assert metrics.sum("heartwire_stream_duration_seconds_count", 'side="client"') == 1
    assert metrics.sum("heartwire_stream_silence_at_end_seconds_count", 'side="client"') == 1
    assert metrics.sum("heartwire_stream_bytes_total", "to_client") == ending["bytes_to_client"]
    with Client(metrics.proxy.port) as client:
        client.open_stream("/cut")[1].read_to_end()
    metrics.wait_for(1, "heartwire_streams_ended_total", 'cause="upstream_reset"')
    assert metrics.sum("heartwire_upstream_streams_ended_total", 'side="upstream"') == 1
    metrics.wait_for(0, "heartwire_connections_open")
    assert "planted-secret" not in metrics.text() and "/cut" not in metrics.text()


def test_other_requests_refusals_and_servers_are_told(metrics):
    get(metrics.proxy.port, "/plain/5")
    exchange(metrics.proxy.port, b"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    metrics.wait_for(1, "heartwire_requests_total", 'route="/*"', 'code="4xx"')
    metrics.wait_for(1, "heartwire_requests_total", 'route="none"', 'code="4xx"')
    exchange(metrics.proxy.port, b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    metrics.wait_for(1, "heartwire_refused_total", 'limit="request_target"')
    assert metrics.sum("heartwire_upstream_healthy") == 1
    attempts = metrics.sum("heartwire_upstream_attempts_total", 'result="connected"')
    assert attempts == metrics.sum("heartwire_upstream_connect_seconds_count") >= 1
    metrics.origin.stop_listening()
    with Client(metrics.proxy.port) as client:
        client.open_stream("/held")
        metrics.wait_for(1, "heartwire_streams_held")
        metrics.wait_for(0, "heartwire_upstream_healthy")
        assert metrics.sum("heartwire_upstream_attempts_total", 'result="refused"') >= 1
    metrics.wait_for(1, "heartwire_held_total", 'outcome="left"')
    assert metrics.sum("heartwire_streams_held") == 0
    assert "x" * 100 not in metrics.text()


def test_a_reload_lets_no_counter_go_backwards_and_is_told(metrics):
    get(metrics.proxy.port, "/plain")
    metrics.wait_for(1, "heartwire_requests_total", 'code="4xx"')
    loaded = metrics.sum("heartwire_config_last_reload_success_timestamp_seconds")
    assert abs(loaded - time.time()) < 60 and metrics.sum("heartwire_config_last_reload_successful") == 1
    path = metrics.proxy.folder / "heartwire.conf"
    configuration = path.read_text()
    path.write_text(configuration.replace("route /* {", "route /plain/* {"))
    metrics.proxy.send_signal(signal.SIGHUP)
    metrics.proxy.wait_for_words("SIGHUP: done")
    get(metrics.proxy.port, "/plain/1")
    metrics.wait_for(1, "heartwire_requests_total", 'route="/plain/*"', 'code="4xx"')
    assert metrics.sum("heartwire_requests_total", 'route="/*"', 'code="4xx"') == 1
    assert metrics.sum("heartwire_config_last_reload_success_timestamp_seconds") > loaded
    path.write_text("no configuration")
    metrics.proxy.send_signal(signal.SIGHUP)
    metrics.proxy.wait_for_words("cannot be used")
    assert metrics.sum("heartwire_config_last_reload_successful") == 0
    path.write_text(configuration)


def test_the_process_is_told_as_the_system_sees_it(metrics):
    process = f"/proc/{metrics.proxy.process.pid}"
    samples = metrics.samples()
    assert samples["process_open_fds"] == pytest.approx(len(list(pathlib.Path(process, "fd").iterdir())), abs=3)
    limit = re.search(r"Max open files\s+(\d+)", open(f"{process}/limits").read())[1]
    assert samples["process_max_fds"] == int(limit)
    resident = int(open(f"{process}/statm").read().split()[1]) * 4096
    assert samples["process_resident_memory_bytes"] == pytest.approx(resident, rel=0.2)
    assert abs(samples["process_start_time_seconds"] - time.time()) < 60
    assert 0 < samples["process_cpu_seconds_total"] < 30
    version = subprocess.run([*metrics.proxy.arguments[:1], "--version"], capture_output=True, text=True).stdout.split()[1]
    assert samples[f'heartwire_build_info{{version="{version}"}}'] == 1


def test_promtool_finds_nothing_to_say(metrics):
    with Client(metrics.proxy.port) as client:
        client.open_stream("/events")[1].wait_for(b"data: 1")
        get(metrics.proxy.port, "/plain")
        found = subprocess.run(["promtool", "check", "metrics"], input=metrics.text(), capture_output=True, text=True, timeout=30)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
    broken = subprocess.run(["promtool", "check", "metrics"], input=metrics.text().replace("# HELP", "# HELP x"),
                            capture_output=True, text=True, timeout=30)
    assert broken.returncode != 0, "this check can fail"


class Prometheus:
    """A Prometheus that reads one target."""

    def __init__(self, folder, target):
        self.port = reserve_port()
        text = (EXAMPLE / "prometheus.yml").read_text().replace("127.0.0.1:9464", f"127.0.0.1:{target}").replace("15s", "200ms")
        (folder / "prometheus.yml").write_text(text)
        (folder / "alerts.yml").write_text((EXAMPLE / "alerts.yml").read_text())
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", "--log.level=warn",
             f"--web.listen-address=127.0.0.1:{self.port}"], stdin=subprocess.DEVNULL, stderr=open(folder / "prometheus.log", "wb"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def ask(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def wait_for(self, condition):
        deadline = time.monotonic() + 20
        while True:
            try:
                if condition():
                    return
            except (OSError, LookupError):
                pass
            assert time.monotonic() < deadline, "Prometheus did not read it"
            time.sleep(0.1)


def check_dashboard(prometheus, dashboard):
    """Asks what Grafana would ask of a Prometheus that has seen everything: nothing is an error, empty, or no number."""
    variables = {"$__rate_interval": "30s", "$__all": ".*"}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] != "query":
            continue
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
        for name, value in variables.items():
            series = series.replace(name, value)
        values = {found[label] for found in prometheus.ask("series", **{"match[]": series})}
        assert values, f"the variable {variable['name']} offers nothing"
        variables[f"${variable['name']}"] = variable.get("allValue") or sorted(values)[0]
    targets = [(panel["title"], target["expr"], target.get("legendFormat", ""))
               for panel in dashboard["panels"] for target in panel["targets"]]
    targets += [(one["name"], one["expr"], one["textFormat"]) for one in dashboard["annotations"]["list"]]
    assert len(targets) >= 25
    now = time.time()
    for title, question, legend in targets:
        for name, value in variables.items():
            question = question.replace(name, value)
        assert "$" not in question, f"{title}: a variable that nobody sets in {question}"
        found = prometheus.ask("query_range", query=question, start=now - 10, end=now, step=0.5)["result"]
        values = [float(value) for series in found for _, value in series["values"]]
        assert values, f"{title}: nothing is found by {question}"
        assert any(value == value for value in values), f"{title}: no number is found by {question}"
        labels = set(re.findall(r"\{\{(\w+)\}\}", legend))
        assert all(labels <= set(series["metric"]) for series in found), f"{title}: {legend} names no label of {found[0]['metric']}"


@pytest.mark.timeout(90)
def test_a_real_prometheus_reads_all_of_it_and_answers_every_question_of_the_dashboard(stage, tmp_path):
    metrics = Metrics(stage, heartbeat="200ms", outage="retry 20s", upstream="idle_connections 0", route=["bearer_from query access_token"])
    with Prometheus(tmp_path, metrics.port) as prometheus, Client(metrics.proxy.port) as client:
        client.open_stream("/events", "Last-Event-ID: 1\r\n")[1].wait_for(b"data: 1")
        with Client(metrics.proxy.port) as other:
            other.open_stream("/cut")[1].read_to_end()
        get(metrics.proxy.port, "/plain")
        prometheus.wait_for(lambda: prometheus.ask("query", query="sum(heartwire_streams_open)")["result"][0]["value"][1] == "1")
        target = prometheus.ask("targets")["activeTargets"][0]
        assert (target["health"], target["lastError"]) == ("up", "")
        # It asks for OpenMetrics first, so that is what it read; its own kinds and units come from the same rows.
        known = prometheus.ask("metadata")
        assert known["heartwire_stream_duration_seconds"][0]["type"] == "histogram"
        assert known["heartwire_stream_duration_seconds"][0]["unit"] == "seconds"
        told = set(re.findall(r"(?m)^# TYPE (\S+)", metrics.text(OPEN_METRICS)))
        assert told <= set(known)
        series = prometheus.ask("query", query='count({job="heartwire",__name__=~"heartwire_.*|process_.*"})')["result"][0]["value"][1]
        assert int(series) == len([line for line in metrics.text(OPEN_METRICS).splitlines() if line[0] != "#"])
        # A rate is of what happens while Prometheus looks. Some panels are about trouble.
        for path in ("/cut", "/events"):
            with Client(metrics.proxy.port) as other:
                other.open_stream(path)[1].wait_for(b"data: 1")
        get(metrics.proxy.port, "/plain")
        exchange(metrics.proxy.port, b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        exchange(metrics.proxy.port, b"GET /?access_token=one&access_token=two HTTP/1.1\r\nHost: a\r\n\r\n")
        file = File(metrics.proxy)
        file.edit(("heartbeat 200ms", "heartbeat 300ms"))
        file.reload()
        time.sleep(1)
        file.edit(("heartbeat 300ms", "heartbeat never"))
        file.reload("cannot be used")
        time.sleep(1)
        check_dashboard(prometheus, json.loads((EXAMPLE / "dashboard.json").read_text()))
        rules = prometheus.ask("rules")["groups"][0]["rules"]
        assert len(rules) == 8 and all(rule["health"] == "ok" for rule in rules), rules
