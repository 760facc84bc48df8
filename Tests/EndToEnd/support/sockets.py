"""What the kernel knows of connections over IPv4 on this machine (`/proc/net/tcp`)."""

import pathlib
import socket

from .waiting import wait_until

_ESTABLISHED, _TIME_WAIT, _CLOSE_WAIT = "01", "06", "08"


class _Line:
    """One connection as one of its ends sees it."""

    def __init__(self, text: str):
        _, self.own, self.peer, self.state, queues = text.split()[:5]
        self.unacknowledged, self.unread = (int(size, 16) for size in queues.split(":"))


def _lines() -> list:
    # A test run leaves thousands of connections in TIME_WAIT.
    texts = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return [_Line(text) for text in texts if text.split(None, 4)[3] != _TIME_WAIT]


def _name(address: tuple) -> str:
    host, port = address
    return f"{int.from_bytes(socket.inet_aton(host), 'little'):08X}:{port:04X}"


def wait_until_read(*sent_by: socket.socket, timeout=15):
    """Waits until the programs at the other ends have read everything that was sent, or have closed their sockets."""
    ways = {(_name(each.getsockname()), _name(each.getpeername())) for each in sent_by}

    def is_read():
        return not any(line.unacknowledged and (line.own, line.peer) in ways or line.unread and (line.peer, line.own) in ways
                       for line in _lines())
    wait_until(is_read, timeout)


def wait_for_connections(port: int, at_most=0, timeout=15):
    """Waits until the program that listens on the port has closed all of its connections but so many."""
    def remaining():
        return [line for line in _lines() if line.own.endswith(f":{port:04X}") and line.state in (_ESTABLISHED, _CLOSE_WAIT)]
    wait_until(lambda: len(remaining()) <= at_most, timeout)
