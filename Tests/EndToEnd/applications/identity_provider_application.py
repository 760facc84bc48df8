"""An identity provider: Authlib's authorization server in Flask. Arguments: the port, and for TLS a certificate and its key.

It has a login page for the authorization code with PKCE, client credentials, tokens that are JWTs (RFC 9068) or, for the client
`opaque`, say nothing by themselves, the keys as a set, introspection (RFC 7662) and revocation (RFC 7009). `POST /rotate` makes a new
signing key; `?drop=1` takes the old ones out of the set. `GET /counts` says how often each path was asked.
"""

import collections
import os
import sys
import time

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # Only where no certificate is given; over TLS it changes nothing.

from authlib.common.security import generate_token
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask, jsonify, request
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

ISSUER, AUDIENCE = "https://id.example.com/", "https://events.example.com"
application = Flask(__name__)
counts = collections.Counter()
codes, issued, keys = {}, {}, []
JWSRegistry.recommended.append("Ed25519")  # It signs with what is recommended for everybody, and RFC 9864 is young.


def new_key():
    """Each key is of another kind than the one before."""
    kinds = [(ECKey, "P-256", "ES256"), (RSAKey, 2048, "RS256"), (OKPKey, "Ed25519", "Ed25519")]
    kind, size, algorithm = kinds[len(keys) % len(kinds)]
    keys.append(kind.generate_key(size, {"kid": f"key-{len(keys)}-{generate_token(6)}", "use": "sig", "alg": algorithm}))


class Client(ClientMixin):
    def __init__(self, name, secret, grants):
        self.name, self.secret, self.grants = name, secret, grants

    def get_client_id(self):
        return self.name

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return " ".join(word for word in (scope or "").split() if word in ("events.read", "profile"))

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri.startswith("http://127.0.0.1:")

    def check_client_secret(self, client_secret):
        return client_secret == self.secret

    def check_endpoint_auth_method(self, method, endpoint):
        return method == ("client_secret_basic" if self.secret else "none")

    def check_response_type(self, response_type):
        return response_type == "code" and "authorization_code" in self.grants

    def check_grant_type(self, grant_type):
        return grant_type in self.grants


CLIENTS = {client.name: client for client in [
    Client("page", None, ["authorization_code"]), Client("machine", "the secret of the machine:%", ["client_credentials"]),
    Client("opaque", "the secret of the machine:%", ["client_credentials"]), Client("heartwire", "a secret with : and % and ü", [])]}


class User:
    def __init__(self, name):
        self.name = name

    def get_user_id(self):
        return self.name


class Token(TokenMixin):
    def __init__(self, client, subject, values):
        self.client, self.subject, self.values, self.revoked = client, subject, values, False
        self.began = int(time.time())

    def check_client(self, client):
        return self.client is client

    def get_scope(self):
        return self.values.get("scope", "")

    def get_expires_in(self):
        return self.values["expires_in"]

    def is_expired(self):
        return time.time() >= self.began + self.get_expires_in()

    def is_revoked(self):
        return self.revoked


class Code:
    def __init__(self, request, scope):
        self.redirect_uri, self.scope, self.user = request.payload.redirect_uri, scope, request.user
        self.code_challenge, self.code_challenge_method = (request.payload.data.get(name) for name in ("code_challenge", "code_challenge_method"))

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope


class AuthorizationCode(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["none"]

    def save_authorization_code(self, code, request):
        codes[code] = Code(request, request.payload.scope)

    def query_authorization_code(self, code, client):
        return codes.get(code)

    def delete_authorization_code(self, authorization_code):
        codes.pop(next(code for code, known in codes.items() if known is authorization_code))

    def authenticate_user(self, authorization_code):
        return authorization_code.user


class Generator(JWTBearerTokenGenerator):
    def get_jwks(self):
        return KeySet(keys[-1:])

    def get_audiences(self, client, user, scope):
        return [AUDIENCE]

    def get_extra_claims(self, client, grant_type, user, scope):
        return {"realm": {"roles": ["reader"]}}

    def _get_expires_in(self, client, grant_type):
        return int(request.form.get("seconds", 600))

    def access_token_generator(self, client, grant_type, user, scope):
        if client.name == "opaque":
            return generate_token(42)
        self.alg = keys[-1].alg
        return super().access_token_generator(client, grant_type, user, scope)


class Known:
    def query_token(self, token_string, token_type_hint):
        return issued.get(token_string)

    def check_permission(self, token, client, request):
        return client.name == "heartwire"


class Introspection(Known, IntrospectionEndpoint):
    def introspect_token(self, token):
        return {"active": True, "client_id": token.client.name, "token_type": "Bearer", "scope": token.get_scope(), "sub": token.subject,
                "aud": [AUDIENCE], "iss": ISSUER, "exp": token.began + token.get_expires_in(), "iat": token.began}


class Revocation(Known, RevocationEndpoint):
    def revoke_token(self, token, request):
        token.revoked = True


def save(token, request):
    subject = request.user.get_user_id() if request.user else request.client.name
    issued[token["access_token"]] = Token(request.client, subject, dict(token))


server = AuthorizationServer()
server.init_app(application, CLIENTS.get, save)
server.register_token_generator("default", Generator(ISSUER))
server.register_grant(grants.ClientCredentialsGrant)
server.register_grant(AuthorizationCode, [CodeChallenge(required=True)])
server.register_endpoint(Introspection)
server.register_endpoint(Revocation)


@application.before_request
def count():
    counts[request.path] += 1


@application.after_request
def allow(answer):
    """Any page may exchange its code for a token, as public clients do."""
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer


@application.get("/authorize")
def login():
    return '<!doctype html><title>Log in</title><form method="post"><input name="user" autofocus><button>Log in</button></form>'


@application.post("/authorize")
def authorize():
    return server.create_authorization_response(grant=server.get_consent_grant(end_user=User(request.form["user"])), grant_user=User(request.form["user"]))


@application.post("/token")
def token():
    return server.create_token_response()


@application.post("/introspect")
def introspect():
    return server.create_endpoint_response("introspection")


@application.post("/revoke")
def revoke():
    return server.create_endpoint_response("revocation")


@application.get("/jwks.json")
def jwks():
    return jsonify(keys=[key.as_dict(private=False) for key in keys if key is not None])


@application.post("/rotate")
def rotate():
    new_key()
    if request.args.get("drop"):
        keys[:-1] = [None] * (len(keys) - 1)
    return jsonify(kid=keys[-1].kid)


@application.get("/counts")
def how_often():
    return jsonify(counts)


new_key()
if __name__ == "__main__":
    import logging
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application.run("127.0.0.1", int(sys.argv[1]), threaded=True, ssl_context=tuple(sys.argv[2:4]) or None)
