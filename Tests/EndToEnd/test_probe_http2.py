"""`heartwire probe` over HTTP/2, which browsers use wherever it is offered: towards Heartwire's own listener, through nginx and HAProxy,
and towards a server that ends streams in the ways that only HTTP/2 has."""

import json
import re
import socket
import ssl
import subprocess
import threading
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest

from support.tls import tls_block
from support.waiting import wait_until
from test_hops import hops  # noqa: F401 (a fixture)
from test_probe import NGINX, SECRET, only, probe, run

BOTH = "protocols h2 http/1.1"


@pytest.fixture
def endpoint(stage, identity, tmp_path):
    """A proxy with an endpoint for probes, which speaks HTTP/2 over TLS."""
    (tmp_path / "secret").write_text(SECRET + "\n")
    return stage.heartwire("127.0.0.1:1", heartbeat="1s", listen=tls_block(identity, listen=BOTH),
                           top=f"probe_endpoint /probe secret_file {tmp_path}/secret")


@pytest.fixture
def plain_endpoint(stage, tmp_path):
    """The same without TLS, for hops in front."""
    (tmp_path / "secret").write_text(SECRET + "\n")
    return stage.heartwire("127.0.0.1:1", heartbeat="1s", listen=BOTH, top=f"probe_endpoint /probe secret_file {tmp_path}/secret")


@pytest.fixture
def secured(authority):
    """Probes a port over https."""
    def start(port, tmp_path, steps, seconds="6s", *more):
        return probe(port, tmp_path, steps, seconds, "--ca", authority.certificate, *more, scheme="https", host="localhost")
    return start


def nginx_over_http2(identity, **change):
    certificate, key = identity
    tls = f"listen 127.0.0.1:80 ssl http2;\nssl_certificate {certificate};\nssl_certificate_key {key};"
    return {"listen 127.0.0.1:80;": tls, **change}


def haproxy_over_http2(identity, folder, **change):
    certificate, key = identity
    both = folder / "haproxy.pem"
    both.write_text(certificate.read_text() + key.read_text())
    return {"bind 127.0.0.1:80": f"bind 127.0.0.1:80 ssl crt {both} alpn h2,http/1.1", **change}


# The endpoint


def test_a_clean_path_over_http2_gets_nothing_and_what_it_was_proved_to_bear(endpoint, secured, tmp_path):
    report = secured(endpoint.port, tmp_path, "1-10")
    assert report["findings"] == [] and report["untold"] == [] and "stopped" not in report, report
    assert report["http"] == "2" and any(fact.startswith("HTTP/2 200, text/event-stream, ends with its stream") for fact in report["facts"])
    proved = "\n".join(report["proved"])
    for words in ("the head comes at once", "a single event comes at once", "over HTTP/2, with X-Accel", "over HTTP/1.1)", "comments pass",
                  "no idle limit below 4.5 s", "no absolute limit below 6.0 s", "a silence of 6.0 s is survived",
                  "a head may come 6.0 s after", "hears within", "8 streams of one client run side by side on one connection of HTTP/2",
                  "no cache answers"):
        assert words in proved, f"{words!r} is not proved:\n{proved}"
    def shared():
        opened = endpoint.stream_log.openings(1)
        clients = [record["client"] for record in opened]
        return {record["http"] for record in opened} == {"1.1", "2"} and max(map(clients.count, clients)) == 8
    # Eight streams share a connection.
    wait_until(shared)


def test_a_version_can_be_forced_and_the_report_says_which_was_spoken(endpoint, plain_endpoint, secured, tmp_path):
    report = secured(endpoint.port, tmp_path, "1,3", "2s", "--http", "1.1")
    assert report["http"] == "1.1" and any("over HTTP/1.0)" in line for line in report["proved"]), report
    report = secured(endpoint.port, tmp_path, "1,3", "2s", "--http", "2")
    assert report["http"] == "2" and not any("HTTP/1" in line for line in report["proved"]), report
    assert probe(plain_endpoint.port, tmp_path, "1", "2s")["http"] == "1.1"
    report = probe(plain_endpoint.port, tmp_path, "1-5,9,10", "4s", "--http", "2")
    assert report["http"] == "2" and report["findings"] == [] and report["untold"] == [], report


