"""Writes tokens.txt: tokens of all algorithms and every known attack on them, with the word that each is refused with.

    pip install 'pyjwt[crypto]' && python generate.py

PyJWT and `cryptography` make the good tokens; the others are made by hand. Keys are new in each run, and all times stand still: the
tests look at the tokens at NOW. A line is `set`, `pem`, `key` or `token`, and its parts stand between bars:

    set NAME JWKS                       a set of keys, for the tokens below
    pem NAME ALGORITHM PEM              a public key in PEM, its line ends written as \\n, by itself a set of that name
    key ERROR SENTENCE JWKS             a set whose key is not taken
    token WORD SET SENTENCE TOKEN       a token; WORD is `good` or what is wrong with it
"""

import base64
import hmac
import json
import os

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, utils

NOW = 1_800_000_000
ISSUER, AUDIENCE = "https://id.example.com/", "https://events.example.com"
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 600, "sub": "ada"}
SECRET = b"a secret of 64 bytes, which is as long as the longest hash: 0123"
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}

lines = []
b64 = lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
number = lambda n, size=None: b64(n.to_bytes(size or (n.bit_length() + 7) // 8, "big"))
text = lambda value: value if isinstance(value, bytes) else json.dumps(value).encode()

private = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "p521": ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ed448": ed448.Ed448PrivateKey.generate(),
}
CURVES = {"p256": ("P-256", 32), "p384": ("P-384", 48), "p521": ("P-521", 66)}
ORDERS = {
    "p256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "p384": int("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16),
    "p521": int("01FF" + "F" * 62 + "FA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409", 16),
}


def jwk(name, **more):
    public = private[name].public_key()
    if name == "rsa":
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e), **more}
    if name in CURVES:
        curve, size = CURVES[name]
        numbers = public.public_numbers()
        return {"kty": "EC", "crv": curve, "x": number(numbers.x, size), "y": number(numbers.y, size), **more}
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"kty": "OKP", "crv": name.capitalize(), "x": b64(raw), **more}


def pem(name):
    return private[name].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def join(header, payload):
    return b64(text(header)) + "." + b64(text(payload))


def signature(algorithm, signed, key=None):
    """The raw signature, by hand."""
    kind, size = algorithm[:2], algorithm[2:]
    signed = signed.encode()
    if kind == "HS":
        return hmac.new(SECRET if key is None else key, signed, "sha" + size).digest()
    if kind == "RS":
        return private["rsa"].sign(signed, padding.PKCS1v15(), HASHES[size])
    if kind == "PS":
        salt = padding.PSS(padding.MGF1(HASHES[size]), HASHES[size].digest_size)
        return private["rsa"].sign(signed, salt, HASHES[size])
    if kind == "ES":
        name = {"256": "p256", "384": "p384", "512": "p521"}[size]
        r, s = utils.decode_dss_signature(private[name].sign(signed, ec.ECDSA(HASHES[size])))
        return r.to_bytes(CURVES[name][1], "big") + s.to_bytes(CURVES[name][1], "big")
    return private[key or "ed25519"].sign(signed)  # EdDSA, Ed25519 and Ed448.


def make(algorithm="HS256", header=None, payload=None, key=None):
    signed = join({"alg": algorithm} if header is None else header, CLAIMS if payload is None else payload)
    return signed + "." + b64(signature(algorithm, signed, key))


def token(word, name, sentence, value):
    lines.append(("token", word, name, sentence, value))


def claims(word, sentence, changes, secret="secret"):
    """A token with the usual claims but these; None takes one away, and bytes are the whole payload."""
    payload = changes
    if not isinstance(changes, bytes):
        payload = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    token(word, secret, sentence, make(payload=payload))


def raw(sentence, word, payload):
    """The usual claims with something put in front, as it is written."""
    claims(word, sentence, b"{" + payload + b"," + text(CLAIMS)[1:])


# MARK: Sets

