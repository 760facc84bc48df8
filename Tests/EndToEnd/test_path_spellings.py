"""No spelling of a path reaches what a token protects, through real frameworks that decode, cut and fold paths in different ways.

Each application has `/events` and a handler for everything else, and says which of them answered. In front of it `/events` requires
a token and `/*` does not.
"""

import itertools

import pytest

from support import applications
from support.client import Client

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]

WORD = "events"
SPELLINGS = sorted({
    "/events", "/events/", "/events//", "//events", "///events", "/./events", "/x/../events", "/x/%2e%2e/events", "/.%2e/events", "/%2e/events",
    "/events/.", "/events/x/..", "/events/%2e", "/%65vents", "/%65%76%65%6e%74%73", "/EVENTS", "/Events", "/events.", "/events..", "/events%20", "/events%20.",
    "/%20events", "/events%2f", "/%2fevents", "/x%2f..%2fevents", "/events%2F%2F", "/\\events", "/events\\", "/x\\..\\events", "/events%5c", "/%5cevents",
    "/events;", "/events;a=b", "/events;a=b/", "/;a/events", "/;/events", "/x;/../events", "/x/..;/events", "/events%3b", "/events%3Ba=b", "/events;%2f", "/events;%0a",
    "/events%3f", "/events%3fa=b", "/events%23", "/events%23a", "/events?", "/events?/x", "/events/?", "/events%0a?x",
    *(f"/events%{byte:02x}" for byte in [*range(0x00, 0x21), 0x7F, 0x80, 0xA0, 0xC0, 0xFF]),
    *(f"/%{byte:02X}events" for byte in (0x00, 0x09, 0x0A, 0x0D, 0x20, 0x7F, 0xFF)),
    *(f"/ev%{byte:02X}ents" for byte in (0x00, 0x0A, 0x7F, 0x80, 0xC2, 0xFF)),
    "/events%00.js", "/events%0a%0a", "/events%0d%0a", "/events%0a/", "/events/%0a", "/events%C2%A0", "/events%E2%80%8B", "/events%E2%80%A8", "/events%C2%85",
    "/event%C5%BF", "/%C0%AFevents", "/%E0%80%AFevents", "/%C0%AE%C0%AE/events", "/%2565vents", "/%25%36%35vents", "/%252565vents", "/events%250a", "/events%252f",
    "/%252fevents", "/events%253fa", "/x/%252e%252e/events", "/x%252f..%252fevents", "/..%20/events", "/..%00/events", "/..%FF/events", "/events%2e", "/events%2e%2e/",
    "/events%E3%81", "/ev%E3ents", "/events%", "/events%2", "/events%zz", "/events%u0000", "/ev%u0065nts", "/events+", "/+events",
    "http://test.example/events", "http://test.example//events", "http://test.example/events%0a", "http://test.example/./events",
    *("/" + "".join(f"%{ord(letter):02x}" if place in chosen else letter for place, letter in enumerate(WORD))
      for chosen in itertools.combinations(range(len(WORD)), 2)),
})


def ask(address: str, target: str, fields: str = "", method: str = "GET"):
    host, port = address.rsplit(":", 1)
    with Client(int(port), host=host) as client:
        client.send(f"{method} {target} HTTP/1.1\r\nHost: test.example\r\n{fields}Connection: close\r\n\r\n".encode())
        return client.read_response(method)


def reaches(address: str, target: str, **options) -> bool:
    return b"protected" in ask(address, target, **options).body


@pytest.mark.parametrize("name, folds", [
    ("fastapi", ["/events%0a", "/%65vents"]), ("flask", ["/%65vents"]), ("bottle", ["/events%FF", "/ev%C2ents"]),
    ("node", ["/events%00", "//events", "/%2565vents", "/EVENTS", "/events%20.", "/events%C2%A0"]), ("tomcat", ["/events;a=b", "/x/..;/events", "/./events", "//events"])])
def test_no_spelling_of_a_path_reaches_the_protected_handler_without_a_token(stage, tmp_path, name, folds):
    with applications.running(name, tmp_path) as address:
        for target in ("/events", *folds):
            assert reaches(address, target), f"{name} itself does not take {target} for /events, so this test would see nothing"

        def text(port, folder):
            return (f"listen 127.0.0.1:{port}\nroute /events {{\n    upstream {address}\n    bearer_from query key\n    bearer_missing refuse\n}}\n"
                    f"route /* {{\n    upstream {address}\n}}\n")
        proxy = stage.heartwire(text=text)
        through = f"127.0.0.1:{proxy.port}"
        assert reaches(through, "/events?key=abc") and reaches(through, "/events", fields="Authorization: Bearer abc\r\n")
        assert ask(through, "/other").body == b"open"
        reached = [target for target in SPELLINGS if reaches(through, target)]
        assert reached == [], f"{name} served these as /events without a token"
        for fields in ("Authorization:\r\n", "Authorization: Bearer\r\n", "Authorization: ,\r\n", "X-Original-URL: /events\r\n"):
            assert not reaches(through, "/events", fields=fields)
            assert not reaches(through, "/events", fields=fields, method="OPTIONS")
