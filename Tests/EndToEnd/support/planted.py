"""Planted tokens: random credentials that may appear only in the upstream's Authorization field.

A test plants one with `plant()`; the fixtures search everything that the proxy wrote for all of them,
after every test, whether the test is about tokens or not.
"""

import re
import secrets

_planted = []


def plant() -> str:
    """A new random token. Letters and digits only, so that no encoding can hide it."""
    return watch("plantedToken" + secrets.token_hex(12))


def watch(token: str) -> str:
    """A token that was made elsewhere, and may appear nowhere else either."""
    _planted.append(token)
    return token


def without_authorization(received: bytes) -> bytes:
    """What the upstream received, without the field in which the token belongs."""
    return re.sub(rb"(?im)^authorization:[^\r\n]*", b"", received)


def search(where: str, content: bytes):
    """Fails if a planted token stands in this content."""
    for token in _planted:
        at = content.lower().find(token.lower().encode())
        assert at < 0, f"a planted token leaked into {where}: …{content[max(0, at - 120): at + 60]!r}…"
