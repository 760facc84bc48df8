"""Makes a token (JWT) as an identity provider would, with PyJWT and a private key.

    python mint.py PRIVATE-KEY [--user NAME] [--scope SCOPES] [--seconds N]

prints one. With `--seconds -10` it has been over for ten seconds.
"""

import argparse
import time

import jwt

ISSUER, AUDIENCE = "https://id.example.com/", "https://events.example.com"


def mint(key: str, user="ada", scope="events.read", seconds=3600) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": user, "scope": scope, "iat": now, "exp": now + seconds}
    return jwt.encode(claims, key, "ES256", headers={"typ": "at+jwt"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("key")
    parser.add_argument("--user", default="ada")
    parser.add_argument("--scope", default="events.read")
    parser.add_argument("--seconds", type=int, default=3600)
    arguments = parser.parse_args()
    with open(arguments.key) as file:
        print(mint(file.read(), arguments.user, arguments.scope, arguments.seconds))
