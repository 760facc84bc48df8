"""Keys that are fetched from the issuer's URL: rotation, unknown names, servers that are gone, slow or wrong, and reloads."""

import concurrent.futures
import json
import os
import re
import signal
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from support import tokens
from support.client import Client, get
from support.key_server import KeyServer
from support.tokens import bearer, status
from support.waiting import wait_until


@pytest.fixture
def server():
    """A function: a key server, by default one that runs."""
    servers = []

    def make(keys=(), identity=None, runs=True):
        servers.append(KeyServer(keys, identity))
        if runs:
            servers[-1].start()
        return servers[-1]

    yield make
    for each in servers:
        each.allowed.set()
        each.stop()


@pytest.fixture
def keys(tmp_path):
    """Two pairs of keys."""
    (tmp_path / "second").mkdir()
    return tokens.Key(tmp_path, "EdDSA"), tokens.Key(tmp_path / "second", "EdDSA")


def issuer(url, *lines) -> str:
    return f"issuer main {{\n name {tokens.ISSUER}\n audience {tokens.AUDIENCE}\n keys_url {url}\n" + "".join(f" {line}\n" for line in lines) + "}\n"


def stream(connection, request):
    if "event-stream" not in (request.value("accept") or b"").decode():
        return connection.respond(200, b"ok")
    connection.start_stream()
    connection.chunk(b"data: hello\n\n")
    connection.wait_until_left(30)


@pytest.fixture
def checked(stage):
    """A function: the proxy with this issuer, and the origin behind it."""
    def make(issuer, *lines, workers=2):
        origin = stage.origin(stream)

        def text(port, folder):
            return (
                f"listen 127.0.0.1:{port}\nworkers {workers}\nstream_log {folder}/stream.log\naccess_log {folder}/access.log\n"
                f"console unix:{folder}/console.sock\nfingerprint_key a-key-of-the-tests-of-keys\n{issuer}"
                f"route /* {{\n upstream {origin.address}\n bearer_from query access_token\n bearer_check main\n"
                + "".join(f" {line}\n" for line in lines) + "}\n")

        return stage.heartwire(text=text), origin
    return make


def seconds_when_all_wait(proxy) -> float:
    """The processor time that the proxy has used when its one worker has looked at all requests that came before this call."""
    for _ in range(3):
        assert get(proxy.port, timeout=60).status == 401
    return proxy.processor_seconds()


def metric(proxy, text) -> float:
    import http.client
    import socket

    class Connection(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(str(proxy.folder / "console.sock"))

    connection = Connection("localhost")
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(text))


def test_keys_are_fetched_at_the_start_and_once_for_all_workers(checked, server, keys):
    source = server([keys[0].jwk(kid="a")])
    proxy, _ = checked(issuer(source.url), workers=4)
    token = keys[0].token(kid="a")
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert set(pool.map(lambda _: status(proxy, token), range(40))) == {200}
    assert [path for path, _ in source.requests] == ["/jwks.json"]
    assert source.requests[0][1]["Host"] == f"localhost:{source.port}" and "json" in source.requests[0][1]["Accept"]
    assert status(proxy, keys[1].token(kid="a"), "/forged") == 401
    assert proxy.access_log.access("/forged")["credential_error"] == "signature"
    assert metric(proxy, 'heartwire_key_fetches_total{issuer="main",result="keys"}') == 1
    assert metric(proxy, 'heartwire_keys_age_seconds{issuer="main"}') < 10
    assert len(source.requests) == 1 and "issuer main" not in proxy.stderr()


def test_a_new_key_is_found_by_its_first_token_and_an_old_one_no_longer_opens(checked, server, keys):
    source = server([keys[0].jwk(kid="a")])
    proxy, _ = checked(issuer(source.url, "keys_cooldown 1s"))
    old, new = keys[0].token(kid="a"), keys[1].token(kid="b")
    with Client(proxy.port) as living:
        response, body = living.open_stream("/living", bearer(old))
        body.wait_for(b"hello")
        source.keys = [keys[1].jwk(kid="b")]
        assert status(proxy, new) == 200
        # The token was good before, and both workers remember it.
        for _ in range(8):
            assert status(proxy, old) == 401
        assert status(proxy, old, "/old") == 401
        assert proxy.access_log.access("/old")["credential_error"] == "key"
        # A stream that it opened goes on.
        body.collect(0.3)
        assert not body.ended
    assert status(proxy, new) == 200


