"""Fixtures: the proxy's process and scripted origins, each test with its own ports and its own folder.

After every test each proxy must end with status 0, each origin's script must have run without error, and
nothing that the proxy wrote may hold a planted token.
"""

import ctypes
import os
import pathlib
import resource
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from support import heartwire as heartwire_process
from support import planted
from support.certificates import Authority
from support.origin import Origin
from support.paths import NoBinary, binary, verified_binary


def pytest_sessionstart(session):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        version = verified_binary()
    except NoBinary as problem:
        pytest.exit(f"nothing can be tested: {problem}", returncode=3)
    if not hasattr(session.config, "workerinput"):
        print(f"testing {binary()} ({version})")


class Stage:
    """Everything that one test (or one module) starts. It also ends all of it."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.proxies, self.origins = folder, [], []
        self._count = 0

    def origin(self, handler, **options) -> Origin:
        origin = Origin(handler, **options)
        self.origins.append(origin)
        return origin

    def heartwire(self, *servers, **options) -> heartwire_process.Heartwire:
        """Starts a proxy in front of these servers (an Origin, or HOST:PORT)."""
        addresses = [server.address if isinstance(server, Origin) else server for server in servers]
        proxy = heartwire_process.start(self.new_folder(), addresses, **options)
        self.proxies.append(proxy)
        return proxy

    def command(self, arguments, port, **options) -> heartwire_process.Heartwire:
        """Starts the binary with these arguments."""
        proxy = heartwire_process.Heartwire(self.new_folder(), arguments, port, **options)
        self.proxies.append(proxy)
        return proxy

    def new_folder(self) -> pathlib.Path:
        self._count += 1
        folder = self.folder / f"heartwire-{self._count}"
        folder.mkdir()
        return folder

    def end(self):
        problems = []
        for proxy in self.proxies:
            try:
                proxy.finish()
            except AssertionError as problem:
                problems.append(str(problem))
            finally:
                proxy.kill()
        for origin in self.origins:
            problems += origin.errors
            origin.close()
            try:
                planted.search("what the upstream received", planted.without_authorization(origin.everything_received()))
            except AssertionError as problem:
                problems.append(str(problem))
        assert not problems, "\n".join(problems)


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    yield stage
    stage.end()


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory):
    """A stage for tables of cases that all go through one proxy."""
    stage = Stage(tmp_path_factory.mktemp("shared"))
    yield stage
    stage.end()


@pytest.fixture
def orphans():
    """A successor is a child of the old process. When the old one ends, the successor becomes ours, so that its end can be seen."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    left = []
    yield left
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)
    for process in left:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """An authority that signs certificates for the tests of one file."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def identity(authority):
    """A certificate for localhost, and its key."""
    return authority.issue("localhost")
