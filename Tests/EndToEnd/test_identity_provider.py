"""A real identity provider (Authlib's server, ../applications) whose tokens open streams through the proxy."""

import json
import signal
import time

import pytest

from support import applications, eventsource, tokens
from support.browser import Browser
from support.client import Client, get
from support.identity import OPAQUE, IdentityProvider

STREAM = "Accept: text/event-stream\r\n"


@pytest.fixture(scope="module")
def provider(tmp_path_factory, authority, identity):
    with applications.running("identity_provider", tmp_path_factory.mktemp("provider"), *identity) as address:
        yield IdentityProvider(address.replace("127.0.0.1", "localhost"), authority.certificate)


@pytest.fixture
def guarded(stage, provider, tmp_path):
    """A function: the proxy with the provider's keys in a file or as `keys` says, in front of a server that tells what it learned of the client."""
    def server(connection, request):
        if request.target.startswith(b"/page"):
            return connection.respond(200, PAGE % provider.url.encode(), [("Content-Type", "text/html")])
        user, roles = (request.value(name) or b"-" for name in ("x-user", "x-roles"))
        connection.start_stream()
        connection.chunk(b"data: %s %s\n\n" % (user, roles))
        if request.target.endswith(b"/living"):
            connection.wait_until_left(60)
        else:
            connection.last_chunk()

    def make(keys=f"keys_file {tmp_path}/jwks.json"):
        origin = stage.origin(server)
        (tmp_path / "jwks.json").write_text(provider.keys())

        def text(port, folder):
            return (f"listen 127.0.0.1:{port}\nstream_log {folder}/stream.log\naccess_log {folder}/access.log\n"
                    f"issuer main {{\n name {tokens.ISSUER}\n audience {tokens.AUDIENCE}\n {keys}\n leeway 0s\n}}\n"
                    f"route /events/* {{\n upstream {origin.address}\n bearer_from query access_token\n bearer_check main\n require_scope events.read\n"
                    " claim_field X-User sub\n claim_field X-Roles realm.roles\n}\n"
                    f"route /* {{\n upstream {origin.address}\n}}\n")
        return stage.heartwire(text=text), origin
    return make


def told(proxy, token: str):
    return get(proxy.port, "/events/now", f"{STREAM}Authorization: Bearer {token}\r\n")


def test_tokens_of_the_provider_open_streams_with_each_kind_of_key_that_it_turns_to(guarded, provider, tmp_path):
    proxy, origin = guarded()
    algorithms = set()
    for turn in range(3):
        token = provider.token()
        algorithms.add(json.loads(tokens.decode(token.split(".")[0]))["alg"])
        answer = told(proxy, token)
        assert answer.status == 200 and [event.data for event in eventsource.read(answer.body).events] == ['machine ["reader"]']
        assert told(proxy, provider.token(scope="profile")).status == 403
        provider.rotate()
        unknown = provider.token()
        assert told(proxy, unknown).status == 401
        (tmp_path / "jwks.json").write_text(provider.keys())
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_for_words("SIGHUP: done: nothing in the configuration has changed; keys of issuers were read again", turn + 1)
        assert told(proxy, unknown).status == 200 and told(proxy, token).status == 200
    assert algorithms == {"ES256", "RS256", "Ed25519"}
    records = proxy.access_log.wait_for(lambda record: record.get("credential_error") == "key", count=3)
    assert len(records) == 3


def test_keys_are_fetched_from_the_provider_over_tls_and_a_new_one_opens_with_its_first_token(guarded, provider, authority):
    asked = provider.count("/jwks.json") + 1  # The fixture asks too.
    proxy, _ = guarded(f"token_type at+jwt\n keys_url {provider.url}/jwks.json\n keys_cooldown 1s\n tls {{\n authority {authority.certificate}\n }}")
    first = provider.token()
    assert told(proxy, first).status == 200
    provider.rotate()
    second = provider.token()
    assert told(proxy, second).status == 200 and told(proxy, first).status == 200
    assert provider.count("/jwks.json") == asked + 2, "one at the start, and one for the new key"
    # Tokens of the key that leaves the set no longer open, once the new key has been fetched.
    time.sleep(1.1)
    provider.rotate(drop=True)
    assert told(proxy, provider.token()).status == 200
    assert told(proxy, first).status == told(proxy, second).status == 401
    for number in range(20):
        assert told(proxy, tokens.by_secret(header={"alg": "RS256", "kid": f"unknown-{number}"})).status == 401
    assert asked + 3 <= provider.count("/jwks.json") <= asked + 5