def test_a_flood_of_unknown_keys_causes_one_fetch_in_each_cooldown(checked, server, keys):
    source = server([keys[0].jwk(kid="a")])
    proxy, _ = checked(issuer(source.url, "keys_cooldown 3s"))
    good = keys[0].token(kid="a")
    assert status(proxy, good) == 200
    forged = [keys[1].token(kid=f"forged-{number}") for number in range(20)]
    began, answers = time.monotonic(), []
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        while time.monotonic() < began + 7:
            answers += pool.map(lambda token: status(proxy, token), forged)
            assert status(proxy, good) == 200
    assert set(answers) == {401} and len(answers) > 100
    # The start's, and one at 0 s, 3 s and 6 s.
    assert 3 <= len(source.requests) <= 4


def test_a_token_without_kid_finds_a_new_key_too(checked, server, keys):
    source = server([keys[0].jwk()])
    proxy, _ = checked(issuer(source.url, "keys_cooldown 1s"))
    assert status(proxy, keys[0].token()) == 200
    source.keys = [keys[1].jwk()]
    assert status(proxy, keys[1].token()) == 200
    assert status(proxy, keys[0].token(), "/old") == 401
    assert proxy.access_log.access("/old")["credential_error"] == "signature"


def test_forged_tokens_that_waited_are_not_verified_again_by_the_same_keys(checked, server):
    # ES384 costs a millisecond for each key, and all tokens that waited are decided about in one turn of their worker.
    public = [ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers() for _ in range(8)]
    coordinates = [[tokens.encode(number.to_bytes(48, "big")) for number in (key.x, key.y)] for key in public]
    source = server([{"kty": "EC", "crv": "P-384", "x": x, "y": y} for x, y in coordinates])
    proxy, _ = checked(issuer(source.url, "keys_timeout 1m"), workers=1)
    wait_until(lambda: metric(proxy, "heartwire_key_fetches_total") == 1)
    source.allowed.clear()
    clients = [Client(proxy.port) for _ in range(150)]
    before = proxy.processor_seconds()
    for number, client in enumerate(clients):
        forged = tokens.join({"alg": "ES384"}, tokens.claims(jti=str(number))) + "." + tokens.encode(os.urandom(96))
        client.get("/", bearer(forged))
    verifying = seconds_when_all_wait(proxy) - before
    assert verifying > 0.5 and len(source.requests) == 2
    before = seconds_when_all_wait(proxy)
    source.allowed.set()
    assert {client.read_response().status for client in clients} == {401}
    assert proxy.processor_seconds() - before < verifying / 2
    for client in clients:
        client.close()


def test_while_the_first_keys_cannot_be_had_an_eventsource_is_held_and_others_are_told(checked, server, keys):
    source = server([keys[0].jwk(kid="a")], runs=False)
    proxy, origin = checked(issuer(source.url), "heartbeat 100ms")
    told = proxy.wait_for_words("issuer main: its keys cannot be fetched")
    assert "its tokens cannot be checked until then" in told
    token = keys[0].token(kid="a")
    response = get(proxy.port, "/now", bearer(token))
    assert (response.status, response.value("retry-after")) == (503, b"1")
    record = proxy.access_log.access("/now")
    assert (record["cause"], record["credential_error"]) == ("authorization_unavailable", "unavailable")
    with Client(proxy.port) as client:
        # A client that can send Authorization can read a status.
        assert get(proxy.port, "/fetch", bearer(token) + "Accept: text/event-stream\r\n").status == 503
        response, body = client.open_stream(f"/held?access_token={token}", timeout=10)
        assert response.status == 200
        body.wait_for(b":")
        assert not origin.requests
        source.start()
        body.wait_for(b"data: hello", timeout=70)
    assert [request.target for request in origin.requests] == [b"/held"]
    proxy.wait_for_words("issuer main: its keys were fetched again")
    assert proxy.stderr().count("cannot be fetched") == 1
    assert status(proxy, token) == 200
    assert metric(proxy, 'heartwire_key_fetches_total{issuer="main",result="unreachable"}') >= 1


def test_a_held_eventsource_whose_token_was_over_is_told_so_with_the_true_time(checked, server, keys):
    source = server([keys[0].jwk(kid="a")], runs=False)
    proxy, origin = checked(issuer(source.url, "leeway 0s"))
    proxy.wait_for_words("issuer main: its keys cannot be fetched")
    with Client(proxy.port) as client:
        response, body = client.open_stream(f"/held?access_token={keys[0].token(kid='a', exp=int(time.time()) - 30)}", timeout=10)
        assert response.status == 200
        source.start()
        text = body.read_to_end(timeout=70)
    told = json.loads(re.search(rb"event: token_expired\r?\ndata: (.*)", text)[1])
    assert 30 <= told["expired_for"] < 120 and not origin.requests


