"""Real web frameworks as servers behind the proxy, from ../applications: each on a port of its own, until the test ends."""

import contextlib
import fcntl
import pathlib
import socket
import subprocess
import sys
import time

from .paths import REPOSITORY
from .ports import reserve_port

FOLDER = REPOSITORY / "Tests" / "EndToEnd" / "applications"
NAMES = ("fastapi", "flask", "bottle", "identity_provider", "node", "tomcat", "spring")
JAVA = pathlib.Path("/usr/share/java")
SPRING = ("core", "beans", "context", "aop", "expression", "web", "web.servlet")


def _python() -> pathlib.Path:
    """The interpreter of a separate environment, so that the tests' environment does not depend on it."""
    folder, wanted = REPOSITORY / ".build" / "applications", FOLDER / "requirements.txt"
    folder.mkdir(parents=True, exist_ok=True)
    python, installed = folder / "bin" / "python", folder / "requirements.installed"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_text() != wanted.read_text():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
            subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", wanted], check=True, timeout=300)
            installed.write_text(wanted.read_text())
    return python


def _command(name: str, port: int, folder: pathlib.Path) -> list:
    if name == "node":
        return ["node", FOLDER / "node_application.js", port]
    if name in ("tomcat", "spring"):
        program = f"{name.capitalize()}Application"
        jars = [*JAVA.glob("tomcat9-*.jar"), JAVA / "commons-logging.jar", *(JAVA / f"spring3-{part}.jar" for part in SPRING)]
        path = ":".join(map(str, [*jars, folder]))
        subprocess.run(["javac", "--release", "8", "-Xlint:-options", "-cp", path, "-d", folder, FOLDER / f"{program}.java"],
                       check=True, timeout=120)
        return ["java", "-XX:TieredStopAtLevel=1", "-cp", path, program, port, folder]
    return [_python(), FOLDER / f"{name}_application.py", port]


@contextlib.contextmanager
def running(name: str, folder: pathlib.Path, *arguments):
    """Starts one of NAMES with these arguments behind the port; gives its address."""
    port = reserve_port()
    log = folder / f"{name}.log"
    process = subprocess.Popen([str(word) for word in (*_command(name, port, folder), *arguments)], stdin=subprocess.DEVNULL, cwd=folder,
                               stdout=open(log, "ab"), stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, f"{name} ended with {process.returncode}: {log.read_text(errors='replace')[-2000:]}"
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, f"{name} does not listen after 60 s"
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
