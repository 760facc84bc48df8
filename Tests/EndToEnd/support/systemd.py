"""A private systemd: the manager of a user, in its own process namespace and control group.

It needs root; where it does not start, the tests are skipped with a message.
"""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess

PROGRAM = "/lib/systemd/systemd"
# What a user's manager cannot do, or what would hide a test's files from the service.
LEFT_OUT = re.compile(
    r"(?m)^(User|Group|WantedBy|Wants|After|LogsDirectory\w*|AmbientCapabilities|LimitNOFILE|Private\w+|Protect\w+|ProcSubset)=.*\n")
SCRIPT = """
mount -t proc proc /proc && mount -t tmpfs tmpfs /run || exit 77
mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR" && chmod 700 "$XDG_RUNTIME_DIR"
{program} --user --unit=default.target 2> manager.log &
for attempt in $(seq 100); do systemctl --user is-system-running --quiet 2> /dev/null && break; sleep 0.05; done
systemctl --user is-system-running --quiet || exit 77
main() {{ systemctl --user show heartwire -P MainPID; }}
{script}
"""


def unit(text: str, program, configuration, errors) -> str:
    """The shipped unit file, for another program and configuration, without what only the system's manager can do."""
    text = LEFT_OUT.sub("", text).replace("[Unit]\n", "[Unit]\nDefaultDependencies=no\n")
    text = text.replace("/usr/bin/heartwire", str(program)).replace("/etc/heartwire/heartwire.conf", str(configuration))
    return text.replace("[Service]\n", f"[Service]\nStandardError=append:{errors}\nStandardOutput=null\n")


def run(folder: pathlib.Path, text: str, script: str, timeout=60) -> subprocess.CompletedProcess | None:
    """Runs a shell script beside a manager that knows the unit `heartwire.service`; None where no manager can run."""
    if os.geteuid() != 0 or not os.path.exists(PROGRAM) or not shutil.which("unshare"):
        return None
    units = folder / "units"
    units.mkdir()
    (units / "default.target").write_text("[Unit]\nDescription=Nothing\n")
    (units / "heartwire.service").write_text(text)
    # There is one hierarchy, or there are two and the manager uses either.
    roots = [path for path in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.path.exists(f"{path}/cgroup.procs")]
    groups = [pathlib.Path(root, f"heartwire-test-{os.getpid()}") for root in roots]
    if not groups:
        return None
    try:
        for group in groups:
            group.mkdir(exist_ok=True)
        joining = " && ".join(f"echo $$ > {group}/cgroup.procs" for group in groups)
        (folder / "script").write_text(SCRIPT.format(program=PROGRAM, script=script))
        result = subprocess.run(
            ["sh", "-c", f"{joining} && exec unshare --mount --pid --fork --kill-child bash script"], cwd=folder,
            capture_output=True, text=True, timeout=timeout, env={
                **os.environ, "XDG_RUNTIME_DIR": "/run/heartwire-test", "SYSTEMD_UNIT_PATH": str(units), "SYSTEMD_LOG_TARGET": "console",
                "SYSTEMD_GENERATOR_PATH": "/nonexistent"})
    except OSError:
        return None
    finally:
        for path in [path for group in groups for path, _, _ in os.walk(group, topdown=False)]:
            with contextlib.suppress(OSError):
                os.rmdir(path)
    return None if result.returncode == 77 else result
