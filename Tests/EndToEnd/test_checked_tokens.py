"""Routes that check tokens: what is asked of a server, and what every kind of client is told."""

import json
import re
import time

import pytest

from support import eventsource, tokens
from support.client import Client, exchange, get
from support.ports import reserve_port
from support.tokens import bearer

ISSUER = f"issuer main {{\n name {tokens.ISSUER}\n audience {tokens.AUDIENCE}\n shared_secret HS256 {tokens.SECRET}\n leeway 0s\n}}"
STREAM = "Accept: text/event-stream\r\n"


def echo(connection, request):
    connection.respond(200, b"ok")


@pytest.fixture
def checked(stage):
    """A function: the proxy with one route of these lines and an issuer, and the origin behind it."""
    def make(*lines, issuer=ISSUER, handler=echo, path="/*", more="", top=""):
        origin = stage.origin(handler)

        def text(port, folder):
            return (
                f"listen 127.0.0.1:{port}\nstream_log {folder}/stream.log\naccess_log {folder}/access.log\n"
                f"fingerprint_key a-key-of-the-tests-of-tokens\n{top}\n{issuer}\n"
                f"route {path} {{\n upstream {origin.address}\n bearer_from query access_token\n bearer_from cookie session\n"
                f" bearer_check main\n" + "\n".join(lines) + f"\n}}\n{more.format(origin=origin.address)}\n")

        return stage.heartwire(text=text), origin
    return make


def challenge(response) -> str:
    return (response.value("www-authenticate") or b"").decode()


