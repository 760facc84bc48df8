"""Tokens of PyJWT, jwcrypto and openssl, and what these libraries think of odd tokens: a second opinion on every verdict.

Where the proxy refuses what a library takes, or the other way round, the table says why.
"""

import hashlib
import hmac
import json
import subprocess
import time

import jwt
import pytest
from jwcrypto import jwk, jws
from jwcrypto import jwt as jwcrypto_jwt

from support import planted, tokens
from support.client import Client

SECRET = "a secret of 64 bytes, which is as long as the longest hash: 0123"
KEYS = {  # The algorithms of each kind of key, and how openssl makes one.
    "rsa": (["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    "p256": (["ES256"], ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    "p384": (["ES384"], ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    "p521": (["ES512"], ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"]),
    "ed25519": (["EdDSA", "Ed25519"], ["ED25519"]),
    "ed448": (["EdDSA"], ["ED448"]),
    "secret": (["HS256", "HS384", "HS512"], None),
}
EVERY = [(name, algorithm) for name, (algorithms, _) in KEYS.items() for algorithm in algorithms]


def openssl(*words, text=b"") -> bytes:
    return subprocess.run(["openssl", *map(str, words)], input=text, check=True, capture_output=True, timeout=30).stdout


class Signer:
    """The keys of one issuer, and three programs that sign with them."""

    def __init__(self, folder):
        self.folder, self.pem, self.jwk = folder, {}, {}
        for name, (_, options) in KEYS.items():
            if options:
                self.pem[name] = openssl("genpkey", "-algorithm", *options)
                (folder / f"{name}.key").write_bytes(self.pem[name])
                self.jwk[name] = jwk.JWK.from_pem(self.pem[name])
            else:
                self.pem[name] = SECRET.encode()
                self.jwk[name] = jwk.JWK(kty="oct", k=tokens.encode(SECRET.encode()))

    def key_set(self) -> str:
        """The public keys, as jwcrypto writes them."""
        return json.dumps({"keys": [{**key.export_public(as_dict=True), "kid": name} for name, key in self.jwk.items() if name != "secret"]})

    def header(self, name) -> dict:
        return {} if name == "secret" else {"kid": name}

    def by_pyjwt(self, name, algorithm, payload: dict) -> str:
        return jwt.encode(payload, self.pem[name], algorithm, headers=self.header(name))

    def by_jwcrypto(self, name, algorithm, payload: bytes) -> str:
        signed = jws.JWS(payload)
        signed.add_signature(self.jwk[name], algorithm, json.dumps({"alg": algorithm, **self.header(name)}))
        return signed.serialize(compact=True)

    def by_openssl(self, name, algorithm, payload: bytes) -> str:
        header = json.dumps({"alg": algorithm, **self.header(name)}).encode()
        text = f"{tokens.encode(header)}.{tokens.encode(payload)}".encode()
        return f"{text.decode()}.{tokens.encode(self.signature(name, algorithm, text))}"

    def signature(self, name, algorithm, text: bytes) -> bytes:
        key, digest = self.folder / f"{name}.key", f"-sha{algorithm[2:]}"
        if name == "secret":
            return openssl("dgst", digest, "-mac", "HMAC", "-macopt", f"hexkey:{SECRET.encode().hex()}", "-binary", text=text)
        if algorithm.startswith("Ed"):
            file = self.folder / f"{name}.text"
            file.write_bytes(text)
            return openssl("pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", file)
        pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] if algorithm.startswith("PS") else []
        signature = openssl("dgst", digest, "-sign", key, *pss, text=text)
        return raw(signature, {"ES256": 32, "ES384": 48, "ES512": 66}[algorithm]) if algorithm.startswith("ES") else signature


