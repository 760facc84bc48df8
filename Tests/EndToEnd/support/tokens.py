"""Signed tokens (JWT), made with the standard library and `openssl`: by nothing that Heartwire consists of."""

import base64
import hashlib
import hmac
import json
import pathlib
import time

from . import planted
from .certificates import openssl
from .client import get

ISSUER, AUDIENCE = "https://id.example.com/", "https://events.example.com"
SECRET = "a-secret-of-the-tests-that-is-long-enough"


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims(**changes) -> dict:
    """The claims of a good token with these changes; None takes a claim away."""
    usual = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600, "sub": "ada"}
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def by_secret(*, header=None, secret=SECRET, **changes) -> str:
    """A token with HS256."""
    signed = join(header or {"alg": "HS256"}, claims(**changes))
    return planted.watch(signed + "." + encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()))


def join(header: dict, payload: dict) -> str:
    return ".".join(encode(json.dumps(part).encode()) for part in (header, payload))


class Key:
    """A pair of keys in PEM files, for RS256, ES256 or EdDSA."""

    OPTIONS = {"RS256": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "ES256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "EdDSA": ["ED25519"]}

    def __init__(self, folder: pathlib.Path, algorithm: str):
        self.algorithm, self.folder = algorithm, folder
        self.private, self.public = folder / f"{algorithm}.key", folder / f"{algorithm}.pem"
        openssl("genpkey", "-algorithm", *self.OPTIONS[algorithm], "-out", self.private)
        openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)

    def token(self, *, kid=None, **changes) -> str:
        signed = join({"alg": self.algorithm, **({"kid": kid} if kid else {})}, claims(**changes))
        text, signature = self.folder / "signed", self.folder / "signature"
        text.write_text(signed)
        if self.algorithm == "EdDSA":
            openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.private, "-in", text, "-out", signature)
        else:
            openssl("dgst", "-sha256", "-sign", self.private, "-out", signature, text)
        raw = signature.read_bytes()
        return planted.watch(signed + "." + encode(raw_ecdsa(raw) if self.algorithm == "ES256" else raw))

    def jwk(self, **more) -> dict:
        """The public key of an Ed25519 pair, for a key set."""
        der = openssl("pkey", "-in", self.private, "-pubout", "-outform", "DER")
        return {"kty": "OKP", "crv": "Ed25519", "x": encode(der[-32:]), **more}


def raw_ecdsa(der: bytes) -> bytes:
    """The two numbers of a signature in DER, 32 bytes each."""
    first = der[4:4 + der[3]]
    second = der[6 + der[3]:]
    return b"".join(number.lstrip(b"\0").rjust(32, b"\0") for number in (first, second))


def bearer(token) -> str:
    """The line of a request with this token."""
    return f"Authorization: Bearer {token}\r\n"


def status(proxy, token, path="/", fields="") -> int:
    """What a request with this token is answered."""
    return get(proxy.port, path, bearer(token) + fields).status