lines.append(("set", "all", json.dumps({"keys": [jwk(name, kid=name) for name in private]})))
lines.append(("set", "unnamed", json.dumps({"keys": [jwk(name) for name in private]})))
lines.append(("set", "rsa", json.dumps({"keys": [jwk("rsa", kid="rsa", use="sig", key_ops=["verify"])]})))
lines.append(("set", "ps", json.dumps({"keys": [jwk("rsa", kid="rsa", alg="PS256")]})))
lines.append(("set", "oct", json.dumps({"keys": [jwk("rsa", kid="rsa"), {"kty": "oct", "kid": "oct", "k": b64(SECRET), "alg": "HS256"}]})))
lines.append(("set", "several", json.dumps({"keys": [jwk("p256", kid="a"), jwk("ed25519", kid="b"), jwk("rsa")]})))
for algorithm, name in [("RS256", "rsa"), ("PS512", "rsa"), ("ES256", "p256"), ("ES384", "p384"), ("ES512", "p521"), ("EdDSA", "ed25519"), ("EdDSA", "ed448")]:
    lines.append(("pem", f"pem-{algorithm}-{name}", algorithm, pem(name).decode().replace("\n", "\\n")))
    token("good", f"pem-{algorithm}-{name}", f"{algorithm} with its key in PEM", jwt.encode(CLAIMS, private[name], algorithm))

# MARK: Good tokens

BY = {"RS": "rsa", "PS": "rsa", "ES256": "p256", "ES384": "p384", "ES512": "p521"}
for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]:
    name = BY.get(algorithm) or BY[algorithm[:2]]
    token("good", "all", f"PyJWT's {algorithm}", jwt.encode(CLAIMS, private[name], algorithm, headers={"kid": name}))
    token("good", "unnamed", f"{algorithm} with a kid that no key has, where keys have none", jwt.encode(CLAIMS, private[name], algorithm, headers={"kid": "x"}))
    broken = bytearray(signature(algorithm, join({"alg": algorithm}, CLAIMS)))
    broken[-1] ^= 1
    token("signature", "unnamed", f"{algorithm} with one bit of its signature changed", join({"alg": algorithm}, CLAIMS) + "." + b64(bytes(broken)))
for name in ["ed25519", "ed448"]:
    token("good", "all", f"PyJWT's EdDSA with {name}", jwt.encode(CLAIMS, private[name], "EdDSA", headers={"kid": name}))
    token("good", "unnamed", f"EdDSA with {name} where both keys have no name", make("EdDSA", key=name))
    token("good", "all", f"{name.capitalize()} of RFC 9864", make(name.capitalize(), {"alg": name.capitalize(), "kid": name}, key=name))
    token("good", "unnamed", f"{name.capitalize()} of RFC 9864 where no key has a name", make(name.capitalize(), key=name))
    other = "Ed448" if name == "ed25519" else "Ed25519"
    token("algorithm", "all", f"{other} with the kid of {name}", make(other, {"alg": other, "kid": name}, key=name))
    token("signature", "unnamed", f"{other} with a signature on the other curve", make(other, key=name))
    token("algorithm", f"pem-EdDSA-{name}", f"{name.capitalize()} on a key for EdDSA", make(name.capitalize(), key=name))
for algorithm in ["HS256", "HS384", "HS512"]:
    token("good", "secret", f"PyJWT's {algorithm}", jwt.encode(CLAIMS, SECRET, algorithm))
    token("signature", "secret", f"{algorithm} with another secret", jwt.encode(CLAIMS, SECRET[::-1], algorithm))

# MARK: Algorithms

for name in ["none", "None", "NONE", "nOnE", "hs256", "HS256 ", " HS256", "HS 256", "RS1", "ES256K", "RSA1_5", ""]:
    token("algorithm", "secret", f"alg {name!r} with a signature", join({"alg": name}, CLAIMS) + "." + b64(signature("HS256", join({"alg": name}, CLAIMS))))
    token("algorithm", "secret", f"alg {name!r} without one", join({"alg": name}, CLAIMS) + ".")
