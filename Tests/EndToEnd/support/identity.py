"""A client of the identity provider in ../applications: asks for tokens as a program does that has an account there."""

import ssl

import httpx

from . import planted

MACHINE = ("machine", "the secret of the machine:%")
OPAQUE = ("opaque", MACHINE[1])


class IdentityProvider:
    def __init__(self, address: str, authority):
        self.url = f"https://{address}"
        self._client = httpx.Client(base_url=self.url, verify=ssl.create_default_context(cafile=authority), trust_env=False, timeout=20)

    def token(self, account=MACHINE, scope="events.read", seconds=600) -> str:
        """An access token by client credentials (RFC 6749 section 4.4)."""
        answer = self._client.post("/token", auth=account, data={"grant_type": "client_credentials", "scope": scope, "seconds": seconds})
        assert answer.status_code == 200, answer.text
        return planted.watch(answer.json()["access_token"])

    def keys(self) -> str:
        return self._client.get("/jwks.json").text

    def rotate(self, drop=False) -> str:
        """Lets it sign with a new key; with `drop` the old ones leave its set. Gives the new key's name."""
        return self._client.post("/rotate", params={"drop": 1} if drop else {}).json()["kid"]

    def revoke(self, token: str, account=OPAQUE):
        assert self._client.post("/revoke", auth=account, data={"token": token}).status_code == 200

    def count(self, path: str) -> int:
        """How often it was asked for this path."""
        return self._client.get("/counts").json().get(path, 0)