def test_who_comes_while_the_first_keys_are_fetched_waits_for_them(checked, server, keys):
    source = server([keys[0].jwk(kid="a")])
    source.allowed.clear()
    proxy, origin = checked(issuer(source.url))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        good = [pool.submit(status, proxy, keys[0].token(kid="a")) for _ in range(4)]
        bad = [pool.submit(status, proxy, keys[1].token(kid="a")) for _ in range(4)]
        time.sleep(0.5)
        assert not any(each.done() for each in good + bad) and not origin.requests
        source.allowed.set()
        assert [each.result() for each in good + bad] == [200] * 4 + [401] * 4
    assert len(source.requests) == 1


def test_a_client_that_leaves_while_it_waits_for_keys_leaves_nothing_behind(checked, server, keys):
    source = server([keys[0].jwk(kid="a")])
    source.allowed.clear()
    proxy, origin = checked(issuer(source.url))
    for _ in range(20):
        client = Client(proxy.port)
        client.get("/left", bearer(keys[0].token(kid="a")))
        time.sleep(0.01)
        client.close()
    time.sleep(0.3)
    source.allowed.set()
    wait_until(lambda: status(proxy, keys[0].token(kid="a")) == 200)
    assert b"/left" not in origin.everything_received()


def test_old_keys_serve_while_the_server_is_gone_and_a_new_key_is_not_refused(checked, server, keys):
    source = server([keys[0].jwk(kid="a")])
    proxy, _ = checked(issuer(source.url, "keys_cooldown 1s"))
    assert status(proxy, keys[0].token(kid="a")) == 200
    source.stop()
    new = keys[1].token(kid="b")
    # Nobody can say whether the issuer has made such a key.
    assert status(proxy, new, "/new") == 503
    assert proxy.access_log.access("/new")["credential_error"] == "unavailable"
    assert "those that it had serve on" in proxy.wait_for_words("cannot be fetched")
    for _ in range(4):
        assert status(proxy, keys[0].token(kid="a", sub="another")) == 200
    source.keys.append(keys[1].jwk(kid="b"))
    source.start()
    wait_until(lambda: status(proxy, new) == 200)
    proxy.wait_for_words("its keys were fetched again")


@pytest.mark.parametrize("answer, word", [
    ((200, '{"keys":[]}', {}), "holds no key"),
    ((200, "<html>login</html>", {"Content-Type": "text/html"}), "no JSON object"),
    ((200, json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}), {}), "holds no key"),
    ((200, " " * (256 * 1024 + 1), {}), "larger than"),
    ((500, "{}", {}), "answered 500"),
    ((404, "{}", {}), "answered 404"),
    ((302, "", {"Location": "/elsewhere"}), "answered 302"),
    ((204, "", {}), "answered 204"),
], ids=["empty", "html", "secrets", "large", "500", "404", "redirect", "204"])
def test_an_answer_that_is_no_set_of_keys_leaves_the_old_ones_in_force(checked, server, keys, answer, word):
    source = server([keys[0].jwk(kid="a")])
    proxy, _ = checked(issuer(source.url, "keys_cooldown 1s"), workers=1)
    assert status(proxy, keys[0].token(kid="a")) == 200
    source.answer = answer
    assert status(proxy, keys[1].token(kid="b")) == 503
    assert status(proxy, keys[0].token(kid="a", sub="another")) == 200
    assert word in proxy.wait_for_words("cannot be fetched")
    assert status(proxy, keys[1].token(kid="b")) == 503
    wait_until(lambda: len(source.requests) >= 3)
    assert proxy.stderr().count("cannot be fetched") == 1
    assert {path for path, _ in source.requests} == {"/jwks.json"}
    source.answer = None
    source.keys = [keys[1].jwk(kid="b")]
    wait_until(lambda: status(proxy, keys[1].token(kid="b")) == 200)
    proxy.wait_for_words("its keys were fetched again")
    assert status(proxy, keys[0].token(kid="a")) == 401


def test_a_server_that_is_too_slow_is_a_failure(checked, server, keys):
    source = server([keys[0].jwk(kid="a")])
    source.allowed.clear()
    proxy, _ = checked(issuer(source.url, "keys_timeout 300ms"))
    began = time.monotonic()
    assert status(proxy, keys[0].token(kid="a")) == 503
    assert time.monotonic() < began + 3
    assert "within 300 ms" in proxy.wait_for_words("cannot be fetched")
    source.allowed.set()
    wait_until(lambda: status(proxy, keys[0].token(kid="a")) == 200)


