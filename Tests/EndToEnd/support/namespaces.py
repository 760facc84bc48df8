"""A network namespace joined by a veth pair: the only real way to make a peer vanish.

Inside a namespace a link can be taken down, so that packets are lost without FIN or RST, as when a
laptop's lid is closed. Needs root and iproute2; where they are missing, the tests are skipped with a message.
"""

import os
import random
import shutil
import subprocess


def why_not() -> str | None:
    """Why namespaces cannot be used here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not shutil.which("ip"):
        return "iproute2 is not installed"
    name = f"hwprobe{os.getpid()}"
    result = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if result.returncode != 0:
        return f"ip netns add failed: {result.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return None


class Namespace:
    """A namespace whose address is `inside`; this machine is `outside` for it."""

    def __init__(self):
        number = random.randrange(1, 16000)
        self.name = f"hw{os.getpid()}x{number}"
        self.link = f"hwv{number}"
        network = f"10.{200 + number // 256 % 50}.{number % 256}"
        self.outside, self.inside = f"{network}.1", f"{network}.2"

    def __enter__(self):
        for command in (
            f"ip netns add {self.name}",
            f"ip link add {self.link} type veth peer name {self.link}p netns {self.name}",
            f"ip addr add {self.outside}/24 dev {self.link}",
            f"ip link set {self.link} up",
            f"ip -n {self.name} addr add {self.inside}/24 dev {self.link}p",
            f"ip -n {self.name} link set {self.link}p up",
            f"ip -n {self.name} link set lo up",
        ):
            subprocess.run(command.split(), check=True, capture_output=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "link", "del", self.link], capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)

    def popen(self, command: list, **options) -> subprocess.Popen:
        """Starts a program inside."""
        return subprocess.Popen(["ip", "netns", "exec", self.name, *command], **options)

    def cut(self):
        """Drops every packet from now on, in both directions, without a report to either side.

        The link's outer end stays up, so that the kernel does not report an unreachable network.
        """
        subprocess.run(
            ["ip", "-n", self.name, "link", "set", f"{self.link}p", "down"], check=True, capture_output=True)
