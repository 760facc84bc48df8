"""A minimal Debian in a folder, made by debootstrap, with its own processes and mounts; its network is this machine's.

It needs root, debootstrap and Debian's servers; where one of them is missing, the tests are skipped with a message.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.request

MIRROR = "http://deb.debian.org/debian"
# systemd's own group of processes, in the hierarchy that it uses beside control groups of version 1.
GROUPS = pathlib.Path("/sys/fs/cgroup/systemd")
# systemd as the first process, on mounts that a container gives it. The kernel's settings are this machine's, so it may not write them.
BOOT = """
echo $$ > {groups}/cgroup.procs && mount --bind "$1" "$1" && cd "$1" && mount -t proc proc proc && mount --bind proc/sys proc/sys && \
    mount -o remount,bind,ro proc/sys && mount -t sysfs -o ro sysfs sys || exit 1
mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup && mkdir sys/fs/cgroup/systemd && mount --bind {groups} sys/fs/cgroup/systemd || exit 1
mount -t tmpfs -o mode=755 tmpfs run && mkdir -p old && pivot_root . old && umount --lazy old || exit 1
echo ready
exec env -i container=heartwire-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=no systemd.unit=multi-user.target \
    > /dev/null 2>&1
"""
# The first process reaps what others leave, as a container's should.
HOLDER = """
mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && mount -t devpts devpts "$1/dev/pts" || exit 1
{changes}
exec chroot "$1" perl -e '$SIG{CHLD} = "IGNORE"; $| = 1; print "ready\\n"; sleep 1 while 1'
"""


def why_not() -> str | None:
    """Why no Debian can be made here, or None."""
    if os.geteuid() != 0:
        return "debootstrap needs root"
    if not shutil.which("debootstrap", path=f"{os.environ['PATH']}:/usr/sbin"):
        return "debootstrap is not installed"
    result = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True)
    if result.returncode != 0:
        return f"unshare failed: {result.stderr.strip()}"
    try:
        urllib.request.urlopen(f"{MIRROR}/dists/{suite()}/InRelease", timeout=20).read()
    except OSError as error:
        return f"{MIRROR} cannot be reached: {error}"
    return None


def suite() -> str:
    """This machine's release, for which its compiler's programs are made."""
    words = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return words.get("VERSION_CODENAME", "stable").strip('"')


@contextlib.contextmanager
def folder_for_machines():
    """A folder in memory, because package management waits for disks all the time. Other users can enter it, unlike those of pytest."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="heartwire-debian-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g,mode=755", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


def bootstrap(root: pathlib.Path):
    """Makes the smallest Debian that has apt."""
    result = subprocess.run(
        ["debootstrap", "--variant=minbase", suite(), root, MIRROR], capture_output=True, text=True, timeout=280,
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"})
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]


def copy(base: pathlib.Path, root: pathlib.Path):
    """Another Debian like this one. A device is copied as a device: read as a file, /dev/full would fill the disk."""
    subprocess.run(["cp", "--archive", base, root], check=True)


class Debian:
    """The Debian in a folder. While it is open, its processes live; use it in a `with`."""

    def __init__(self, root: pathlib.Path, is_read_only=False):
        self.root = root
        self._script = HOLDER.replace("{changes}", 'mount -o remount,bind,ro "$1"' if is_read_only else "")

    def __enter__(self):
        self._holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child",
             "sh", "-c", self._script, "sh", self.root], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout.readline() == "ready\n", "no process can be started in the folder"
        children = pathlib.Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        self.holder = children[0]
        # Enters the folder and the processes of the machine.
        self.prefix = ["nsenter", "--target", self.holder, "--mount", "--pid", "--uts", "--ipc", "--root", "--wd"]
        return self

    def __exit__(self, *_):
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()

    def run(self, *command, status=0, timeout=120) -> subprocess.CompletedProcess:
        """Runs a program inside; it must end with this status."""
        result = subprocess.run(
            [*self.prefix, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", *map(str, command)],
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        assert result.returncode == status, f"{command} ended with {result.returncode}\n{result.stdout[-3000:]}{result.stderr[-3000:]}"
        return result

    def apt(self, *words) -> str:
        """Runs apt-get inside; returns all that it and the packages' scripts say."""
        result = self.run("apt-get", "-y", "--no-install-recommends", *words)
        return result.stdout + result.stderr

    def files(self) -> set:
        """Every path of the machine but those that package management itself writes."""
        passing = ("proc", "dev", "tmp", "var/lib/dpkg", "var/lib/apt", "var/cache", "var/log/apt")
        found = set()
        for folder, folders, names in os.walk(self.root):
            place = os.path.relpath(folder, self.root)
            folders[:] = [name for name in folders if os.path.normpath(f"{place}/{name}") not in passing]
            found |= {os.path.normpath(f"{place}/{name}") for name in [*folders, *names]}
        return found


class BootedDebian(Debian):
    """One with systemd as its first process."""

    def __init__(self, root: pathlib.Path):
        super().__init__(root)
        self._groups = GROUPS / f"heartwire-test-{os.getpid()}"
        self._script = BOOT.replace("{groups}", str(self._groups))

    def __enter__(self):
        self._groups.mkdir()
        super().__enter__()
        deadline = time.monotonic() + 60
        while self.state() not in ("running", "degraded"):
            assert time.monotonic() < deadline, f"systemd is {self.state()!r} after 60 s"
            time.sleep(0.2)
        return self

    def state(self) -> str:
        return subprocess.run([*self.prefix, "systemctl", "is-system-running"], capture_output=True, text=True).stdout.strip()

    def __exit__(self, *_):
        super().__exit__(*_)
        time.sleep(0.5)
        for path, _, _ in os.walk(self._groups, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)


def why_no_boot() -> str | None:
    """Why systemd cannot be the first process of a Debian here, or None."""
    return None if os.access(GROUPS / "cgroup.procs", os.W_OK) else f"there is no hierarchy of control groups at {GROUPS}"
