"""What the tests of reloads share: servers that say who they are, and the configuration file of a running proxy."""

import os
import pathlib
import re
import signal
import socket
import time


def origin_named(name):
    """Ordinary answers that say which server gave them; streams whose events do, until the client leaves."""
    def handler(connection, request):
        if b"/stream" not in request.target:
            return connection.respond(200, name)
        connection.start_stream()
        while True:
            connection.chunk(b"data: %s\n\n" % name)
            time.sleep(0.05)
    return handler


def silent_stream(connection, request):
    connection.start_stream()
    connection.chunk(b"data: first\n\n")
    connection.wait_until_left(30)


class File:
    """The configuration file of a running proxy."""

    def __init__(self, proxy):
        self.proxy, self.path, self.reloads = proxy, proxy.folder / "heartwire.conf", 0

    def put(self, text):
        self.path.write_text(text)

    def edit(self, *changes):
        text = self.path.read_text()
        for old, new in changes:
            assert old in text, f"{old!r} is not in the configuration"
            text = text.replace(old, new)
        self.put(text)

    def reload(self, words="SIGHUP: done") -> str:
        """Sends SIGHUP and waits for these words; returns what was said since."""
        before = len(self.proxy.stderr())
        self.proxy.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        while not re.search(f"{re.escape(words)}.*\n", (said := self.proxy.stderr()[before:])):
            assert time.monotonic() < deadline, f"{words!r} did not come: {said}"
            time.sleep(0.005)
        return said


def listening_sockets(process, port) -> set:
    """The inodes of a process's own sockets that listen on a port."""
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:] + pathlib.Path("/proc/net/tcp6").read_text().splitlines()[1:]
    inodes = {line.split()[9] for line in lines if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"}
    owned = set()
    for link in pathlib.Path(f"/proc/{process}/fd").iterdir():
        try:
            owned.add(os.readlink(link))
        except FileNotFoundError:
            # A connection that has been closed since.
            continue
    return {inode for inode in inodes if f"socket:[{inode}]" in owned}


def connects(port) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
        return True
    except ConnectionResetError:
        # The connection stood in the backlog when the listener was closed.
        return True
    except ConnectionRefusedError:
        return False