for value in [None, ["HS256"], {"HS256": 1}, 256, True]:
    token("header", "secret", f"alg {value!r}", make(header={"alg": value}))
token("header", "secret", "no alg", make(header={"typ": "JWT"}))

rsa_pem = pem("rsa")
rsa_der = private["rsa"].public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
rsa_pkcs1 = private["rsa"].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1)
for sentence, key in [
    ("PEM", rsa_pem), ("PEM without its line end", rsa_pem.rstrip(b"\n")), ("DER", rsa_der), ("PKCS#1", rsa_pkcs1),
    ("JWK text", json.dumps(jwk("rsa")).encode()), ("empty secret", b""),
]:
    for name in ["rsa", "oct"]:
        token("algorithm", name, f"HS256 under the public key as {sentence}, set {name}", make("HS256", key=key))
    token("algorithm", "rsa", f"HS256 under the public key as {sentence}, with its kid", make("HS256", {"alg": "HS256", "kid": "rsa"}, key=key))
token("signature", "secret", "HS256 under an empty secret", make("HS256", key=b""))
token("algorithm", "oct", "HS256 under a secret out of the set", make("HS256", {"alg": "HS256", "kid": "oct"}))
token("algorithm", "oct", "HS256 under a secret out of the set, without kid", make("HS256"))
token("good", "ps", "PS256 on a key for PS256", make("PS256"))
token("algorithm", "ps", "RS256 on a key for PS256", make("RS256"))
token("algorithm", "ps", "PS384 on a key for PS256", make("PS384"))
token("algorithm", "pem-RS256-rsa", "PS256 on a key for RS256", make("PS256"))
token("algorithm", "pem-RS256-rsa", "RS512 on a key for RS256", make("RS512"))
token("algorithm", "pem-ES256-p256", "ES384 on P-256", make("ES384"))
token("algorithm", "several", "ES256 with the kid of an Ed25519 key", make("ES256", {"alg": "ES256", "kid": "b"}))
token("algorithm", "several", "EdDSA with the kid of a P-256 key", make("EdDSA", {"alg": "EdDSA", "kid": "a"}))
token("good", "several", "a kid that only an unnamed key can stand for", make("RS256", {"alg": "RS256", "kid": "z"}))
token("algorithm", "several", "an unknown kid, and unnamed keys are for other algorithms", make("ES256", {"alg": "ES256", "kid": "z"}))

# MARK: Headers

attacker = {"kty": "oct", "k": b64(b"x" * 32)}
for member in [{"jwk": attacker}, {"jku": "http://127.0.0.1:1/"}, {"x5u": "http://127.0.0.1:1/"}, {"x5c": ["AAAA"]}]:
    token("good", "secret", f"{list(member)[0]} is ignored", make(header={"alg": "HS256", **member}))
    token("signature", "secret", f"{list(member)[0]} gives no key", make(header={"alg": "HS256", **member}, key=b"x" * 32))
for kid in ["../../dev/null", "' OR 1=1 --", "http://127.0.0.1:1/key", "rsa\0", "rsa\r\n", "RSA", "rs", "rsa ", "", "k" * 256]:
    token("key", "rsa", f"kid {kid[:20]!r}", make("RS256", {"alg": "RS256", "kid": kid}))
for kid in [1, None, ["rsa"], {"rsa": 1}, "k" * 257]:
    token("header", "rsa", f"kid {str(kid)[:20]!r}", make("RS256", {"alg": "RS256", "kid": kid}))
for member in [
    {"crit": ["exp"], "exp": NOW + 60}, {"crit": []}, {"crit": "b64"}, {"crit": None}, {"b64": False}, {"b64": True},
    {"crit": ["b64"], "b64": False}, {"cty": "JWT"}, {"cty": "jwt"}, {"cty": "application/jwt"}, {"typ": 1}, {"cty": 1},
]:
    token("header", "secret", f"header {member}", make(header={"alg": "HS256", **member}))
