"""A service manager like systemd: a datagram socket that receives reports (sd_notify)."""

import os
import socket
import threading
import time


class ServiceManager:
    """Listens on an abstract name or, with a folder, on a path. `messages` holds (seconds, process, {name: value}), in order."""

    def __init__(self, folder=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.name = str(folder / "notify") if folder else f"@heartwire-test-{os.getpid()}-{time.monotonic_ns()}"
        self.socket.bind("\0" + self.name[1:] if self.name.startswith("@") else self.name)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.messages = []
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    @property
    def environment(self) -> dict:
        return {"NOTIFY_SOCKET": self.name}

    def _listen(self):
        while True:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(4096, 256)
            except OSError:
                return
            if not data:
                return
            process = int.from_bytes(ancillary[0][2][:4], "little")
            words = dict(line.split("=", 1) for line in data.decode().splitlines())
            self.messages.append((time.monotonic(), process, words))

    def all(self, name, value=None) -> list:
        """The messages that hold a name (with that value)."""
        return [message for message in list(self.messages) if name in message[2] and value in (None, message[2][name])]

    def wait_for(self, name, value=None, count=1, timeout=10):
        deadline = time.monotonic() + timeout
        while len(found := self.all(name, value)) < count:
            assert time.monotonic() < deadline, f"{count} × {name}={value} did not come within {timeout} s: {self.messages}"
            time.sleep(0.01)
        return found[count - 1]

    def close(self):
        # No sender may still use a descriptor number that the next manager's socket gets.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()
