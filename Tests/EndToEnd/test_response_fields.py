"""What a response says about its own bytes and about caches: with heartbeats, without heartbeats, and with a bridged token."""

import gzip
import shutil
import subprocess
import time

import pytest

from support.client import Client
from support.ports import reserve_port

SAID = [
    ("Cache-Control", "public, max-age=60, s-maxage=600"), ("CDN-Cache-Control", "max-age=600"), ("Content-Digest", "sha-256=:x:"),
    ("Accept-Ranges", "bytes"), ("ETag", '"v1"'),
]


def stream(connection, request):
    fields = list(SAID)
    if b"/packed" in request.target:
        fields.append(("Content-Encoding", "gzip"))
    connection.start_stream(fields)
    connection.chunk(gzip.compress(b"data: a\n\n") if b"/packed" in request.target else b"data: a\n\n")
    connection.last_chunk()


@pytest.fixture(scope="module")
def proxy(shared_stage):
    return shared_stage.heartwire(
        shared_stage.origin(stream), heartbeat="1s", route="bearer_from query t",
        extra="route /off {\n    upstream origin\n    heartbeat off\n    bearer_from query t\n}\n")


def fields_of(proxy, target):
    with Client(proxy.port) as client:
        response, _ = client.open_stream(target)
        return {name: response.values(name.lower()) for name, _ in SAID}


@pytest.mark.parametrize("target", ["/off", "/packed"])
def test_where_nothing_is_woven_all_of_it_is_the_servers(proxy, target):
    assert fields_of(proxy, target) == {name: [value.encode()] for name, value in SAID}


def test_where_something_is_woven_what_was_computed_over_the_old_bytes_is_gone(proxy):
    assert fields_of(proxy, "/woven") == {
        "Cache-Control": [b"public, max-age=60, s-maxage=600, no-cache, no-transform"], "CDN-Cache-Control": [b"max-age=600"],
        "Content-Digest": [], "Accept-Ranges": [], "ETag": [b'W/"v1"']}


@pytest.mark.parametrize("target, directives", [
    ("/woven?t=abc", b"max-age=60, no-cache, no-transform, private"), ("/off?t=abc", b"max-age=60, private")])
def test_what_was_bridged_is_private_and_nothing_else(proxy, target, directives):
    found = fields_of(proxy, target)
    assert found["Cache-Control"] == [directives] and found["CDN-Cache-Control"] == []


def compressing(connection, request):
    """An application behind a middleware that compresses whenever allowed: a POST for JSON is answered with a silent stream."""
    packs = b"gzip" in (request.value("accept-encoding") or b"")
    connection.start_stream([("Content-Encoding", "gzip")] if packs else [])
    event = b'data: {"word": "one"}\n\n'
    connection.chunk(gzip.compress(event) if packs else event)
    time.sleep(1)
    connection.last_chunk()


@pytest.mark.parametrize("setting, is_woven", [("pass", False), ("identity", True)])
def test_a_post_that_does_not_say_that_it_wants_a_stream_gets_signs_of_life_where_the_route_asks_for_identity(stage, setting, is_woven):
    proxy = stage.heartwire(stage.origin(compressing), heartbeat="200ms", route=f"accept_encoding {setting}")
    with Client(proxy.port) as client:
        client.send(b"POST /sdk HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate\r\nContent-Length: 2\r\n\r\n{}")
        _, body = None, client.body(client.read_head(), "POST")
        body.read_to_end()
        assert (b"\n:\n" in body.data) == is_woven
    assert proxy.stream_log.ending("/sdk")["woven"] == is_woven


NGINX = """
daemon off; user root; error_log stderr; pid {folder}/pid; worker_processes 1;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    gzip on; gzip_types text/plain;
    server {{
        listen 127.0.0.1:{port};
        location /any {{ gzip_proxied any; root {folder}; try_files /text =404; default_type text/plain; }}
        location / {{ root {folder}; try_files /text =404; default_type text/plain; }}
    }}
}}
"""


def test_an_nginx_behind_compresses_where_the_proxy_stays_out_of_via_or_where_it_is_told_to(stage, tmp_path):
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
    port, folder = reserve_port(), tmp_path / "nginx"
    folder.mkdir()
    (folder / "text").write_bytes(b"compressible " * 1000)
    (folder / "conf").write_text(NGINX.format(folder=folder, port=port))
    process = subprocess.Popen([nginx, "-c", folder / "conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        proxy = stage.heartwire(
            f"127.0.0.1:{port}", outage="refuse", upstream="failure_cooldown 0s",
            extra="route /quiet/* {\n    upstream origin\n    via off\n}\n")
        deadline = time.monotonic() + 10
        found = {}
        for target in ("/", "/any/", "/quiet/"):
            while True:
                with Client(proxy.port) as client:
                    client.get(target, "Accept-Encoding: gzip\r\n")
                    response = client.read_response()
                if response.status != 502:
                    break
                assert time.monotonic() < deadline, "nginx does not answer"
                time.sleep(0.05)
            assert response.status == 200
            found[target] = response.value("content-encoding") == b"gzip"
            assert bool(response.values("via")) == (target != "/quiet/")
    finally:
        process.terminate()
        process.wait(10)
    assert found == {"/": False, "/any/": True, "/quiet/": True}