for sentence, header in [
    ("alg twice", b'{"alg":"none","alg":"HS256"}'), ("alg twice, once escaped", b'{"alg":"HS256","\\u0061lg":"none"}'),
    ("a member twice deeper", b'{"alg":"HS256","x":{"a":1,"a":2}}'), ("a byte order mark", b'\xef\xbb\xbf{"alg":"HS256"}'),
    ("UTF-16", '{"alg":"HS256"}'.encode("utf-16")), ("UTF-16 without a mark", '{"alg":"HS256"}'.encode("utf-16-be")),
    ("broken UTF-8", b'{"alg":"HS256","x":"\xff"}'), ("overlong UTF-8", b'{"alg":"HS256","x":"\xc0\xaf"}'),
    ("a surrogate in UTF-8", b'{"alg":"HS256","x":"\xed\xa0\x80"}'), ("a lone surrogate", b'{"alg":"HS256","x":"\\ud800"}'),
    ("two low surrogates", b'{"alg":"HS256","x":"\\udc00\\udc00"}'), ("two high surrogates", b'{"alg":"HS256","x":"\\ud800\\ud800"}'),
    ("a comma before the end", b'{"alg":"HS256",}'), ("a comment", b'{"alg":"HS256"/**/}'), ("single quotes", b"{'alg':'HS256'}"),
    ("something behind it", b'{"alg":"HS256"}{}'), ("NUL behind it", b'{"alg":"HS256"}\0'), ("an array", b'[{"alg":"HS256"}]'),
    ("a string", b'"HS256"'), ("nothing", b""), ("no end", b'{"alg":"HS256"'), ("a control character", b'{"alg":"HS256","x":"\n"}'),
    ("depth 5", b'{"alg":"HS256","x":[[[[1]]]]}'), ("depth 1,000", b'{"alg":"HS256","x":' + b"[" * 999 + b"]" * 999 + b"}"),
    ("5,000 bytes", b'{"alg":"HS256","x":"' + b"x" * 5000 + b'"}'), ("a number with a zero before it", b'{"alg":"HS256","x":01}'),
    ("a number that ends with a point", b'{"alg":"HS256","x":1.}'), ("a plus", b'{"alg":"HS256","x":+1}'), ("NaN", b'{"alg":"HS256","x":NaN}'),
    ("a bad escape", b'{"alg":"HS256","x":"\\x41"}'), ("a cut escape", b'{"alg":"HS256","x":"\\u00"}'), ("another word", b'{"alg":"HS256","x":True}'),
]:
    token("header", "secret", f"a header with {sentence}", make(header=header))
token("good", "secret", "a header with blanks, escapes and depth 4", make(header=b' {"\\u0061lg" :\t"HS\\u003256",\r\n"x":[[{"\\ud83d\\ude00":-0.1e+2}]]} '))

# MARK: Signatures

for algorithm, name in [("ES256", "p256"), ("ES384", "p384"), ("ES512", "p521")]:
    size, order = CURVES[name][1], ORDERS[name]
    signed = join({"alg": algorithm}, CLAIMS)
    good = signature(algorithm, signed)
    r, s = int.from_bytes(good[:size], "big"), int.from_bytes(good[size:], "big")
    both = lambda r, s: r.to_bytes(size, "big") + s.to_bytes(size, "big")
    token("good", "unnamed", f"{algorithm} with the order minus s: as good as the first", signed + "." + b64(both(r, order - s)))
    for first, second in [(0, 0), (0, s), (r, 0), (order, s), (r, order), (order, order), (1, 1), (1, 0), (0, 1), (order - 1, order - 1)]:
        shown = ", ".join({0: "0", 1: "1", order: "order", order - 1: "order - 1", r: "r", s: "s"}[n] for n in (first, second))
        token("signature", "unnamed", f"{algorithm} with {shown}", signed + "." + b64(both(first, second)))
    for sentence, value in [
        ("DER", utils.encode_dss_signature(r, s)), ("a zero before", b"\0" + good), ("zeros before both", b"\0" + good[:size] + b"\0" + good[size:]),
        ("one byte less", good[:-1]), ("one byte more", good + b"\0"), ("two bytes more", good + b"\0\0"), ("its halves swapped", good[size:] + good[:size]),
        ("nothing", b""), ("all ones", b"\xff" * 2 * size),
    ]:
        token("signature", "unnamed", f"{algorithm} with {sentence}", signed + "." + b64(value))
    token("signature", "unnamed", f"{algorithm} of another text", join({"alg": algorithm}, {**CLAIMS, "sub": "eve"}) + "." + b64(good))

