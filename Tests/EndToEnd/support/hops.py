"""nginx, HAProxy, Caddy, Apache httpd and Varnish as a test's own children, with the configurations of `conf/hops.md`.

The page's own text is what runs: only addresses, and what a test changes (`change`), are replaced. What a
program needs to run in a temporary folder (process files, modules) stands around it here.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

from .paths import REPOSITORY
from .ports import reserve_port

PROGRAMS = ["nginx", "HAProxy", "Caddy", "Apache httpd", "Varnish"]
PAGE = REPOSITORY / "conf" / "hops.md"

NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{}}
http {{
access_log off;
client_body_temp_path {folder}/body;
proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi;
scgi_temp_path {folder}/scgi;
{text}
}}
"""

CADDY = """\
{{
    admin off
    auto_https off
{options}
}}
{text}
"""

APACHE = """\
ServerRoot {folder}
ServerName localhost
PidFile {folder}/apache.pid
DefaultRuntimeDir {folder}
ErrorLog {folder}/error.log
Mutex posixsem
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule reqtimeout_module /usr/lib/apache2/modules/mod_reqtimeout.so
LoadModule filter_module /usr/lib/apache2/modules/mod_filter.so
LoadModule deflate_module /usr/lib/apache2/modules/mod_deflate.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
User www-data
Group www-data
StartServers 1
Timeout 300
RequestReadTimeout header=20-40,minrate=500 body=10,minrate=500
{text}
"""


def blocks(program: str, place: str) -> list:
    """The blocks of code below the page's heading `PROGRAM in front` or `PROGRAM behind`, as (language, text)."""
    section = re.search(rf"(?ms)^### {re.escape(program)} {place}\n(.*?)(?=^##|\Z)", PAGE.read_text())
    assert section, f"{PAGE.name} has no section for {program} {place}"
    return re.findall(r"(?ms)^```(\w+)\n(.*?)^```$", section[1])


def snippet(program: str, place: str) -> str:
    """The configuration in that section: its first block."""
    return blocks(program, place)[0][1]


def log_line(program: str, place: str) -> dict:
    """The keys of the `stream_end` line that the section shows for a stream that this hop has cut."""
    return next(json.loads(text) for language, text in blocks(program, place) if language == "json")


def find(program: str) -> str:
    name = {"nginx": "nginx", "HAProxy": "haproxy", "Caddy": "caddy", "Apache httpd": "apache2", "Varnish": "varnishd"}[program]
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    assert path, f"{name} is not installed (Tests/run installs it)"
    return path


class Hop:
    """One of the programs, running. `change` maps words of the page's text to the words that a test puts in their place; `options` are global
    ones of Caddy's, and `arguments` are added to the command line."""

    def __init__(self, program: str, place: str, target: int, folder: pathlib.Path, change=None, arguments=(), options=""):
        self.program, self.folder, self.port = program, folder, reserve_port()
        text = snippet(program, place)
        ours, theirs = ("80", "8080") if place == "in front" else ("8081", "9000")
        changes = {f"127.0.0.1:{theirs}": f"127.0.0.1:{target}", f"127.0.0.1:{ours}": f"127.0.0.1:{self.port}"}
        if program == "Caddy":
            changes = {f"127.0.0.1:{theirs}": f"127.0.0.1:{target}", f":{ours} {{": f":{self.port} {{"}
        elif program == "Varnish":
            changes = {f'.port = "{theirs}"': f'.port = "{target}"'}
        for old, new in {**(change or {}), **changes}.items():
            assert re.search(rf"{re.escape(old)}(?!\d)", text), f"{old!r} does not stand in the configuration of {program} {place}"
            text = re.sub(rf"{re.escape(old)}(?!\d)", lambda _: new, text)
        self.text = text
        command, environment = self._prepare(find(program), text, options)
        self.output = open(folder / "output", "wb")
        self.process = subprocess.Popen([*command, *arguments], stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output, cwd=folder,
                                        env={**os.environ, **environment}, start_new_session=True)
        try:
            self._wait_until_listening()
        except BaseException:
            self.close()
            raise

    def _prepare(self, path: str, text: str, options: str):
        folder, environment = self.folder, {}
        file = folder / "configuration"
        if self.program == "nginx":
            text, arguments = NGINX.format(folder=folder, text=text), ["-e", folder / "error.log", "-p", folder, "-c", file]
        elif self.program == "HAProxy":
            arguments = ["-db", "-f", file]
        elif self.program == "Caddy":
            text, arguments = CADDY.format(text=text, options=options), ["run", "--adapter", "caddyfile", "--config", file]
            environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        elif self.program == "Apache httpd":
            text, arguments = APACHE.format(folder=folder, text=text), ["-D", "FOREGROUND", "-f", file]
        else:
            arguments = ["-F", "-j", "none", "-n", folder / "varnish", "-a", f"127.0.0.1:{self.port}", "-f", file, "-s", "malloc,16m"]
        file.write_text(text)
        return [path, *map(str, arguments)], environment

    def _wait_until_listening(self, timeout=30):
        deadline = time.monotonic() + timeout
        while True:
            assert self.process.poll() is None, f"{self.program} ended with {self.process.returncode}:\n{self.said()}\n{self.text}"
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, f"{self.program} does not listen after {timeout} s:\n{self.said()}"
                time.sleep(0.02)

    def said(self) -> str:
        return "\n".join(path.read_text(errors="replace") for name in ("output", "error.log") if (path := self.folder / name).exists())

    def close(self):
        """Ends the program and its children: some programs wait for their streams to end, and some children live longer than their parent."""
        if self.process.returncode is None:
            self.process.terminate()
            deadline = time.monotonic() + 1
            # Until its status is collected, its number belongs to its own process group and no other.
            while not os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) and time.monotonic() < deadline:
                time.sleep(0.01)
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.output.close()
