"""Spring MVC's SseEmitter on Tomcat 9, from Debian's packages: what many backends are, seen through Heartwire."""

import pathlib
import shutil
import subprocess
import time

import pytest

from support import eventsource, planted
from support.client import Client, get
from support.ports import reserve_port

JAVA = pathlib.Path("/usr/share/java")
JARS = ["spring3-core", "spring3-beans", "spring3-context", "spring3-aop", "spring3-expression", "spring3-web", "spring3-web.servlet",
        "commons-logging", "tomcat9-catalina", "tomcat9-coyote", "tomcat9-api", "tomcat9-juli", "tomcat9-util", "tomcat9-util-scan",
        "tomcat9-servlet-api", "tomcat9-annotations-api", "tomcat9-el-api", "tomcat9-jaspic-api", "tomcat9-jni"]
SOURCE = pathlib.Path(__file__).parent / "support" / "SpringBackend.java"


class Backend:
    """The program, compiled and running, with Tomcat's asyncTimeout of 30 s cut down to 2 s."""

    def __init__(self, folder: pathlib.Path):
        jars = [JAVA / f"{name}.jar" for name in JARS]
        missing = [str(jar) for jar in jars if not jar.exists()] + [name for name in ("java", "javac") if not shutil.which(name)]
        assert not missing, f"{missing} are not installed (Tests/run installs them)"
        path = ":".join(map(str, [*jars, folder]))
        compiled = subprocess.run(["javac", "--release", "8", "-Xlint:-options", "-cp", path, "-d", folder, SOURCE],
                                  capture_output=True, text=True, timeout=100)
        assert compiled.returncode == 0, compiled.stderr
        self.port, self.output = reserve_port(), folder / "output"
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                ["java", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", path, "SpringBackend", str(self.port), "2000", folder],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder)

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def wait_for_words(self, words: str, timeout=10):
        deadline = time.monotonic() + timeout
        while words not in self.said():
            assert self.process.poll() is None and time.monotonic() < deadline, f"{words!r} did not come: {self.said()}"
            time.sleep(0.05)

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    backend = Backend(tmp_path_factory.mktemp("spring"))
    try:
        backend.wait_for_words("ready", 60)
        yield backend
    finally:
        backend.close()


@pytest.fixture
def proxy(stage, backend):
    return stage.heartwire(f"127.0.0.1:{backend.port}", heartbeat="400ms comment", opening="on",
                           route=["bearer_from query access_token"])


@pytest.mark.timeout(200)
def test_a_stream_flows_with_its_token_and_ends_as_tomcats_async_timeout_wants_it(proxy, backend):
    token = planted.plant()
    with Client(proxy.port) as client:
        response, body = client.open_stream(f"/events?access_token={token}")
        assert response.status == 200
        body.wait_for(b"data:after null\n\n", 1.5)
        backend.wait_for_words(f"was sent Bearer {token}\n")
        body.read_to_end(8)
        assert body.complete
    reading = eventsource.read(bytes(body.data))
    assert [(event.id, event.data) for event in reading.events] == [("1", "after null")]
    assert len(reading.comments) >= 4, "the opening comment and heartbeats are missing"
    record = proxy.stream_log.ending("/events")
    # Tomcat looks once a second.
    assert record["cause"] == "upstream_finished" and 1900 <= record["duration_ms"] <= 5000, record


@pytest.mark.timeout(200)
def test_the_async_timeout_is_a_total_and_a_client_that_comes_back_says_what_it_has(proxy):
    token = planted.plant()
    with Client(proxy.port) as client:
        _, body = client.open_stream(f"/events?access_token={token}&every=300", "Last-Event-ID: 41\r\n")
        body.read_to_end(8)
    events = eventsource.read(bytes(body.data)).events
    assert (events[0].id, events[0].data, events[1].data) == ("42", "after 41", "tick") and len(events) >= 5
    record = proxy.stream_log.ending("/events")
    assert record["cause"] == "upstream_finished" and record["longest_upstream_silence_ms"] < 1500, record
    assert 1900 <= record["duration_ms"] <= 5000 and record["last_event_id"] == events[-1].id


@pytest.mark.timeout(200)
def test_spring_learns_of_a_client_that_left_when_it_next_sends_and_says_itself_who_may_come(proxy, backend):
    assert get(proxy.port, "/events").status == 401
    with Client(proxy.port) as client:
        _, body = client.open_stream(f"/events?access_token={planted.plant()}&every=200", "Last-Event-ID: 700\r\n")
        body.wait_for(b"data:after 700\n\n")
    assert proxy.stream_log.ending("/events")["cause"] == "client_closed"
    backend.wait_for_words("completed 70", 1.7)