for algorithm in ["RS256", "PS256"]:
    signed = join({"alg": algorithm}, CLAIMS)
    good = signature(algorithm, signed)
    for sentence, value in [("a zero before", b"\0" + good), ("its first byte cut", good[1:]), ("its last byte cut", good[:-1]), ("nothing", b""),
                            ("zeros", bytes(256)), ("the modulus", private["rsa"].public_key().public_numbers().n.to_bytes(256, "big")), ("one", bytes(255) + b"\1")]:
        token("signature", "unnamed", f"{algorithm} with {sentence}", signed + "." + b64(value))
token("signature", "unnamed", "RS256 that is a PS256", (s := join({"alg": "RS256"}, CLAIMS)) + "." + b64(signature("PS256", s)))
token("signature", "unnamed", "PS256 that is an RS256", (s := join({"alg": "PS256"}, CLAIMS)) + "." + b64(signature("RS256", s)))
signed = join({"alg": "PS256"}, CLAIMS)
for salt in [0, 20, 31, 33]:
    value = private["rsa"].sign(signed.encode(), padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256())
    token("signature", "unnamed", f"PS256 with a salt of {salt} bytes", signed + "." + b64(value))
value = private["rsa"].sign(signed.encode(), padding.PSS(padding.MGF1(hashes.SHA1()), 32), hashes.SHA256())
token("signature", "unnamed", "PS256 with MGF1 of SHA-1", signed + "." + b64(value))

signed = join({"alg": "EdDSA", "kid": "ed25519"}, CLAIMS)
good = signature("EdDSA", signed)
L = 2**252 + 27742317777372353535851937790883648493
above = (int.from_bytes(good[32:], "little") + L).to_bytes(32, "little")
for sentence, value in [("S plus the order", good[:32] + above), ("63 bytes", good[:-1]), ("65 bytes", good + b"\0"), ("nothing", b""), ("zeros", bytes(64))]:
    token("signature", "all", f"Ed25519 with {sentence}", signed + "." + b64(value))
signed448 = join({"alg": "EdDSA", "kid": "ed448"}, CLAIMS)
good448 = signature("EdDSA", signed448, "ed448")
for sentence, value in [("113 bytes", good448[:-1]), ("115 bytes", good448 + b"\0"), ("an Ed25519 signature", good)]:
    token("signature", "all", f"Ed448 with {sentence}", signed448 + "." + b64(value))

# MARK: Shapes

good = make()
head, body, tail = good.split(".")
odd = make(payload={**CLAIMS, "x": "y"}).split(".")
spare = tail[:-1] + chr(ord(tail[-1]) + 1)
for sentence, value in [
    ("two parts", head + "." + body), ("four parts", good + "."), ("five parts", good + ".a.b"), ("one part", head), ("nothing", ""), ("dots", ".."),
    ("padding", good + "="), ("padding within", head + "=." + body + "." + tail), ("a blank", head + " ." + body + "." + tail),
    ("a backslash", good + "\\"), ("bits behind the end", head + "." + body + "." + spare), ("a length that no bytes have", head + "." + body + "." + tail + "AA"),
    ("a star", head + "." + body + "." + "*" + tail[1:]), ("plus", head + "." + body + ".+" + tail[1:]), ("slash", head + "." + body + "./" + tail[1:]),
]:
    token("header" if sentence == "dots" else "shape", "secret", f"a shape with {sentence}", value)

