"""Processes that connect to a port so many times a second, because one process of Python is too slow for a thousand beside other work."""

import json
import select
import socket
import subprocess
import sys
import time


class Crowd:
    """Each connection asks for a path and must get the whole answer with the wanted status. Use it in a `with`."""

    def __init__(self, port, path, status, rate, processes=2):
        self.arguments = [str(port), path, str(status), str(rate / processes)]
        self.count = processes

    def __enter__(self):
        self._processes = [
            subprocess.Popen([sys.executable, __file__, *self.arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(self.count)]
        return self

    def __exit__(self, *_):
        told = [json.loads(process.communicate("", 30)[0]) for process in self._processes]
        self.answers = sum(each["answers"] for each in told)
        self.failures = [failure for each in told for failure in each["failures"]]
        self.rate = sum(each["answers"] / each["seconds"] for each in told)

    def check(self):
        assert self.answers > 0 and not self.failures, f"{len(self.failures)} beside {self.answers} answers: {self.failures[:5]}"


def run(port, path, status, rate):
    """Until standard input ends. A connection that was due is made late rather than never."""
    request = f"GET {path} HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n\r\n".encode()
    start = f"HTTP/1.1 {status} ".encode()
    began, answers, failures = time.monotonic(), 0, []
    while not select.select([sys.stdin], [], [], max(0, began + (answers + len(failures)) / rate - time.monotonic()))[0]:
        received = b""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(request)
                while data := connection.recv(65536):
                    received += data
        except OSError as error:
            failures.append(f"{error!r} after {received!r}")
            continue
        head, _, body = received.partition(b"\r\n\r\n")
        if head.startswith(start) and f"content-length: {len(body)}".encode() in head.lower():
            answers += 1
        else:
            failures.append(repr(received))
    print(json.dumps({"answers": answers, "failures": failures[:20], "seconds": time.monotonic() - began}))


if __name__ == "__main__":
    run(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
