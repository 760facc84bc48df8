"""Tickets, sealed and opened with PyCA's cryptography: by nothing that Heartwire consists of."""

import hashlib
import json
import os
import re
import struct
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from . import planted
from .client import exchange, get
from .tokens import decode, encode

COOKIE = re.compile(rb"__Host-heartwire=([A-Za-z0-9_-]+); Max-Age=(\d+); Path=/; Secure; HttpOnly; (SameSite=Strict|SameSite=None; Partitioned)")
STREAM = "Accept: text/event-stream\r\n"
KEY = bytes(range(32))
NAME = "events"
BONDS = {"off": 0, "own": 1, "origin": 2, "address": 3, "certificate": 4}


def _cipher(key: bytes, salt: bytes, name: str) -> AESGCM:
    return AESGCM(HKDF(hashes.SHA256(), 32, salt, name.encode()).derive(key))


def seal(token: str, *, key=KEY, name=NAME, seconds=60, limit=600, path="", bond=("own", b""), version=1, id=None) -> str:
    """A ticket as a proxy with this key makes it; `seconds` may be negative."""
    now, salt = int(time.time()), os.urandom(16)
    head = bytes([version]) + hashlib.sha256(key).digest()[:4] + salt
    plain = (id or salt) + struct.pack(">qqBH", now + seconds, now + limit, BONDS[bond[0]], len(bond[1])) + bond[1]
    plain += struct.pack(">H", len(path)) + path.encode() + token.encode()
    return planted.watch(encode(head + _cipher(key, salt, name).encrypt(bytes(12), plain, head)))


def unseal(ticket: str, *, key=KEY, name=NAME) -> dict:
    """What a proxy's ticket says."""
    raw = decode(ticket)
    try:
        plain = _cipher(key, raw[5:21], name).decrypt(bytes(12), raw[21:], raw[:21])
    except InvalidTag as error:
        raise AssertionError("the ticket is not ours") from error
    expires, limit, bond, length = struct.unpack(">qqBH", plain[16:35])
    rest = plain[35 + length:]
    path_length, = struct.unpack(">H", rest[:2])
    return {"id": plain[:16].hex(), "expires": expires, "limit": limit, "bond": bond, "bound_to": plain[35:35 + length],
            "path": rest[2:2 + path_length].decode(), "token": rest[2 + path_length:].decode()}


def block(*lines, name=NAME, key=KEY) -> str:
    return f"ticket {name} {{\n sealing_key {encode(key)}\n " + "\n ".join(lines) + "\n}"


def stream(connection, request):
    connection.start_stream()
    connection.chunk(b"id: 7\ndata: hello\n\n")
    if b"short" in request.target:
        return connection.last_chunk()
    connection.wait_until_left(30)


def echo(connection, request):
    if request.target.startswith(b"/events"):
        return stream(connection, request)
    connection.respond(200, b"ok")


def proxy(stage, *lines, route="bearer_missing refuse", ticket=None, top="", more="", handler=echo, origin=None, query="query ticket"):
    """A proxy whose route /events/* takes tickets, and the origin behind it."""
    origin = origin or stage.origin(handler)

    def text(port, folder):
        return (
            f"listen 127.0.0.1:{port} {{\n protocols h2 http/1.1\n}}\nworkers 2\nstream_log {folder}/stream.log\n"
            f"access_log {folder}/access.log\nevent_log {folder}/event.log\n{top}\n{ticket or block(query, *lines)}\n"
            f"route /events/* {{\n upstream {origin.address}\n bearer_from ticket events\n {route}\n}}\n"
            f"{more.format(origin=origin.address)}\nroute /* {{\n upstream {origin.address}\n}}\n")

    return stage.heartwire(text=text), origin


def ask(port, token, body="", fields="", method="POST", path="/-/ticket"):
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    raw = f"{method} {path} HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n{bearer}{length}{fields}\r\n{body}"
    return exchange(port, raw.encode(), method)


def query_ticket(port, token, **more) -> str:
    response = ask(port, token, json.dumps({"as": "query", **more}))
    assert response.status == 200, response.body
    return planted.watch(json.loads(response.body)["ticket"])


def cookie_ticket(response) -> str:
    found = COOKIE.fullmatch(response.value("set-cookie") or b"")
    assert found, response.value("set-cookie")
    return planted.watch(found[1].decode())


def cookie(ticket) -> str:
    return f"Cookie: a=1; __Host-heartwire={ticket}; b=2\r\n"


def challenge(response) -> str:
    return (response.value("www-authenticate") or b"").decode()


def refused(proxy, path="/events/x", fields=STREAM):
    """The word of the log for a request that must not reach the server."""
    def words():
        return [r["credential_error"] for r in proxy.access_log.records() if r.get("credential_error") and r["path"].startswith("/events")]

    before = len(words())
    response = get(proxy.port, path, fields)
    assert response.status == 401 and challenge(response).endswith('error="invalid_token", error_description="the token is not valid"')
    assert response.body == b"401 Unauthorized: the token is not valid\n"
    deadline = time.monotonic() + 5
    while len(words()) == before:
        assert time.monotonic() < deadline, "no line about the refusal"
        time.sleep(0.02)
    return words()[-1]
