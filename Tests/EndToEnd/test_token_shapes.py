"""Key sets and tokens in the shapes in which well-known providers write them: what the proxy takes of them, and what it tells servers."""

import base64
import json
import time

import jwt
import pytest
from jwcrypto import jwk

from support import planted, tokens
from support.client import get

CERTIFICATE = base64.b64encode(b"a certificate, which nobody reads").decode()


def rsa(**members) -> dict:
    """A public RSA key with these members."""
    return {**KEY.export_public(as_dict=True), **members}


KEY, OTHER = jwk.JWK.generate(kty="RSA", size=2048), jwk.JWK.generate(kty="RSA", size=2048)
PRIVATE = KEY.export_to_pem(private_key=True, password=None)
NOW = int(time.time())
UNNEEDED = {**OTHER.export_public(as_dict=True), "kid": "other"}

# Of each provider: its set, a token's header and claims, the route's lines, and what the server learns.
PROVIDERS = {
    "Keycloak": (
        {"keys": [
            {**UNNEEDED, "use": "enc", "alg": "RSA-OAEP", "x5c": [CERTIFICATE], "x5t": "a", "x5t#S256": "b"},
            rsa(kid="k1", use="sig", alg="RS256", x5c=[CERTIFICATE], **{"x5t": "c", "x5t#S256": "d"})]},
        {"typ": "JWT", "kid": "k1"},
        {"iss": "https://id.example.com/realms/main", "aud": ["events", "account"], "typ": "Bearer", "azp": "page", "sid": "e3b0", "acr": "1",
         "auth_time": NOW - 5, "jti": "onrtac:4f2a", "allowed-origins": ["https://app.example.com"], "realm_access": {"roles": ["offline_access", "reader"]},
         "resource_access": {"account": {"roles": ["view-profile"]}}, "scope": "openid email events.read", "email_verified": False,
         "preferred_username": "ada", "sub": "f7c0a1de-1111"},
        ["require_scope events.read", "require_claim realm_access.roles reader", "claim_field X-User preferred_username", "claim_field X-Client azp"],
        {b"x-user": b"ada", b"x-client": b"page"}),
    "Microsoft Entra": (
        {"keys": [
            {**UNNEEDED, "use": "sig", "x5t": "other", "x5c": [CERTIFICATE], "issuer": "https://login.example.com/{tenantid}/v2.0", "cloud_instance_name": "x"},
            rsa(kid="nOo3ZDrODXEK1jKWhXslHR_KXEg", use="sig", x5t="nOo3ZDrODXEK1jKWhXslHR_KXEg", x5c=[CERTIFICATE],
                issuer="https://login.example.com/{tenantid}/v2.0", cloud_instance_name="login.example.com")]},
        {"typ": "JWT", "kid": "nOo3ZDrODXEK1jKWhXslHR_KXEg"},
        {"iss": "https://login.example.com/9188040d/v2.0", "aud": "api://events", "nbf": NOW - 300, "azp": "6731de76", "azpacr": "0", "name": "Ada Lovelace",
         "oid": "690222be", "rh": "0.AXkA.", "scp": "events.read access_as_user", "sub": "HKZpfaHyWadeOouYlitjrI", "tid": "9188040d", "uti": "fqiBqXLPj0eQa82S",
         "ver": "2.0", "xms_ftd": "x"},
        ["require_scope events.read", "require_claim tid 9188040d", "claim_field X-User name"], {b"x-user": b"Ada Lovelace"}),
    "Auth0": (
        {"keys": [rsa(kid="NjVBRjY5", use="sig", alg="RS256", n=KEY.export_public(as_dict=True)["n"], e="AQAB", x5t="NjVBRjY5", x5c=[CERTIFICATE])]},
        {"typ": "JWT", "kid": "NjVBRjY5"},
        {"iss": "https://acme.eu.auth0.example/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "aud": ["https://events.example.com", "https://acme.eu.auth0.example/userinfo"],
         "azp": "my_client", "scope": "openid profile events.read", "permissions": ["read:events"], "https://example.com/roles": ["reader", "writer"]},
        ["require_claim https://example.com/roles reader", "claim_field X-User sub", "claim_field X-May permissions"],
        {b"x-user": b"auth0|5f7c8ec7c33c6c004bbafe82", b"x-may": b'["read:events"]'}),
    "Okta": (
        {"keys": [rsa(kid="iKX-2Vx", use="sig", alg="RS256", e="AQAB")]},
        {"kid": "iKX-2Vx"},
        {"ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "iss": "https://acme.okta.example/oauth2/default", "aud": "api://default", "cid": "0oabv6kx4",
         "uid": "00uid4BxXw6I6TV4m0g3", "scp": ["openid", "events.read"], "sub": "ada@example.com", "auth_time": NOW - 60},
        ["require_scope events.read", "claim_field X-User sub", "claim_field X-Version ver"], {b"x-user": b"ada@example.com", b"x-version": b"1"}),
    "Google": (
        {"keys": [{**UNNEEDED, "use": "sig", "alg": "RS256"}, rsa(kid="c8ab71530972bba20b49f78a09c9852c43ff9118", use="sig", alg="RS256")]},
        {"typ": "JWT", "kid": "c8ab71530972bba20b49f78a09c9852c43ff9118"},
        {"iss": "https://accounts.example.com", "azp": "32555940559.apps", "aud": "32555940559.apps", "sub": "110169484474386276334", "hd": "example.com",
         "email": "ada@example.com", "email_verified": True, "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q"},
        ["require_claim email_verified true", "require_claim hd example.com", "claim_field X-User email"], {b"x-user": b"ada@example.com"}),
    "AWS Cognito": (
        {"keys": [{**UNNEEDED, "use": "sig", "alg": "RS256"}, rsa(kid="abcdefghijklmnopqrsexample=", use="sig", alg="RS256")]},
        {"kid": "abcdefghijklmnopqrsexample="},
        {"iss": "https://cognito-idp.example.com/us-east-1_Example", "sub": "aaaaaaaa-bbbb", "cognito:groups": ["readers"], "version": 2, "client_id": "xxxx",
         "origin_jti": "aaaa", "token_use": "access", "scope": "events/read", "auth_time": NOW, "jti": "aaaa", "username": "ada"},
        ["require_scope events/read", "require_claim cognito:groups readers", "require_claim client_id xxxx", "claim_field X-User username"], {b"x-user": b"ada"}),
    "GitHub Actions": (
        {"keys": [rsa(kid="cc413527", use="sig", alg="RS256", x5c=[CERTIFICATE], x5t="zEE1Jw")]},
        {"typ": "JWT", "x5t": "zEE1Jw", "kid": "cc413527"},
        {"jti": "cba0", "sub": "repo:acme/events:ref:refs/heads/main", "aud": "https://events.example.com", "ref": "refs/heads/main", "repository": "acme/events",
         "actor_id": "12", "run_attempt": "2", "iss": "https://token.actions.example.com", "nbf": NOW - 600, "environment": "prod"},
        ["require_claim repository acme/events", "claim_field X-User sub"], {b"x-user": b"repo:acme/events:ref:refs/heads/main"}),
}


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_token_and_a_key_set_of_this_provider_s_form_are_taken(stage, tmp_path, name):
    keys, header, claims, lines, learns = PROVIDERS[name]
    claims = {"exp": int(time.time()) + 3600, "iat": int(time.time()), **claims}
    audience = "any" if "aud" not in claims else claims["aud"][0] if isinstance(claims["aud"], list) else claims["aud"]
    (tmp_path / "jwks.json").write_text(json.dumps(keys, indent=2))
    origin = stage.origin(lambda connection, request: connection.respond(200, b"ok"))

    def text(port, folder):
        return (f"listen 127.0.0.1:{port}\naccess_log {folder}/access.log\nissuer main {{\n name {claims['iss']}\n audience {audience}\n"
                f" keys_file {tmp_path}/jwks.json\n}}\nroute /* {{\n upstream {origin.address}\n bearer_check main\n " + "\n ".join(lines) + "\n}\n")

    proxy = stage.heartwire(text=text)
    token = planted.watch(jwt.encode(claims, PRIVATE, "RS256", headers=header))
    assert proxy.wait_for_words("listening on").count("\n") == 1, "no warning about keys that are for something else"
    assert get(proxy.port, "/good", f"Authorization: Bearer {token}\r\n").status == 200, proxy.access_log.raw()
    request, = origin.requests
    assert {name: request.value(name.decode()) for name in learns} == learns
    by_other = planted.watch(jwt.encode(claims, OTHER.export_to_pem(private_key=True, password=None), "RS256", headers=header))
    assert get(proxy.port, "/bad", f"Authorization: Bearer {by_other}\r\n").status == 401
    assert proxy.access_log.access("/bad")["credential_error"] == "signature"