# MARK: Payloads

raw("a claim twice", "payload", b'"sub":"eve"')
raw("a claim twice, once escaped", "payload", b'"\\u0073ub":"eve"')
raw("depth 17", "payload", b'"x":' + b"[" * 16 + b"]" * 16)
raw("depth 16", "good", b'"x":' + b"[" * 15 + b"]" * 15)
raw("depth 1,000", "payload", b'"x":' + b"[" * 1000 + b"]" * 1000)
raw("2,001 members", "payload", b'"x":{' + b",".join(b'"%d":0' % n for n in range(2001)) + b"}")
raw("2,000 members in all", "good", b'"x":{' + b",".join(b'"%d":0' % n for n in range(1995)) + b"}")
raw("a number of 400 digits that decides nothing", "good", b'"x":' + b"9" * 400)
for sentence, payload in [("nothing", b""), ("a string", b'"x"'), ("an array", b"[]"), ("UTF-16", json.dumps(CLAIMS).encode("utf-16")),
                          ("a byte order mark", b"\xef\xbb\xbf" + text(CLAIMS)), ("something behind it", text(CLAIMS) + b" 1")]:
    claims("payload", f"a payload with {sentence}", payload)

# MARK: Claims

for sentence, value in [("another", "https://evil.example.com/"), ("a prefix", ISSUER[:-1]), ("more", ISSUER + "x"), ("another case", ISSUER.upper()),
                        ("an array", [ISSUER]), ("nothing", None), ("an empty text", "")]:
    claims("issuer", f"iss: {sentence}", {"iss": value})
for sentence, value in [("another", "https://other.example.com"), ("a prefix", AUDIENCE[:-1]), ("more", AUDIENCE + "/"), ("another case", AUDIENCE.upper()),
                        ("an array with a number", [AUDIENCE, 1]), ("an object", {AUDIENCE: 1}), ("an empty array", []), ("an empty text", ""),
                        ("nothing", None), ("a nested array", [[AUDIENCE]]), ("two in one text", AUDIENCE + " x")]:
    claims("audience", f"aud: {sentence}", {"aud": value})
claims("good", "aud: one of several", {"aud": ["x", AUDIENCE]})

claims("claims", "no exp", {"exp": None})
for written in [b'"1800000600"', b"true", b"null", b"[1800000600]", b"1800000600000", b"253402300800", b"253402300799.5", b"1e400", b"-1e400", b"9223372036854775808",
                b"18446744073709551617", b"9" * 400, b"1e11111111111111111111111"]:
    claims("claims", f"exp {written[:24].decode()}", text({**CLAIMS, "exp": 0}).replace(b'"exp": 0', b'"exp": ' + written))
    claims("claims", f"nbf {written[:24].decode()}", text({**CLAIMS, "nbf": 0}).replace(b'"nbf": 0', b'"nbf": ' + written))
for word, written in [("good", b"1.8000006e9"), ("good", b"18000006E+2"), ("good", b"1800000600.999"), ("good", b"18000006000e-1"), ("good", b"0.00000000018000006e+19"),
                      ("good", b"253402300799"), ("good", b"1799999971"), ("expired", b"1799999970"), ("expired", b"1799999970.999"), ("expired", b"17999999709e-1"),
                      ("expired", b"0"), ("expired", b"-0.0"), ("expired", b"-1"), ("expired", b"1e-400"), ("expired", b"0e400")]:
    claims(word, f"exp {written.decode()}", text({**CLAIMS, "exp": 0}).replace(b'"exp": 0', b'"exp": ' + written))
for word, written in [("good", b"1800000030"), ("not_yet", b"1800000030.001"), ("not_yet", b"1800000031"), ("good", b"1800000029.999"), ("good", b"-1.5"), ("good", b"0"),
                      ("not_yet", b"253402300799")]:
    claims(word, f"nbf {written.decode()}", text({**CLAIMS, "nbf": 0}).replace(b'"nbf": 0', b'"nbf": ' + written))
