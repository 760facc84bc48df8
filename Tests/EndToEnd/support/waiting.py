"""Waits for what a test cannot be told of."""

import time


def wait_until(condition, timeout=15):
    """Until it is true; a failure after so many seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)