def test_keys_come_over_tls_of_the_configured_authority_only(checked, server, keys, authority, identity):
    source = server([keys[0].jwk(kid="a")], identity)
    proxy, _ = checked(issuer(source.url, f"tls {{\n  authority {authority.certificate}\n }}"))
    wait_until(lambda: status(proxy, keys[0].token(kid="a")) == 200)
    stranger, _ = checked(issuer(source.url))
    stranger.wait_for_words("issuer main: its keys cannot be fetched")
    assert status(stranger, keys[0].token(kid="a")) == 503
    assert len(source.requests) == 1


def test_a_certificate_for_another_name_brings_no_keys(checked, server, keys, authority):
    source = server([keys[0].jwk(kid="a")], authority.issue("id.example.com", "DNS:id.example.com"))
    proxy, _ = checked(issuer(source.url, f"tls {{\n  authority {authority.certificate}\n }}"))
    proxy.wait_for_words("issuer main: its keys cannot be fetched")
    assert status(proxy, keys[0].token(kid="a")) == 503
    assert not source.requests


def reload(proxy, change=lambda text: text):
    before = proxy.stderr()
    path = proxy.folder / "heartwire.conf"
    path.write_text(change(path.read_text()))
    proxy.send_signal(signal.SIGHUP)
    wait_until(lambda: "SIGHUP" in proxy.stderr()[len(before):])


def test_a_reload_keeps_the_keys_and_another_url_does_not(checked, server, keys):
    source, other = server([keys[0].jwk(kid="a")]), server([keys[1].jwk(kid="a")], runs=False)
    proxy, _ = checked(issuer(source.url))
    token = keys[0].token(kid="a")
    assert status(proxy, token) == 200
    source.stop()
    reload(proxy)
    assert status(proxy, token) == 200
    reload(proxy, lambda text: text.replace("audience https://events.example.com", "audience any").replace("name", "leeway 5s\n name", 1))
    assert status(proxy, keys[0].token(kid="a", aud="x")) == 200
    assert len(source.requests) == 1
    reload(proxy, lambda text: text.replace(source.url, source.url + "\n keys_refresh 20m\n keys_keep 1h"))
    assert status(proxy, token) == 200
    reload(proxy, lambda text: text.replace(source.url, other.url))
    assert status(proxy, token) == 503
    other.start()
    wait_until(lambda: status(proxy, keys[1].token(kid="a", aud="x")) == 200)
    assert status(proxy, token) == 401


def test_keys_that_are_left_out_and_private_keys_are_told_at_the_start(checked, server, keys, tmp_path):
    good, weak = keys[0].jwk(kid="a", d="c2VjcmV0"), {"kty": "RSA", "kid": "r", "n": "AQAB" * 30, "e": "AQAB"}
    source = server([good, weak])
    proxy, _ = checked(issuer(source.url))
    assert status(proxy, keys[0].token(kid="a")) == 200
    said = proxy.wait_for_words("1 of its keys is a private one")
    assert "issuer main: a key is left out: the RSA key has" in said and "c2VjcmV0" not in said
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [good, weak]}))
    proxy, _ = checked(f"issuer main {{\n name {tokens.ISSUER}\n audience any\n keys_file {file}\n}}\n")
    said = proxy.wait_for_words("1 of its keys is a private one")
    assert f"{file}: a key is left out: the RSA key has" in said
    assert status(proxy, keys[0].token(kid="a")) == 200


def test_who_is_held_for_keys_that_a_reload_replaces_is_told_to_come_back_and_served_then(checked, server, keys):
    source = server([keys[0].jwk(kid="a")], runs=False)
    proxy, _ = checked(issuer(source.url), "heartbeat 100ms")
    proxy.wait_for_words("issuer main: its keys cannot be fetched")
    path = f"/held?access_token={keys[0].token(kid='a')}"
    with Client(proxy.port) as client:
        response, body = client.open_stream(path, timeout=10)
        body.wait_for(b":")
        source.start()
        began = time.monotonic()
        reload(proxy, lambda text: text.replace(source.url, source.url + "\n keys_cooldown 1m"))
        assert b"retry: " in body.read_to_end(timeout=10) and time.monotonic() - began < 8
    with Client(proxy.port) as client:
        client.open_stream(path, timeout=10)[1].wait_for(b"data: hello")