def test_the_provider_is_asked_about_tokens_that_say_nothing_and_a_revoked_one_ends_its_stream(guarded, provider, authority):
    proxy, origin = guarded(
        f'introspect_url {provider.url}/introspect\n introspect_client heartwire "a secret with : and % and ü"\n cache 1s\n recheck 1s\n'
        f" tls {{\n authority {authority.certificate}\n }}")
    asked = provider.count("/introspect")
    token = provider.token(OPAQUE)
    for _ in range(5):
        assert [event.data for event in eventsource.read(told(proxy, token).body).events] == ["opaque -"]
    # Each worker asks by itself, and keeps what it was told for a second.
    assert asked + 1 <= provider.count("/introspect") < asked + 5
    assert told(proxy, provider.token(OPAQUE, scope="profile")).status == 403
    assert told(proxy, "nothing-that-the-provider-knows").status == 401
    with Client(proxy.port) as client:
        client.send(f"GET /events/living HTTP/1.1\r\nHost: a\r\n{STREAM}Authorization: Bearer {token}\r\n\r\n".encode())
        body = client.body(client.read_head(10))
        body.wait_for(lambda data: b"data: opaque" in data, 5)
        provider.revoke(token)
        ending = proxy.stream_log.ending("/events/living", 10)
    assert (ending["cause"], ending["side"]) == ("revoked", "proxy")
    # The other worker may keep its answer for the second that `cache` allows.
    time.sleep(1.1)
    assert told(proxy, token).status == 401
    assert len([request for request in origin.requests if request.target.startswith(b"/events")]) == 6


PAGE = b"""<!doctype html><title>page</title><script>
// The authorization code with PKCE (RFC 7636), as a page without a server of its own logs in.
window.seen = {events: [], closed: 0};
const provider = "%s", base64 = bytes => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\\+/g, "-").replace(/\\//g, "_").replace(/=/g, "");
async function login() {
    const verifier = base64(crypto.getRandomValues(new Uint8Array(32)));
    sessionStorage.setItem("verifier", verifier);
    const challenge = base64(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)));
    location = provider + "/authorize?" + new URLSearchParams({response_type: "code", client_id: "page", redirect_uri: location.origin + "/page",
        scope: "events.read", state: "s", code_challenge: challenge, code_challenge_method: "S256"});
}
async function listen(code) {
    const answer = await fetch(provider + "/token", {method: "POST", body: new URLSearchParams({grant_type: "authorization_code", code,
        client_id: "page", redirect_uri: location.origin + "/page", code_verifier: sessionStorage.getItem("verifier")})});
    seen.token = (await answer.json()).access_token;
    const source = new EventSource("/events/page?access_token=" + seen.token);
    source.onmessage = event => { seen.events.push(event.data); source.close(); };
    source.onerror = () => seen.closed += source.readyState == 2;
}
const code = new URLSearchParams(location.search).get("code");
if (code) listen(code); else login();
</script>"""


@pytest.mark.heavy
def test_a_user_logs_in_at_the_provider_and_a_native_eventsource_opens_with_the_token(guarded, tmp_path):
    proxy, origin = guarded()
    with Browser(tmp_path, "--ignore-certificate-errors") as browser:
        browser.open(f"http://127.0.0.1:{proxy.port}/page")
        browser.wait_for("!!document.querySelector('input[name=user]')", 20)
        browser.evaluate("document.querySelector('input[name=user]').value = 'zoë'; document.forms[0].submit()")
        browser.wait_for("window.seen?.events.length == 1", 20)
        assert browser.evaluate("seen.events[0]") == 'zoë ["reader"]' and browser.evaluate("seen.closed") == 0
        errors = browser.page_errors()
    assert not errors, errors
    request, = [request for request in origin.requests if request.target.startswith(b"/events")]
    assert request.target == b"/events/page" and request.value("authorization").startswith(b"Bearer ")