def test_a_server_without_http2_is_probed_over_http1_unless_http2_was_asked_for(stage, identity, authority, secured, tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    proxy = stage.heartwire("127.0.0.1:1", listen=tls_block(identity, listen="protocols http/1.1"),
                            top=f"probe_endpoint /probe secret_file {tmp_path}/secret")
    report = secured(proxy.port, tmp_path, "1", "2s")
    assert report["http"] == "1.1" and any("HTTP/2 was offered and not chosen" in fact for fact in report["facts"]), report
    done = run("--secret-file", tmp_path / "secret", "--http", "2", "--ca", authority.certificate, f"https://localhost:{proxy.port}/probe")
    assert done.returncode == 69 and "TLS failed" in done.stdout, done
    plain = stage.heartwire("127.0.0.1:1", listen="protocols http/1.1", top=f"probe_endpoint /probe secret_file {tmp_path}/secret")
    done = run("--secret-file", tmp_path / "secret", "--http", "2", f"http://127.0.0.1:{plain.port}/probe")
    assert done.returncode == 69 and "the server answers in HTTP/1" in done.stdout, done


# Real hops


def test_nginx_over_http2_holds_the_head_even_without_its_buffer_and_nothing_else(plain_endpoint, hops, identity, secured, tmp_path):
    hop = hops("nginx", "in front", plain_endpoint.port, nginx_over_http2(identity, **NGINX["unbuffered"]))
    report = secured(hop.port, tmp_path, "1-4,9,10")
    finding = only(report)
    assert finding["kind"] == "head_held" and finding["seconds"] == pytest.approx(3, abs=0.3), finding
    assert "does not help nginx over HTTP/2" in finding["advice"], finding
    assert report["http"] == "2" and "nginx" in report["hops"], report
    assert any("arrived over HTTP/1.1" in fact for fact in report["facts"]), report
    assert any("on one connection of HTTP/2" in line for line in report["proved"]), report
    assert any("has reset its stream" in line for line in report["proved"]), report
    assert secured(hop.port, tmp_path, "1", "2s", "--http", "1.1")["findings"] == []


def test_the_opening_comment_brings_the_head_through_nginx_over_http2_at_once(stage, hops, identity, authority):
    def talk(connection, request):
        connection.start_stream()
        connection.wait_until_left(20)
    took = {}
    for opening in ("on", "off"):
        proxy = stage.heartwire(stage.origin(talk), heartbeat="2s", opening=opening)
        hop = hops("nginx", "in front", proxy.port, nginx_over_http2(identity))
        done = run("--json", "--for", "3s", "--ca", authority.certificate, f"https://localhost:{hop.port}/events")
        took[opening] = int(re.search(r"HTTP/2 200, .*the head came after (\d+) ms", done.stdout)[1])
    assert took["on"] < 1000 < 1800 < took["off"], took


def test_nginx_over_http2_ends_idle_streams_after_its_read_timeout(plain_endpoint, hops, identity, secured, tmp_path):
    short = nginx_over_http2(identity, **{"proxy_read_timeout 60s;": "proxy_read_timeout 3s; proxy_buffering off;"})
    report = secured(hops("nginx", "in front", plain_endpoint.port, short).port, tmp_path, "5", "8s")
    finding = only(report)
    assert report["http"] == "2" and finding["kind"] == "idle_timeout" and finding["seconds"] == pytest.approx(3, abs=1), finding
    assert finding["streams"] == 2 and any("RST_STREAM, INTERNAL_ERROR" in line for line in finding["evidence"]), finding
    assert any("client_closed" in line for line in finding["evidence"]), finding
    assert any("no absolute limit below" in line for line in report["proved"]), report


def test_where_a_hop_says_goaway_the_next_stream_takes_another_connection(plain_endpoint, hops, identity, secured, tmp_path):
    # nginx says GOAWAY behind the last request that it takes on a connection.
    change = nginx_over_http2(identity, **NGINX["unbuffered"])
    change["listen 127.0.0.1:80;"] += "\nkeepalive_requests 1;"
    report = secured(hops("nginx", "in front", plain_endpoint.port, change).port, tmp_path, "9,10")
    assert any("has reset its stream" in line for line in report["proved"]) and report["untold"] == [], report
    found = only(report)
    assert found["kind"] == "connection_limit" and found["streams"] < 8 and "keepalive_requests" in found["advice"], found
    assert any("it was not served (GOAWAY, NO_ERROR)" in line for line in found["evidence"]), found


def test_haproxy_over_http2_ends_idle_streams_after_its_server_timeout(plain_endpoint, hops, identity, secured, tmp_path):
    change = haproxy_over_http2(identity, tmp_path, **{"timeout server 50s": "timeout server 3s"})
    hop = hops("HAProxy", "in front", plain_endpoint.port, change)
    finding = only(secured(hop.port, tmp_path, "5", "8s"))
    assert finding["kind"] == "idle_timeout" and finding["seconds"] == pytest.approx(3, abs=1) and finding["streams"] == 2, finding
    assert any("ended in good order, with END_STREAM" in line for line in finding["evidence"]), finding


def test_haproxy_passes_a_reset_of_a_stream_on_and_hides_the_end_of_a_connection(plain_endpoint, hops, identity, secured, tmp_path):
    change = haproxy_over_http2(identity, tmp_path, **{"option abortonclose": ""})
    hop = hops("HAProxy", "in front", plain_endpoint.port, change)
    report = secured(hop.port, tmp_path, "9")
    assert report["findings"] == [] and any("has reset its stream" in line for line in report["proved"]), report
    found = only(secured(hop.port, tmp_path, "9", "6s", "--http", "1.1"))
    assert found["kind"] == "leaving_unnoticed" and "abortonclose" in found["advice"], found


def test_caddy_with_its_usual_advice_for_streams_hides_a_reset_of_a_stream(plain_endpoint, hops, identity, secured, tmp_path):
    certificate, key = identity
    change = {"http://:80 {": "https://localhost:80 {",
              "reverse_proxy 127.0.0.1:8080": f"tls {certificate} {key}\nreverse_proxy 127.0.0.1:8080 {{\nflush_interval -1\n}}"}
    report = secured(hops("Caddy", "in front", plain_endpoint.port, change).port, tmp_path, "1,9")
    found = only(report)
    assert report["http"] == "2" and found["kind"] == "leaving_unnoticed" and "flush_interval -1" in found["advice"], found
    assert any("RST_STREAM, CANCEL" in line for line in found["evidence"]), found


# A server of HTTP/2 that does what the test wants


class Server:
    """Answers each request with the head of an event stream and one event, then does `then(self, connection, stream, socket)`."""

    def __init__(self, identity, then):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, identity))
        context.set_alpn_protocols(["h2"])
        self.then, self.context, self.listening = then, context, socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, plain):
        try:
            with self.context.wrap_socket(plain, server_side=True) as client:
                talk = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
                talk.initiate_connection()
                client.sendall(talk.data_to_send())
                while data := client.recv(65536):
                    for event in self._events(talk, data):
                        if isinstance(event, h2.events.RequestReceived):
                            talk.send_headers(event.stream_id, [(":status", "103"), ("link", "</a>")])
                            talk.send_headers(event.stream_id, [(":status", "200"), ("content-type", "text/event-stream")])
                            talk.send_data(event.stream_id, b"data: one\n\n", pad_length=9)
                            talk.ping(b"12345678")
                            client.sendall(talk.data_to_send())
                            time.sleep(2)
                            self.then(talk, event.stream_id, client)
                    client.sendall(talk.data_to_send())
        except OSError:
            pass

    def _events(self, talk, data):
        try:
            return talk.receive_data(data)
        except h2.exceptions.ProtocolError:
            # What comes behind our GOAWAY.
            return []

    def close(self):
        self.listening.close()