for word, value in [("good", NOW + 10**6), ("good", 1.5), ("claims", "1800000000"), ("claims", None), ("claims", True)]:
    payload = {**CLAIMS, "iat": value}
    claims(word, f"iat {value!r}", text(payload))
for name in ["sub", "jti", "client_id"]:
    for value in [1, None, ["x"], {"x": 1}]:
        claims("claims", f"{name} {value!r}", text({**CLAIMS, name: value}))
digest = b64(bytes(range(32)))
for value in [{"jkt": "x"}, {"x5t#S256": "x"}, {}, None, "x", {"x5t#S256": digest + "="}, {"x5t#S256": digest[:-1]}, {"x5t#S256": [digest]},
              {"x5t": digest}, {"x5t#S256": b64(bytes(31))}, {"x5t#S256": digest, "jkt": "x"}, [{"x5t#S256": digest}]]:
    claims("confirmation", f"cnf {value!r}", text({**CLAIMS, "cnf": value}))
claims("good", "cnf of a certificate, which the client has to show", text({**CLAIMS, "cnf": {"x5t#S256": digest}}))
claims("issuer", "everything is wrong: who made it counts before when", {"iss": "x", "exp": 1})
claims("not_yet", "over and not yet good: only what is good in every other way is expired", {"exp": 1, "nbf": NOW + 60})
for word, typ in [("good", "JWT"), ("good", "at+jwt"), ("good", "application/at+jwt"), ("type", "JWE"), ("type", "application/jwe")]:
    token(word, "secret", f"typ {typ}", make(header={"alg": "HS256", "typ": typ}))

# MARK: Keys

RSA_1024 = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
n = private["rsa"].public_key().public_numbers().n
for error, sentence, value in [
    ("rsaExponent", "RSA with the exponent 1: a padded hash is its own signature", jwk("rsa", e=b64(b"\1"))),
    ("rsaExponent", "RSA with the exponent 2", jwk("rsa", e=b64(b"\2"))),
    ("rsaExponent", "RSA with an even exponent", jwk("rsa", e=number(65536))),
    ("rsaExponent", "RSA with an exponent above 2^32", jwk("rsa", e=number(2**32 + 1))),
    ("rsaExponent", "RSA with the exponent 0", jwk("rsa", e=b64(b"\0"))),
    ("rsaSize", "RSA of 1,024 bits", {"kty": "RSA", "n": number(RSA_1024.n), "e": number(65537)}),
    ("rsaSize", "RSA of 8,200 bits", {"kty": "RSA", "n": number((n << 6152) | 1), "e": number(65537)}),
    ("unreadable", "RSA without n", {"kty": "RSA", "e": "AQAB"}),
    ("unreadable", "RSA with padding", jwk("rsa", e="AQAB=")),
    ("unreadable", "RSA with an empty n", jwk("rsa", n="")),
    ("weakPoint", "a point off its curve", jwk("p256", y=number(1, 32))),
    ("weakPoint", "the point 0, 0", jwk("p256", x=number(0, 32), y=number(0, 32))),
    ("weakPoint", "a point whose x is too short", jwk("p256", x=number(5, 31))),
    ("weakPoint", "a point whose x has a zero before it", jwk("p256", x=b64(b"\0" + base64.urlsafe_b64decode(jwk("p256")["x"] + "=")))),
    ("weakPoint", "a point of another curve", jwk("p384", crv="P-256")),
    ("unreadable", "a point without y", {name: value for name, value in jwk("p256").items() if name != "y"}),
    ("weakPoint", "31 bytes for Ed25519", jwk("ed25519", x=b64(b"\2" * 31))),
    ("weakPoint", "32 bytes for Ed448", jwk("ed25519", crv="Ed448")),
    ("noUsableKey", "a key for encryption", jwk("rsa", use="enc")),
    ("noUsableKey", "a key for signing", jwk("rsa", key_ops=["sign"])),
    ("noUsableKey", "key_ops that are no array", jwk("rsa", key_ops="verify")),
    ("noUsableKey", "a secret", {"kty": "oct", "k": b64(SECRET), "alg": "HS256"}),
    ("noUsableKey", "a secret that says RS256", {"kty": "oct", "k": b64(SECRET), "alg": "RS256"}),
    ("noUsableKey", "a curve of Bitcoin", jwk("p256", crv="secp256k1")),
    ("noUsableKey", "X25519", jwk("ed25519", crv="X25519")),
    ("noUsableKey", "P-256 for ES384", jwk("p256", alg="ES384")),
    ("noUsableKey", "an algorithm for encryption", jwk("rsa", alg="RSA-OAEP")),
    ("unreadable", "a kid that is no text", jwk("rsa", kid=1)),
]:
    lines.append(("key", error, sentence, json.dumps({"keys": [value]})))
