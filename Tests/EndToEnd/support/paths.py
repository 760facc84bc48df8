"""Where things are: the repository's root and the binary under test."""

import os
import pathlib
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]


class NoBinary(Exception):
    """The binary is missing or is not Heartwire: no test would prove anything."""


def binary() -> pathlib.Path:
    """The binary under test: $HEARTWIRE_BINARY, or the repository's release build."""
    named = os.environ.get("HEARTWIRE_BINARY")
    return pathlib.Path(named).resolve() if named else REPOSITORY / ".build" / "release" / "heartwire"


def verified_binary() -> str:
    """Checks that the binary runs and calls itself heartwire; returns its version line."""
    path = binary()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise NoBinary(f"there is no executable at {path}: run `Tests/run`, or set HEARTWIRE_BINARY")
    result = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20)
    line = result.stdout.strip()
    if result.returncode != 0 or not line.lower().startswith("heartwire"):
        raise NoBinary(
            f"{path} --version ended with {result.returncode} and said {line!r} {result.stderr.strip()!r}:"
            " this is not Heartwire")
    return line
