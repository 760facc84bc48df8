"""What the tests of a new process that takes over share."""

import os
import pathlib
import re
import shutil
import signal
import time


def handler(connection, request):
    """Ordinary answers, and streams of numbered events."""
    if not request.target.startswith(b"/stream"):
        return connection.respond(200, b"whole")
    connection.start_stream()
    number = 0
    while True:
        connection.chunk(b"id: %d\ndata: event %d\n\n" % (number, number))
        number += 1
        time.sleep(0.05)


def successor(proxy, orphans, count=1) -> int:
    """The number of the process that took over."""
    said = proxy.wait_for_words("has taken over", count)
    process = int(re.findall(r"process (\d+) has taken over", said)[-1])
    orphans.append(process)
    return process


def end(process, orphans, number=signal.SIGTERM):
    """Ends a successor in order."""
    os.kill(process, number)
    orphans.remove(process)
    deadline = time.monotonic() + 15
    while (outcome := os.waitpid(process, os.WNOHANG))[0] == 0:
        assert time.monotonic() < deadline, f"process {process} did not end within 15 s of a signal"
        time.sleep(0.02)
    assert outcome[1] == 0, f"process {process} ended with {outcome[1]}"


def wait_until_gone(process, orphans):
    """A successor that has its own successor ends by itself."""
    orphans.remove(process)
    deadline = time.monotonic() + 15
    while (outcome := os.waitpid(process, os.WNOHANG))[0] == 0:
        assert time.monotonic() < deadline, f"process {process} did not end within 15 s of being succeeded"
        time.sleep(0.02)
    assert outcome[1] == 0, f"process {process} ended with {outcome[1]}"


def children(process) -> list:
    tasks = pathlib.Path(f"/proc/{process}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def put(source, target):
    """A new binary at the old path, as a package manager puts it there: under another name first, then renamed."""
    fresh = target.with_name("fresh")
    shutil.copy2(source, fresh)
    fresh.rename(target)
    return target.stat().st_ino
