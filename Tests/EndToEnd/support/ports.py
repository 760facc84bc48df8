"""Port numbers for programs that have to be told one, without collisions between parallel test runs.

Numbers lie below the kernel's ephemeral range, so that no outgoing connection takes one in between;
a lock file each keeps parallel test processes apart. The locks end with the process.
"""

import fcntl
import os
import pathlib
import random
import socket
import tempfile

_held = []
_random = random.Random(os.getpid() ^ int.from_bytes(os.urandom(4), "big"))


def _lock(number: int):
    folder = pathlib.Path(tempfile.gettempdir()) / f"heartwire-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    handle = open(folder / str(number), "w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return None
    return handle


def _is_free(number: int, host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
            return True
        except OSError:
            return False


def reserve_port(host: str = "127.0.0.1") -> int:
    """A port number on which no program listens and that no parallel test gets."""
    for _ in range(500):
        number = _random.randrange(11000, 32000)
        handle = _lock(number)
        if handle is None:
            continue
        if _is_free(number, host):
            _held.append(handle)
            return number
        handle.close()
    raise RuntimeError("no free port between 11000 and 32000")