P = 2**255 - 19
EIGHT = ["26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"]
small = [y.to_bytes(32, "little") for y in (0, 1, P - 1, P, P + 1)] + [bytes.fromhex(y) for y in EIGHT]
for point in small:
    for sign in (0, 0x80):
        encoded = point[:31] + bytes([point[31] | sign])
        lines.append(("key", "weakPoint", f"Ed25519 of small order {encoded.hex()[:8]}…{encoded.hex()[-2:]}", json.dumps({"keys": [jwk("ed25519", x=b64(encoded))]})))
P448 = 2**448 - 2**224 - 1
for y in (0, 1, P448 - 1, P448, P448 + 1):
    for sign in (0, 0x80):
        encoded = y.to_bytes(56, "little") + bytes([sign])
        lines.append(("key", "weakPoint", f"Ed448 of small order {encoded.hex()[:8]}…{encoded.hex()[-2:]}", json.dumps({"keys": [jwk("ed448", x=b64(encoded))]})))
one = json.dumps(jwk("ed25519"))
for error, sentence, value in [
    ("malformedSet", "a member twice", '{"keys":[' + one + '],"keys":[]}'), ("malformedSet", "a member of a key twice", '{"keys":[' + one[:-1] + ',"kty":"RSA"}]}'),
    ("malformedSet", "a key instead of a set", one), ("malformedSet", "an array", "[" + one + "]"), ("malformedSet", "keys that are no array", '{"keys":' + one + "}"),
    ("malformedSet", "a key that is no object", '{"keys":[1]}'), ("malformedSet", "half of it", '{"keys":[' + one), ("noUsableKey", "no keys", '{"keys":[]}'),
    ("tooManyKeys", "65 keys", '{"keys":[' + ",".join([one] * 65) + "]}"), ("malformedSet", "nothing", ""),
]:
    lines.append(("key", error, sentence, value))

# MARK: The RFCs' examples (7515 A.1 to A.3, 8037 A.4)

JOE = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
lines.append(("set", "rfc7515-a2", json.dumps({"keys": [{"kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}]})))
lines.append(("set", "rfc7515-a3", json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})))
lines.append(("set", "rfc8037-a4", json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})))
# Its signature is good, so the next thing counts: the issuer is another one, and the last example's payload is no JSON.
token("issuer", "rfc7515-a1", "RFC 7515 A.1", "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + JOE + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
token("issuer", "rfc7515-a2", "RFC 7515 A.2", "eyJhbGciOiJSUzI1NiJ9." + JOE + ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw")
token("issuer", "rfc7515-a3", "RFC 7515 A.3", "eyJhbGciOiJFUzI1NiJ9." + JOE + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
token("payload", "rfc8037-a4", "RFC 8037 A.4", "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokens.txt"), "w", encoding="utf-8") as file:
    for line in lines:
        assert not any("|" in part or "\n" in part for part in line), line
        file.write("|".join(line) + "\n")
print(len(lines), "lines")