def raw(der: bytes, size: int) -> bytes:
    """The two numbers of a signature in DER."""
    at, numbers = (3 if der[1] & 0x80 else 2), []
    for _ in range(2):
        length = der[at + 1]
        numbers.append(der[at + 2:at + 2 + length].lstrip(b"\0").rjust(size, b"\0"))
        at += 2 + length
    return b"".join(numbers)


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return Signer(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def ask(signer, shared_stage):
    """A function: what the proxy says of a token: good, or the log's word for what is wrong."""
    origin = shared_stage.origin(lambda connection, request: connection.respond(200, b"ok"))
    (signer.folder / "jwks.json").write_text(signer.key_set())
    secrets = "".join(f' shared_secret {algorithm} "{SECRET}"\n' for algorithm in KEYS["secret"][0])

    def text(port, folder):
        return (f"listen 127.0.0.1:{port}\naccess_log {folder}/access.log\nissuer main {{\n name {tokens.ISSUER}\n audience {tokens.AUDIENCE}\n"
                f" keys_file {signer.folder}/jwks.json\n{secrets} leeway 0s\n}}\n"
                f"route /* {{\n upstream {origin.address}\n bearer_check main\n bearer_limit 8KiB\n}}\n")
    proxy = shared_stage.heartwire(text=text)
    client = Client(proxy.port)
    count = iter(range(10**6))

    def verdict(token: str) -> str:
        path = f"/{next(count)}"
        client.get(path, f"Authorization: Bearer {planted.watch(token)}\r\n")
        status = client.read_response().status
        return "good" if status == 200 else proxy.access_log.access(path)["credential_error"]
    yield verdict
    client.close()


def pyjwt_thinks(token, key, algorithm) -> str:
    try:
        jwt.decode(token, key, [algorithm], audience=tokens.AUDIENCE, issuer=tokens.ISSUER, options={"require": ["exp"]})
        return "good"
    except Exception as problem:  # An odd token can also end in an error of Python's own.
        return type(problem).__name__


def jwcrypto_thinks(token, key, algorithm) -> str:
    try:
        jwcrypto_jwt.JWT(jwt=token, key=key, algs=[algorithm], expected_type="JWS",
                         check_claims={"iss": tokens.ISSUER, "aud": tokens.AUDIENCE, "exp": None})
        return "good"
    except Exception as problem:  # As above.
        return type(problem).__name__


def public(signer, name):
    return SECRET if name == "secret" else openssl("pkey", "-pubout", text=signer.pem[name])


def flipped(token: str) -> str:
    """The token with one bit of its signature changed."""
    text, _, signature = token.rpartition(".")
    decoded = bytearray(tokens.decode(signature))
    decoded[len(decoded) // 2] ^= 1
    return f"{text}.{tokens.encode(bytes(decoded))}"


@pytest.mark.parametrize("name, algorithm", EVERY)
def test_tokens_of_three_programs_are_good_and_each_changed_bit_of_a_signature_is_seen(signer, ask, name, algorithm):
    payload = tokens.claims(sub="zoë", roles=["a", {"b": [1, 2.5, None, True]}])
    text = json.dumps(payload).encode()
    key = public(signer, name)
    made = [signer.by_jwcrypto(name, algorithm, text), signer.by_openssl(name, algorithm, text)]
    # PyJWT does not know the names of RFC 9864 yet.
    known = algorithm in jwt.algorithms.get_default_algorithms()
    if known:
        made.append(signer.by_pyjwt(name, algorithm, payload))
    for token in made:
        bad = flipped(token)
        assert [ask(token), jwcrypto_thinks(token, signer.jwk[name], algorithm)] == ["good"] * 2
        assert ask(bad) == "signature" and jwcrypto_thinks(bad, signer.jwk[name], algorithm) != "good"
        if known:
            assert pyjwt_thinks(token, key, algorithm) == "good" and pyjwt_thinks(bad, key, algorithm) == "InvalidSignatureError"


def signed(payload: bytes, header: bytes = b'{"alg":"HS256"}') -> str:
    """By the standard library, so that the two parts can be anything."""
    text = f"{tokens.encode(header)}.{tokens.encode(payload)}"
    return f"{text}.{tokens.encode(hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest())}"


def usual(**changes) -> bytes:
    return json.dumps(tokens.claims(**changes)).encode()


def changed(**changes) -> str:
    return signed(usual(**changes))


def written(**members) -> str:
    """The usual claims, with members whose values are JSON as it is written here."""
    rest = json.dumps({name: value for name, value in tokens.claims().items() if name not in members})[1:]
    return signed(("{" + "".join(f'"{name}":{value},' for name, value in members.items()) + rest).encode())


STRICT_JSON = "RFC 8259: what readers take in different ways is refused, and UTF-8 without a mark is the only encoding"
TYPES = "RFC 7519: a date is a JSON number; PyJWT converts a text with int()"
DATES = "beyond the year 9999 it is milliseconds or an attack, and never *without an end*"
TWICE = "RFC 7519 section 4: refused, since readers disagree whether the first or the last counts"
CANONICAL = "RFC 7515 section 2: base64url without padding, and one text for one token"
LEEWAY = "jwcrypto always allows a minute"


def odd_tokens() -> list:
    """Rows: what is odd, the token, the proxy's verdict, and why where it is another one than a library's."""
    now = int(time.time())
    head, body, signature = changed().split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return [
        ("claims in another order", signed(json.dumps(dict(reversed(tokens.claims().items()))).encode()), "good", ""),
        ("blanks everywhere", signed(json.dumps(tokens.claims(), indent=4).encode() + b"\r\n\t "), "good", ""),
        ("characters beyond the first plane", signed(json.dumps(tokens.claims(sub="😀ada\u2028"), ensure_ascii=False).encode()), "good", ""),
        ("the same, escaped", changed(sub="😀ada\u2028"), "good", ""),
        ("a claim whose name is escaped", signed(usual().replace(b'"exp"', b'"\\u0065xp"')), "good", ""),
        ("a slash that is escaped", signed(usual().replace(b"/", b"\\/")), "good", ""),
        ("an empty name", changed(**{"": 1}), "good", ""),
        ("NUL in a claim", changed(name="a\0b"), "good", ""),
        ("lists 12 deep", changed(deep=json.loads("[" * 11 + "]" * 11)), "good", ""),
        ("lists 100 deep", changed(deep=json.loads("[" * 99 + "]" * 99)), "payload", "bounded: at most 16 deep"),
        ("300 members", changed(many={str(number): number for number in range(300)}), "good", ""),
        ("a number of 400 digits that nobody reads", written(x="1" * 400), "good", ""),
        ("aud as a list of one", changed(aud=[tokens.AUDIENCE]), "good", ""),
        ("aud as a list with others", changed(aud=["x", tokens.AUDIENCE, "y"]), "good", ""),
        ("aud of others", changed(aud=["x", "y"]), "audience", ""),
        ("aud that is empty", changed(aud=[]), "audience", ""),
        ("aud with a number beside", changed(aud=[tokens.AUDIENCE, 1]), "audience", ""),
        ("aud as an object", changed(aud={tokens.AUDIENCE: 1}), "audience", ""),
        ("no aud", changed(aud=None), "audience", ""),
        ("aud in another case", changed(aud=tokens.AUDIENCE.upper()), "audience", ""),
        ("exp with a fraction", changed(exp=now + 600.75), "good", ""),
        ("exp with an exponent", written(exp=f"{(now + 600) / 1e9!r}e9"), "good", ""),
        ("exp with another exponent", written(exp=f"{(now + 600) / 1e9!r}E+9"), "good", ""),
        ("exp as text", changed(exp=str(now + 600)), "claims", TYPES),
        ("exp null", written(exp="null"), "claims", ""),
        ("exp true", written(exp="true"), "claims", ""),
        ("exp in milliseconds", changed(exp=(now + 600) * 1000), "claims", DATES),
        ("exp 2^63", changed(exp=2**63), "claims", DATES),
        ("exp 1e400", written(exp="1e400"), "claims", ""),
        ("exp negative", changed(exp=-1), "expired", ""),
        ("exp zero", changed(exp=0), "expired", ""),
        ("exp a second ago", changed(exp=now - 1), "expired", LEEWAY),
        ("exp two minutes ago", changed(exp=now - 120), "expired", ""),
        ("no exp", changed(exp=None), "claims", ""),
        ("nbf a minute ago", changed(nbf=now - 60.5), "good", ""),
        ("nbf ahead", changed(nbf=now + 60), "not_yet", "jwcrypto looks at nbf only where it is told to"),
        ("nbf as text", changed(nbf=str(now - 60)), "claims", TYPES),
        ("nbf null", written(nbf="null"), "claims", "jwcrypto takes null for a claim that is absent"),
        ("iat ahead", changed(iat=now + 60), "good", "RFC 7519 section 4.1.6: iat tells an age, and is no condition"),
        ("iat with a fraction", changed(iat=now - 0.5), "good", ""),
        ("iat as text", changed(iat=str(now)), "claims", TYPES),
        ("iss in another case", changed(iss=tokens.ISSUER.upper()), "issuer", ""),
        ("iss without its slash", changed(iss=tokens.ISSUER.rstrip("/")), "issuer", ""),
        ("iss as a list", changed(iss=[tokens.ISSUER]), "issuer", ""),
        ("sub as a number", changed(sub=7), "claims", ""),
        ("jti as a number", changed(jti=7), "claims", ""),
        ("no sub", changed(sub=None), "good", ""),
        ("cnf", changed(cnf={"jkt": "x"}), "confirmation", "RFC 7800: who only bears it has not proved the key"),
        ("exp twice, the last one good", signed(usual().replace(b"{", b'{"exp":1,', 1)), "payload", TWICE),
        ("exp twice, the last one over", signed(usual()[:-1] + b',"exp":1}'), "payload", ""),
        ("a list instead of claims", signed(b"[1]"), "payload", ""),
        ("a text instead of claims", signed(b'"x"'), "payload", ""),
        ("no claims", signed(b""), "payload", ""),
        ("NaN", written(x="NaN"), "payload", STRICT_JSON),
        ("Infinity for exp", written(exp="Infinity"), "payload", ""),
        ("a comma too many", signed(usual()[:-1] + b",}"), "payload", ""),
        ("a byte order mark", signed(b"\xef\xbb\xbf" + usual()), "payload", STRICT_JSON),
        ("UTF-16", signed(usual().decode().encode("utf-16")), "payload", STRICT_JSON),
        ("UTF-8 that is broken", signed(usual()[:-1] + b',"x":"\xff"}'), "payload", ""),
        ("half of a surrogate pair", written(x='"\\ud800"'), "payload", STRICT_JSON),
        ("a line end in a text", written(x='"a\nb"'), "payload", ""),
        ("typ JWT", signed(usual(), b'{"alg":"HS256","typ":"JWT"}'), "good", ""),
        ("typ at+jwt in front of alg", signed(usual(), b'{"typ":"at+jwt","alg":"HS256"}'), "good", ""),
        ("blanks in the header", signed(usual(), b' { "alg" : "HS256" } '), "good", ""),
        ("cty of something", signed(usual(), b'{"cty":"json","alg":"HS256"}'), "good", ""),
        ("cty JWT", signed(usual(), b'{"cty":"JWT","alg":"HS256"}'), "header", "RFC 7519 section 5.2: the payload is a token, and no claims"),
        ("an unknown member in the header", signed(usual(), b'{"alg":"HS256","x":{"y":[1]}}'), "good", ""),
        ("jku and jwk", signed(usual(), b'{"alg":"HS256","jku":"http://127.0.0.1:1/","jwk":{"kty":"oct","k":"AA"}}'), "good", ""),
        ("a kid that no key has", signed(usual(), b'{"alg":"HS256","kid":"x"}'), "good", ""),
        ("a kid that is a number", signed(usual(), b'{"alg":"HS256","kid":7}'), "header", "RFC 7515 section 4.1.4: a text"),
        ("crit with something unknown", signed(usual(), b'{"alg":"HS256","crit":["x"],"x":1}'), "header", ""),
        ("crit that is empty", signed(usual(), b'{"alg":"HS256","crit":[]}'), "header", "RFC 7515 section 4.1.11: never empty"),
        ("b64 false", signed(usual(), b'{"alg":"HS256","b64":false,"crit":["b64"]}'), "header", ""),
        ("b64 true", signed(usual(), b'{"alg":"HS256","b64":true}'), "header", "RFC 7797 section 6: only together with crit, and not with JWT"),
        ("alg twice", signed(usual(), b'{"alg":"none","alg":"HS256"}'), "header", TWICE),
        ("alg in lower case", signed(usual(), b'{"alg":"hs256"}'), "algorithm", ""),
        ("alg none", signed(usual(), b'{"alg":"none"}').rpartition(".")[0] + ".", "algorithm", ""),
        ("padding", f"{head}.{body}.{signature}=", "shape", CANONICAL),
        ("padding of each part", f"{head}==.{body}==.{signature}=", "syntax", CANONICAL),
        ("bits behind the end", f"{head}.{body}.{signature[:-1]}{last[last.index(signature[-1]) + 1]}", "shape", CANONICAL),
        ("a fourth part", f"{head}.{body}.{signature}.", "shape", ""),
        ("only two parts", f"{head}.{body}", "shape", ""),
    ]


def test_odd_tokens_get_the_verdict_of_both_libraries_or_there_is_a_reason(signer, ask):
    unexpected = []
    for what, token, verdict, reason in odd_tokens():
        ours = ask(token)
        theirs = [pyjwt_thinks(token, SECRET, "HS256"), jwcrypto_thinks(token, signer.jwk["secret"], "HS256")]
        differs = any((ours == "good") != (other == "good") for other in theirs)
        if ours != verdict or (differs and not reason):
            unexpected.append(f"{what}: the proxy says {ours}, PyJWT {theirs[0]}, jwcrypto {theirs[1]}")
    assert not unexpected, "\n".join(unexpected)
