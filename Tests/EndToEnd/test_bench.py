"""The benchmark measures what it says: every scenario runs against the proxy, every event that was due arrives, every figure is there."""

import json
import pathlib
import re
import subprocess

import pytest

from support.paths import binary

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(240)]
BENCH = pathlib.Path(__file__).parents[1] / "bench"


def test_the_benchmark_tests_itself(tmp_path):
    done = subprocess.run([BENCH, "--self-test", "--heartwire", binary(), "--json", tmp_path / "figures"], capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("self-test passed")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if line.startswith("|")]
    ours = rows[0].index("Heartwire")
    measured = {row[0]: row[ours] for row in rows[2:]}
    http1 = {"idle", "idle-tls", "fan", "broadcast", "burst", "heartbeat", "churn", "plain", "scale", "log"}
    assert set(measured) == http1 | {f"h2-{name}" for name in ("idle", "fan", "broadcast", "heartbeat", "churn", "plain", "unread")} | {
        "tokens", "token-storm", "token-flood", "token-idle", "kept-idle", "kept-fan", "shared", "crowd"}
    for row in rows[2:]:
        assert re.fullmatch(r"-?[0-9][0-9.,]*", row[ours]), row
    kept = json.loads((tmp_path / "figures").read_text())
    assert not kept["failures"] and kept["results"]["fan"]["Heartwire"][0]["events"] > 0


def test_a_binary_that_is_no_proxy_fails_the_benchmark(tmp_path):
    liar = tmp_path / "liar"
    liar.write_text("#!/bin/sh\nexit 3\n")
    liar.chmod(0o755)
    done = subprocess.run([BENCH, "--self-test", "--heartwire", liar, "churn"], capture_output=True, text=True)
    assert done.returncode == 1 and "ended with status 3" in done.stderr
