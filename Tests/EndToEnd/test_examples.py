"""The examples, run as a newcomer runs them, in their bounded --check mode."""

import os
import secrets
import subprocess

import pytest

from support.paths import REPOSITORY, binary

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(400)]


@pytest.mark.parametrize("name", ["assistant", "diagnose", "fastapi", "jwt", "monitoring", "nginx", "pods", "spring", "tickets", "tls"])
def test_the_example_runs_and_shows_what_it_promises(name):
    result = subprocess.run(
        [REPOSITORY / "examples" / name / "run", "--check"], capture_output=True, text=True, timeout=380,
        env={**os.environ, "HEARTWIRE_BINARY": str(binary())}, cwd="/", stdin=subprocess.DEVNULL)
    print(result.stdout)
    assert result.returncode == 0, f"status {result.returncode}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
    assert "check passed" in result.stdout.splitlines()[-1]


def test_every_folder_of_the_examples_is_in_the_index_and_has_its_parts(tmp_path):
    for program in ("tls/certificates", "jwt/keys"):
        subprocess.run([REPOSITORY / "examples" / program, tmp_path], check=True, timeout=60)
    index = (REPOSITORY / "examples" / "README.md").read_text()
    for folder in sorted(path for path in (REPOSITORY / "examples").iterdir() if path.is_dir()):
        assert f"{folder.name}/" in index, f"{folder.name} is not in examples/README.md"
        assert (folder / "README.md").is_file() and (folder / "heartwire.conf").is_file()
        assert os.access(folder / "run", os.X_OK)
        places = {"BACKEND": "127.0.0.1:9", "LISTEN": "127.0.0.1:8080", "CERTIFICATES": str(tmp_path), "KEYS": str(tmp_path)}
        for keys in ({}, {"TICKET_KEY": secrets.token_urlsafe(32)}):
            check = subprocess.run([binary(), "check", "--config", folder / "heartwire.conf"], capture_output=True, text=True,
                                   env={**os.environ, **places, **keys}, timeout=20)
            # Everybody would know a key that stands in the example.
            assert (check.returncode == 0) == (folder.name != "tickets" or bool(keys)), check.stderr