@pytest.fixture
def server(identity):
    started = []

    def start(then):
        started.append(Server(identity, then))
        return started[-1]
    yield start
    for one in started:
        one.close()


def reset(talk, stream, client):
    talk.reset_stream(stream, 2)


def leave(talk, stream, client):
    # What is not read yet would make a reset of the end.
    client.recv(65536)
    talk.close_connection(0, last_stream_id=stream)
    client.sendall(talk.data_to_send())
    client.unwrap()


def disown(talk, stream, client):
    talk.close_connection(11, last_stream_id=0)


def drain(talk, stream, client):
    client.sendall(b"\0\0\x08\7\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0")
    talk.end_stream(stream)


def cheat(talk, stream, client):
    client.sendall(b"\0\0\4\5\4\0\0\0\1\0\0\0\2")


@pytest.mark.parametrize("then, words", [
    (reset, "its stream was reset (RST_STREAM, INTERNAL_ERROR)"),
    (leave, "its connection was closed without END_STREAM (FIN, with close_notify), after GOAWAY (NO_ERROR)"),
    (disown, "it was not served (GOAWAY, ENHANCE_YOUR_CALM)"), (drain, "it ended in good order, with END_STREAM, after GOAWAY (NO_ERROR)"),
])
def test_each_end_of_a_stream_of_http2_is_told_apart(server, authority, then, words):
    done = run("--json", "--for", "6s", "--ca", authority.certificate, f"https://localhost:{server(then).port}/events")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["http"] == "2", report
    finding = report["findings"][0]
    assert finding["kind"] == "idle_timeout" and finding["seconds"] == pytest.approx(2, abs=0.5), finding
    assert any(words in line for line in finding["evidence"]), finding


def test_a_server_that_breaks_the_rules_of_http2_ends_the_probe(server, authority):
    done = run("--for", "6s", "--ca", authority.certificate, f"https://localhost:{server(cheat).port}/events")
    assert done.returncode == 69 and "breaks the rules of HTTP: PUSH_PROMISE, which was not allowed (PROTOCOL_ERROR)" in done.stdout, done


def test_a_mistake_in_the_version_is_refused():
    done = run("--http", "3", "https://x/")
    assert done.returncode == 64 and "'3' is not 1.1 or 2" in done.stderr, done
