"""Tokens that are bound to the certificate of their client (RFC 8705): over both protocols, in tickets, and where their issuer is asked."""

import hashlib
import ssl
import time

import pytest

from support import planted, tokens
from support.http2 import HTTP2Client
from support.tickets import COOKIE, block, cookie
from support.tls import connect, tls_block, trusting
from test_introspection import ID, SECRET, Endpoint

STREAM = "Accept: text/event-stream\r\n"
ISSUER = f"issuer main {{\n name {tokens.ISSUER}\n audience {tokens.AUDIENCE}\n shared_secret HS256 {tokens.SECRET}\n leeway 0s\n}}"


def confirmation(certificate, **more) -> dict:
    """The `cnf` of a token for the certificate in a PEM file."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).digest()
    return {"x5t#S256": tokens.encode(digest), **more}


@pytest.fixture
def clients(authority):
    """Two certificates of clients with their keys, and none."""
    return authority.issue("first"), authority.issue("second"), None


@pytest.fixture
def checked(stage, authority, identity):
    """A function: the proxy that asks clients for certificates, with one route that checks tokens of the issuer."""
    def make(issuer=ISSUER, more=""):
        origin = stage.origin(lambda connection, request: connection.respond(200, b"ok"))
        certificates = f"client_certificates optional\nclient_authority {authority.certificate}"

        def text(port, folder):
            return (
                f"listen 127.0.0.1:{port} {{\n{tls_block(identity, extra=certificates)}}}\nworkers 1\nstream_log {folder}/stream.log\n"
                f"access_log {folder}/access.log\nfingerprint_key a-key-of-the-tests-of-bound-tokens\n{issuer}\n{more}\n"
                f"route /* {{\n upstream {origin.address}\n bearer_from {'ticket events' if more else 'query access_token'}\n bearer_check main\n}}\n")

        proxy = stage.heartwire(text=text)
        proxy.authority = authority
        return proxy
    return make


def context_with(proxy, certificate) -> ssl.SSLContext:
    context = trusting(proxy.authority)
    if certificate:
        context.load_cert_chain(*map(str, certificate))
    return context


def speak(proxy, certificate, fields, path="/", method="GET") -> bytes:
    """The response to one HTTP/1.1 request of a client with this certificate."""
    with connect(proxy, context_with(proxy, certificate)) as secured:
        secured.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n".encode())
        received = b""
        while data := secured.recv(65536):
            received += data
    return received


def status(proxy, certificate, token, path="/", more="") -> int:
    return int(speak(proxy, certificate, f"Authorization: Bearer {token}\r\n{more}", path).split()[1])


def words(proxy, path, count=1) -> list:
    """What the log says of the first requests for a path."""
    return [record.get("credential_error") for record in proxy.access_log.wait_for(lambda r: r.get("path") == path, count=count)]


def test_a_bound_token_is_good_for_the_client_with_its_certificate_alone(checked, clients):
    proxy = checked()
    token = tokens.by_secret(cnf=confirmation(clients[0][0]))
    # The second time the token is remembered.
    for turn in range(2):
        assert [status(proxy, certificate, token, f"/{turn}") for certificate in clients] == [200, 401, 401]
        for certificate, expected in zip(clients, [200, 401, 401]):
            context = context_with(proxy, certificate)
            context.set_alpn_protocols(["h2"])
            with HTTP2Client(proxy.port, context=context) as client:
                for _ in range(2):
                    stream = client.request(f"/h2-{turn}", accept=None, extra=[(b"authorization", b"Bearer " + token.encode())])
                    assert client.whole(stream).status == expected
    record = proxy.access_log.wait_for(lambda record: record["path"] == "/1" and record["status"] == 401)[0]
    assert (record["credential_error"], record["issuer"]) == ("confirmation", "main")
    assert words(proxy, "/h2-1", 6) == [None] * 2 + ["confirmation"] * 4


@pytest.mark.parametrize("change", [
    lambda cnf: {**cnf, "jkt": "x"}, lambda cnf: {"x5t#S256": cnf["x5t#S256"].swapcase()}, lambda cnf: {"x5t": cnf["x5t#S256"]}])
def test_no_other_confirmation_is_taken_for_it(checked, clients, change):
    proxy = checked()
    assert status(proxy, clients[0], tokens.by_secret(cnf=change(confirmation(clients[0][0]))), "/bad") == 401
    assert words(proxy, "/bad") == ["confirmation"]


def test_a_bound_token_that_has_expired_tells_nothing_to_others(checked, clients):
    proxy = checked()
    token = tokens.by_secret(exp=int(time.time()) - 5, cnf=confirmation(clients[0][0]))
    answers = [speak(proxy, certificate, STREAM, f"/expired?access_token={token}") for certificate in clients]
    assert [answer.split()[1] for answer in answers] == [b"200", b"401", b"401"]
    assert b"event: token_expired" in answers[0]


def test_a_ticket_holds_a_bound_token_and_opens_for_its_certificate_alone(checked, clients):
    proxy = checked(more=block("bind off"))
    post = f"Authorization: Bearer {tokens.by_secret(cnf=confirmation(clients[0][0]))}\r\n"
    made = [speak(proxy, certificate, post, "/-/ticket", "POST") for certificate in clients]
    assert [answer.split()[1] for answer in made] == [b"204", b"401", b"401"]
    ticket = planted.watch(COOKIE.search(made[0])[1].decode())
    opened = [speak(proxy, certificate, STREAM + cookie(ticket), "/opened") for certificate in clients]
    assert [answer.split()[1] for answer in opened] == [b"200", b"401", b"401"]
    assert words(proxy, "/opened", 3) == [None, "confirmation", "confirmation"]


def test_the_certificate_counts_also_where_the_issuer_is_asked(checked, clients):
    endpoint = Endpoint()
    try:
        proxy = checked(
            f"issuer main {{\n name {tokens.ISSUER}\n audience any\n introspect_url {endpoint.url}\n introspect_client \"{ID}\" \"{SECRET}\"\n}}")
        token = planted.watch("2YotnFZFEjr1zCsicMWpAA")
        endpoint.states[token] = {"active": True, "cnf": confirmation(clients[1][0])}
        assert [status(proxy, certificate, token) for certificate in clients] == [401, 200, 401]
        # The answer is about the token, and was kept; each client is compared with it.
        assert len(endpoint.questions) == 1
    finally:
        endpoint.server.shutdown()
        endpoint.server.server_close()