def test_a_token_costs_one_signature_however_often_it_comes(checked):
    port = reserve_port()
    proxy, _ = checked(top=f"workers 1\nconsole 127.0.0.1:{port}")

    def verified() -> int:
        return int(re.search(rb"(?m)^heartwire_token_signatures_total (\d+)", exchange(port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").body)[1])

    token = tokens.by_secret()
    assert [get(proxy.port, "/a", bearer(token)).status for _ in range(5)] == [200] * 5 and verified() == 1
    header, payload, _ = token.split(".")
    assert [get(proxy.port, "/a", bearer(f"{header}.{payload}.{'A' * 43}")).status for _ in range(2)] == [401, 401] and verified() == 3
    # One whose form is wrong already costs none.
    assert get(proxy.port, "/a", bearer(f"{header}.{payload}")).status == 401 and verified() == 3


def test_a_good_token_opens_a_stream_from_wherever_it_comes(checked):
    def stream(connection, request):
        connection.start_stream()
        connection.chunk(b"data: hello\n\n")
        connection.last_chunk()

    proxy, origin = checked(handler=stream)
    token = tokens.by_secret()
    for path, fields in [("/a?access_token=" + token, ""), ("/b", f"Cookie: session={token}\r\n"), ("/c", bearer(token)), ("/d", f"authorization:  bearer   {token}\r\n")]:
        response = get(proxy.port, path, STREAM + fields)
        assert response.status == 200 and b"data: hello" in response.body
    assert [request.value("authorization") for request in origin.wait_for_requests(4)] == [f"Bearer {token}".encode()] * 4
    opening = proxy.stream_log.opening("/a")
    assert opening["issuer"] == "main" and re.fullmatch("[0-9a-f]{16}", opening["subject"])
    assert abs(time.mktime(time.strptime(opening["token_expires"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone - time.time() - 600) < 60
    assert opening["token_from"] == "query" and proxy.stream_log.opening("/c")["token_from"] == "authorization"
    assert proxy.stream_log.opening("/b")["subject"] == opening["subject"]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_tokens_that_openssl_signs_are_good_with_their_key_alone(checked, tmp_path, algorithm):
    (tmp_path / "other").mkdir()
    key, other = tokens.Key(tmp_path, algorithm), tokens.Key(tmp_path / "other", algorithm)
    issuer = f"issuer main {{\n name {tokens.ISSUER}\n audience {tokens.AUDIENCE}\n key {algorithm} {key.public} first\n}}"
    proxy, origin = checked(issuer=issuer)
    for _ in range(3):
        assert get(proxy.port, "/", bearer(key.token(kid="first"))).status == 200
    assert get(proxy.port, "/", bearer(key.token())).status == 200
    assert get(proxy.port, "/signature", bearer(other.token(kid="first"))).status == 401
    assert get(proxy.port, "/key", bearer(key.token(kid="second"))).status == 401
    for word in ["signature", "key"]:
        assert proxy.access_log.access(f"/{word}")["credential_error"] == word
    assert len(origin.wait_for_requests(4)) == 4


def test_an_issuer_has_keys_of_several_kinds(checked, tmp_path):
    keys = [tokens.Key(tmp_path, algorithm) for algorithm in ["ES256", "EdDSA", "RS256"]]
    lines = "".join(f" key {key.algorithm} {key.public}\n" for key in keys)
    proxy, _ = checked(issuer=f"issuer main {{\n name {tokens.ISSUER}\n audience any\n{lines} shared_secret HS256 {tokens.SECRET}\n}}")
    for token in [*(key.token() for key in keys), tokens.by_secret()]:
        assert get(proxy.port, "/", bearer(token)).status == 200


def test_a_set_of_keys_is_read_again_and_stays_when_its_file_is_broken(checked, tmp_path):
    (tmp_path / "new").mkdir()
    old, new = tokens.Key(tmp_path, "EdDSA"), tokens.Key(tmp_path / "new", "EdDSA")
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [old.jwk(kid="old"), {"kty": "oct", "k": "c2VjcmV0"}]}))
    proxy, _ = checked(issuer=f"issuer main {{\n name {tokens.ISSUER}\n audience any\n keys_file {file}\n}}")

    def answers():
        return [get(proxy.port, "/", bearer(key.token(kid=kid))).status for key, kid in [(old, "old"), (new, "new")]]

    def reload():
        import signal
        before = proxy.stderr()
        proxy.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        while "SIGHUP" not in proxy.stderr()[len(before):] or "\n" not in proxy.stderr()[len(before):]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return proxy.stderr()[len(before):]

    assert answers() == [200, 401]
    file.write_text(json.dumps({"keys": [new.jwk(kid="new")]}))
    reload()
    assert answers() == [401, 200]
    file.write_text('{"keys":[')
    assert f"{file}: it is no JSON object" in reload()
    assert answers() == [401, 200]


REFUSED = [
    ("none", "algorithm", lambda: tokens.join({"alg": "none"}, tokens.claims()) + "."),
    ("another secret", "signature", lambda: tokens.by_secret(secret="x" * 40)),
    ("no key", "header", lambda: tokens.by_secret(header={"alg": "HS256", "crit": []})),
    ("another issuer", "issuer", lambda: tokens.by_secret(iss="https://evil.example.com/")),
    ("another audience", "audience", lambda: tokens.by_secret(aud="x")),
    ("no end", "claims", lambda: tokens.by_secret(exp=None)),
    ("later", "not_yet", lambda: tokens.by_secret(nbf=int(time.time()) + 100)),
    ("bound", "confirmation", lambda: tokens.by_secret(cnf={"jkt": "x"})),
    ("no token at all", "shape", lambda: "abc"),
    ("long over", "expired", lambda: tokens.by_secret(exp=int(time.time()) - 400)),
]


@pytest.mark.parametrize("word, make", [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_token_that_is_not_good_gets_one_answer_and_the_log_its_word(checked, word, make):
    proxy, origin = checked("allow_origin https://app.example.com")
    for index, fields in enumerate(["", STREAM, STREAM + "Origin: https://app.example.com\r\n"]):
        token = make()
        response = get(proxy.port, f"/e{index}?access_token={token}", fields)
        assert response.status == 401
        reason = "the token has expired" if word == "expired" else "the token is not valid"
        assert challenge(response) == f'Bearer realm="heartwire", error="invalid_token", error_description="{reason}"'
        assert response.value("cache-control") == b"no-store" and token.encode() not in response.body
        assert (response.value("access-control-allow-origin") is not None) == ("Origin" in fields)
        record = proxy.access_log.access(f"/e{index}")
        assert (record["cause"], record["credential_error"]) == ("credentials_refused", word)
        assert ("issuer" in record) == (word == "expired")
    assert origin.requests == []


@pytest.mark.parametrize("fields, status, word", [
    ("", 401, "missing"), ("Authorization:\r\n", 401, "missing"), ("Authorization: Bearer\r\n", 401, "missing"), ("Authorization: Bearer \r\n", 401, "missing"),
    ("Authorization: Basic YTpi\r\n", 401, "scheme"), ("Authorization: abc\r\n", 401, "scheme"), ("Authorization: Bearer{0}\r\n", 401, "scheme"),
    ("Authorization: Bearer {0},Basic YTpi\r\n", 400, "syntax"), ("Authorization: Bearer {0} {0}\r\n", 400, "syntax"),
    ("Authorization: Bearer {0}\r\nAuthorization: Bearer {0}\r\n", 400, "repeated"), ("Cookie: session={0}; session={0}x\r\n", 400, "repeated"),
    ("Authorization: Bearer " + "a" * 5000 + "\r\n", 400, "too_long"), ("Cookie: session=\r\n", 401, "missing"),
])
def test_a_request_without_one_token_reaches_no_server(checked, fields, status, word):
    proxy, origin = checked()
    token = tokens.by_secret()
    for index, method in enumerate(["GET", "HEAD", "POST", "OPTIONS", "PROPFIND"]):
        raw = f"{method} /e{index} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields.format(token)}\r\n"
        response = exchange(proxy.port, raw.encode(), method)
        assert response.status == status
        assert challenge(response).startswith('Bearer realm="heartwire"' + ('' if status == 401 else ', error="invalid_request"'))
        assert status == 400 or challenge(response) == 'Bearer realm="heartwire"'
        assert proxy.access_log.access(f"/e{index}")["credential_error"] == word
    assert origin.requests == []


def test_a_token_in_the_url_and_in_authorization_is_one_too_many(checked):
    proxy, origin = checked()
    assert get(proxy.port, f"/e?access_token={tokens.by_secret()}", bearer(tokens.by_secret())).status == 400
    assert proxy.access_log.access("/e")["credential_error"] == "beside_authorization"
    assert origin.requests == []


def test_with_pass_a_request_without_a_token_goes_on_and_one_with_a_bad_token_does_not(checked):
    proxy, origin = checked("bearer_missing pass", "claim_field X-User sub")
    assert get(proxy.port, "/", "X-User: eve\r\nx_user: eve\r\n").status == 200
    assert get(proxy.port, "/", bearer(tokens.by_secret(iss="x"))).status == 401
    assert get(proxy.port, "/", "Authorization: Basic YTpi\r\n").status == 401
    request, = origin.wait_for_requests(1)
    assert not any(b"user" in name.lower() for name, _ in request.fields)


def test_a_preflight_goes_on_without_credentials_and_another_options_does_not(checked):
    proxy, origin = checked()
    token = tokens.by_secret(iss="x")
    preflight = "Origin: https://a.example.com\r\nAccess-Control-Request-Method: GET\r\n"
    # Hops in front, and some clients, write the length of a body that is none.
    for fields in [preflight, preflight + bearer(token), preflight + "Content-Length: 0\r\n"]:
        raw = f"OPTIONS /e?access_token={token}&a=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n"
        assert exchange(proxy.port, raw.encode(), "OPTIONS").status == 200
    for fields in ["", "Origin: https://a.example.com\r\n", "Access-Control-Request-Method: GET\r\n", preflight + "Content-Length: 1\r\n"]:
        raw = f"OPTIONS /e HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n" + ("x" if fields.endswith(": 1\r\n") else "")
        assert exchange(proxy.port, raw.encode(), "OPTIONS").status == 401
    requests = origin.wait_for_requests(3)
    assert len(requests) == 3
    assert all(request.value("authorization") is None and request.target == b"/e?a=1" for request in requests)


def test_an_eventsource_with_an_expired_token_is_told_so_and_everybody_else_gets_401(checked):
    proxy, origin = checked("allow_origin https://app.example.com")
    over = tokens.by_secret(exp=int(time.time()) - 10)
    response = get(proxy.port, f"/e?access_token={over}", STREAM + "Last-Event-ID: 41\r\nOrigin: https://app.example.com\r\n")
    assert response.status == 200
    assert response.value("content-type") == b"text/event-stream" and b"no-store" in response.value("cache-control")
    assert response.value("access-control-allow-origin") == b"https://app.example.com"
    assert response.value("referrer-policy") == b"strict-origin"
    reading = eventsource.read(response.body)
    event, = reading.events
    assert (event.type, event.id) == ("token_expired", "41")
    assert 10 <= json.loads(event.data)["expired_for"] <= 12
    assert 5_000 <= reading.retry <= 6_000
    record = proxy.access_log.access("/e")
    assert (record["status"], record["cause"], record["credential_error"], record["issuer"]) == (200, "credentials_refused", "expired", "main")
    assert get(proxy.port, "/cookie", STREAM + f"Cookie: session={over}\r\n").status == 200
    just_over = eventsource.read(get(proxy.port, f"/just?access_token={tokens.by_secret(exp=int(time.time()))}", STREAM).body)
    assert just_over.retry == 2_000 and just_over.last_event_id == ""
    assert get(proxy.port, "/field", STREAM + bearer(over)).status == 401
    assert get(proxy.port, f"/other?access_token={over}").status == 401
    assert get(proxy.port, f"/long?access_token={tokens.by_secret(exp=int(time.time()) - 301)}", STREAM).status == 401
    assert exchange(proxy.port, f"POST /post?access_token={over} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{STREAM}\r\n".encode()).status == 401
    assert origin.requests == []


def test_an_eventsource_goes_on_when_its_cookie_was_renewed(checked):
    def stream(connection, request):
        connection.start_stream()
        connection.chunk(b"id: 42\ndata: on\n\n")
        connection.last_chunk()

    proxy, _ = checked(handler=stream)
    old, new = tokens.by_secret(exp=int(time.time()) - 5), tokens.by_secret()
    told = eventsource.read(get(proxy.port, "/e", STREAM + f"Cookie: session={old}\r\nLast-Event-ID: 41\r\n").body)
    again = eventsource.read(get(proxy.port, "/e", STREAM + f"Cookie: session={new}\r\nLast-Event-ID: {told.last_event_id}\r\n").body)
    assert [event.data for event in again.events] == ["on"]


def test_scopes_and_claims_are_required_and_told(checked):
    proxy, origin = checked("require_scope events.read profile", "require_claim tenant acme globex", "realm chat")
    good = {"scope": "profile events.read", "tenant": "globex"}
    assert get(proxy.port, "/good", bearer(tokens.by_secret(**good))).status == 200
    lacking = [("scope", {"scope": "profile"}), ("scope", {"scope": None}), ("claim", {"tenant": "evil"}), ("claim", {"tenant": None})]
    for index, (word, changes) in enumerate(lacking):
        for kind, fields in enumerate(["", STREAM]):
            path = f"/{index}{kind}"
            response = get(proxy.port, path, fields + bearer(tokens.by_secret(**{**good, **changes})))
            assert response.status == 403
            assert challenge(response) == (
                'Bearer realm="chat", error="insufficient_scope", error_description="the token is not for this resource", '
                'scope="events.read profile"')
            record = proxy.access_log.access(path)
            assert record["credential_error"] == word and record["issuer"] == "main"
    assert len(origin.wait_for_requests(1)) == 1


def test_claims_reach_the_server_and_clients_cannot_write_them_on_any_way_to_it(checked):
    proxy, origin = checked(
        "claim_field X-User sub", "claim_field X-Roles realm.roles", "claim_field X-Missing missing", path="/events/*",
        more="route /* {{\n upstream {origin}\n}}")
    forged = "X-User: eve\r\nx_user: eve\r\nX.USER: eve\r\nX-Roles: admin\r\nX-Missing: eve\r\nConnection: x-user, close\r\nX-Username: kept\r\n"
    token = tokens.by_secret(sub="Zoë", realm={"roles": ["a", "b"]})
    assert get(proxy.port, "/events/1", forged + bearer(token)).status == 200
    assert get(proxy.port, "/elsewhere", forged).status == 200
    by_check, elsewhere = origin.wait_for_requests(2)
    assert by_check.value("x-user") == "Zoë".encode() and by_check.value("x-roles") == b'["a", "b"]'
    assert not any(b"eve" in value or b"admin" in value for request in (by_check, elsewhere) for _, value in request.fields)
    assert elsewhere.value("x-user") is None and elsewhere.value("x-username") == b"kept"
    for index, value in enumerate(["a\r\nX-Admin: 1", "a\0", " a"]):
        assert get(proxy.port, f"/events/bad{index}", bearer(tokens.by_secret(sub=value))).status == 401
        assert proxy.access_log.access(f"/events/bad{index}")["credential_error"] == "claims"


@pytest.mark.parametrize("path", [
    "/events", "/events/", "/events//1", "//events/1", "/./events/1", "/x/../events/1", "/%65vents/1", "/events%2F1", "/EVENTS/1", "/events;a=1/1",
    "/x/%2e%2e/events/1", "/events\\1", "/events/1?x", "/events/1%00"])
def test_no_spelling_of_a_path_gets_around_the_check(checked, path):
    def server(connection, request):
        connection.respond(200, b"secret" if b"events" in request.target.lower() or b"vents" in request.target else b"ok")

    proxy, origin = checked(path="/events/*", more="route /* {{\n upstream {origin}\n}}", handler=server)
    response = get(proxy.port, path)
    assert response.status in (400, 401, 404) or b"secret" not in response.body
    if path not in ("/EVENTS/1",):
        assert origin.requests == []


def test_what_a_checked_token_opened_is_for_no_shared_cache(checked):
    def shared(connection, request):
        connection.respond(200, b"ok", [("Cache-Control", "public, s-maxage=60, max-age=30")])

    proxy, _ = checked("bearer_missing pass", handler=shared)
    token = tokens.by_secret()
    for path, fields in [("/e", bearer(token)), (f"/e?access_token={token}", ""), ("/e", f"Cookie: session={token}\r\n")]:
        assert get(proxy.port, path, fields).value("cache-control") == b"max-age=30, private", (path, fields)
    # A request without a token got what everybody gets.
    assert get(proxy.port, "/e").value("cache-control") == b"public, s-maxage=60, max-age=30"


def test_a_page_of_another_origin_cannot_use_a_cookie_to_change_something(checked):
    proxy, origin = checked()
    fields = f"Cookie: session={tokens.by_secret()}\r\nSec-Fetch-Site: cross-site\r\n"
    assert exchange(proxy.port, f"POST /e HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n".encode()).status == 403
    assert proxy.access_log.access("/e")["credential_error"] == "cross_site"
    assert origin.requests == []


def test_a_token_that_comes_often_is_good_until_its_end(checked):
    proxy, _ = checked()
    end = int(time.time()) + 3
    token = tokens.by_secret(exp=end)
    with Client(proxy.port) as client:
        while time.time() < end - 0.1:
            client.get("/", bearer(token))
            assert client.read_response().status == 200
            time.sleep(0.05)
        time.sleep(max(end - time.time(), 0) + 0.05)
        client.get("/", bearer(token))
        assert client.read_response().status == 401


@pytest.mark.parametrize("lines, said", [
    ("key RS256 {folder}/none.pem", "none.pem: it cannot be read"), ("key RS256 {folder}/EdDSA.pem", "EdDSA.pem: the key is not one for RS256"),
    ("key EdDSA {folder}/EdDSA.key", "EdDSA.key: it holds a private key; give the proxy the public one"),
    ("keys_file {folder}/EdDSA.pem", "EdDSA.pem: it is no JSON object"),
])
def test_check_says_which_key_cannot_be_used(tmp_path, lines, said):
    import subprocess

    from support.paths import binary
    tokens.Key(tmp_path, "EdDSA")
    file = tmp_path / "a.conf"
    file.write_text(
        f"listen 127.0.0.1:1\nissuer main {{\n name a\n audience any\n {lines.format(folder=tmp_path)}\n}}\n"
        "route /* {\n upstream 127.0.0.1:2\n bearer_check main\n}\n")
    result = subprocess.run([binary(), "check", "--config", file], capture_output=True, text=True)
    assert result.returncode != 0 and said in result.stderr, result.stderr
