"""The proxies that are compared: how an expert would configure each of them, and its process.

All of them run one worker, write no log, keep connections to the origin open and add the usual forwarding fields, so that they do
the same work; nothing of theirs may time out. What is measured with them is bench.py's.
"""

import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import time


class Failure(Exception):
    """A contender could not be started, or did not do what it should."""


def free_port() -> int:
    """A port below the kernel's ports for outgoing connections, so that none of these can occupy it."""
    while True:
        port = random.randrange(15000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def program(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def descendants(root: int) -> list[int]:
    """The process and everything below it."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                pass
    found = [root]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


class Contender:
    """One column of the table. `command` writes the configuration and returns how the proxy is started."""

    is_peer = True          # one of the proxies that Heartwire is compared with
    weaves = False          # makes heartbeats itself
    children = 0            # processes that it forks and that must exist before the measurement

    def __init__(self, name: str, binary: str | None):
        self.name, self.binary = name, binary

    def command(self, folder: pathlib.Path, port: int, origin: int, setting: "Setting") -> list[str]:
        raise NotImplementedError

    def start(self, folder: pathlib.Path, origin: int, setting: "Setting", core: int) -> "Running":
        port = free_port()
        log = open(folder / "output", "wb")
        cores = {core} if setting.workers == 1 else set(range(os.cpu_count()))
        process = subprocess.Popen(self.command(folder, port, origin, setting), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
                                   start_new_session=True, preexec_fn=lambda: os.sched_setaffinity(0, cores))
        running = Running(process, port)
        try:
            running.wait_until_ready(setting.tls, self.children)
        except Failure as failure:
            running.kill()
            raise Failure(f"{self.name}: {failure}: {(folder / 'output').read_text(errors='replace')[-500:]}") from None
        return running


class Setting:
    """What a scenario needs in a proxy's configuration beyond the usual; `connections` is how many clients there may be, `logs` is off, streams, or
    events: those of streams and each event. HTTP/2 is spoken over TLS only, beside HTTP/1.1. Several workers are not pinned to one core. `check`
    is the algorithm and the public key of the tokens that are let pass, and whether their claims are looked at and sent on; `metrics` whether
    Heartwire tells them; `kept` is what a route of Heartwire's says of streams that are kept."""

    def __init__(self, connections: int, tls=None, http2=False, heartbeat_seconds=None, logs="off", workers=1, check=None, metrics=False, kept=""):
        self.connections, self.tls, self.http2, self.heartbeat_seconds, self.logs = connections, tls, http2, heartbeat_seconds, logs
        self.workers, self.check, self.kept = workers, check, kept
        self.metrics_port = free_port() if metrics else None


class Running:
    def __init__(self, process: subprocess.Popen, port: int):
        self.process, self.port = process, port

    def wait_until_ready(self, tls, children: int):
        deadline = time.monotonic() + 10
        while True:
            if self.process.poll() is not None:
                raise Failure(f"ended with status {self.process.returncode}")
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain:
                    link = plain
                    if tls:
                        context = ssl.create_default_context()
                        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                        link = context.wrap_socket(plain)
                    link.sendall(b"GET /small HTTP/1.1\r\nHost: bench.example\r\n\r\n")
                    # Who wants a token is ready too.
                    if link.recv(4096).startswith((b"HTTP/1.1 200", b"HTTP/1.1 401")) and len(self.processes()) > children:
                        return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise Failure("does not answer")
            time.sleep(0.01)

    def processes(self) -> list[int]:
        return descendants(self.process.pid)

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Heartwire(Contender):
    is_peer, weaves = False, True

    def command(self, folder, port, origin, setting):
        protocols = "    protocols h2 http/1.1\n" if setting.http2 else ""
        tls = f" {{\n    tls {{\n        certificate {setting.tls[0]} {setting.tls[1]}\n    }}\n{protocols}}}" if setting.tls else ""
        # Left out if there is none: an older build may not know the directive.
        events = f"event_log {folder / 'events.jsonl'}\n" if setting.logs == "events" else ""
        console = f"console 127.0.0.1:{setting.metrics_port}\n" if setting.metrics_port else ""
        heartbeat = f"    heartbeat {setting.heartbeat_seconds}s\n" if setting.heartbeat_seconds else ""
        check = ""
        if setting.check:
            # A bystander's /fan needs no token.
            algorithm, key, wants_claims = setting.check
            check = f"issuer bench {{\n    name https://id.bench.example/\n    audience https://bench.example\n    key {algorithm} {key}\n}}\n"
            claims = "    require_scope events.read\n    claim_field X-User sub\n" if wants_claims else ""
            for path in ("/small", "/leave", "/idle"):
                check += f"route {path} {{\n    upstream origin\n    bearer_check bench\n{claims}}}\n"
        (folder / "heartwire.conf").write_text(f"""\
listen 127.0.0.1:{port}{tls}
workers {setting.workers}
stream_log {folder / "streams.jsonl" if setting.logs != "off" else "off"}
access_log off
{events}{console}limits {{
    connections {setting.connections}
}}
timeouts {{
    keep_alive 1h
}}
upstream origin {{
    server 127.0.0.1:{origin}
    idle_connections 256
    keep_alive 1h
}}
{check}route /* {{
    upstream origin
{heartbeat}{setting.kept}}}
""")
        return [self.binary, "run", "--config", str(folder / "heartwire.conf")]


class Floor(Contender):
    is_peer, weaves = False, True

    def command(self, folder, port, origin, setting):
        beats = [str(setting.heartbeat_seconds * 1000)] if setting.heartbeat_seconds else []
        return [self.binary, str(port), str(origin)] + beats


class Nginx(Contender):
    children = 1

    def __init__(self, name, buffer=None):
        super().__init__(name, program("nginx"))
        self.buffer = f"proxy_buffer_size {buffer}; proxy_buffers 8 {buffer}; proxy_busy_buffers_size {buffer};" if buffer else ""

    def command(self, folder, port, origin, setting):
        # With less than a sixteenth of its connections free, nginx closes those that have not sent a request yet; hence three for each stream.
        tls = setting.tls
        certificate = f"ssl_certificate {tls[0]}; ssl_certificate_key {tls[1]}; ssl_protocols TLSv1.2 TLSv1.3;" if tls else ""
        (folder / "nginx.conf").write_text(f"""\
{"user root;" if os.geteuid() == 0 else ""}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections {3 * setting.connections}; use epoll; multi_accept on; accept_mutex off; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    tcp_nodelay on;
    keepalive_timeout 1h; keepalive_requests 1000000000; send_timeout 1h;
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 1h; }}
    server {{
        listen 127.0.0.1:{port}{" ssl" if tls else ""}{" http2" if setting.http2 else ""} backlog=4096;
        {certificate}
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_buffering off;
            {self.buffer}
            proxy_read_timeout 1h; proxy_send_timeout 1h;
        }}
    }}
}}
""")
        return [self.binary, "-p", str(folder), "-c", str(folder / "nginx.conf")]


class HAProxy(Contender):
    def __init__(self, name, buffer=None):
        super().__init__(name, program("haproxy"))
        self.buffer = f"    tune.bufsize {buffer}\n" if buffer else ""

    def command(self, folder, port, origin, setting):
        certificate = ""
        if setting.tls:
            both = folder / "both.pem"
            both.write_text(pathlib.Path(setting.tls[0]).read_text() + pathlib.Path(setting.tls[1]).read_text())
            certificate = f" ssl crt {both}" + (" alpn h2,http/1.1" if setting.http2 else "")
        (folder / "haproxy.cfg").write_text(f"""\
global
    nbthread 1
    maxconn {setting.connections}
{self.buffer}
defaults
    mode http
    option abortonclose
    option http-keep-alive
    option http-no-delay
    option forwardfor
    http-reuse always
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
    timeout http-keep-alive 1h
    timeout http-request 1h

frontend bench
    bind 127.0.0.1:{port}{certificate} backlog 4096
    maxconn {setting.connections}
    default_backend origin

backend origin
    server origin 127.0.0.1:{origin} pool-max-conn 256 pool-purge-delay 1h
""")
        return [self.binary, "-db", "-q", "-f", str(folder / "haproxy.cfg")]


class H2O(Contender):
    def __init__(self, name):
        super().__init__(name, program("h2o"))

    def command(self, folder, port, origin, setting):
        tls = setting.tls
        certificate = f"\n  ssl:\n    certificate-file: {tls[0]}\n    key-file: {tls[1]}\n    ocsp-update-interval: 0" if tls else ""
        (folder / "h2o.conf").write_text(f"""\
{"user: root" if os.geteuid() == 0 else ""}
num-threads: 1
max-connections: {setting.connections}
http1-request-timeout: 3600
http2-idle-timeout: 3600
listen:
  host: 127.0.0.1
  port: {port}{certificate}
proxy.timeout.io: 3600000
proxy.timeout.keepalive: 3600000
proxy.preserve-host: ON
hosts:
  default:
    paths:
      /:
        proxy.reverse.url: http://127.0.0.1:{origin}/
""")
        return [self.binary, "-c", str(folder / "h2o.conf")]


class Nghttpx(Contender):
    children = 1

    def __init__(self, name):
        super().__init__(name, program("nghttpx"))

    def command(self, folder, port, origin, setting):
        hour = ["frontend-http2-read-timeout", "frontend-read-timeout", "frontend-write-timeout", "frontend-keep-alive-timeout",
                "backend-read-timeout", "backend-write-timeout", "backend-keep-alive-timeout"]
        return [self.binary, "--conf=/dev/null", "--workers=1", f"--frontend=127.0.0.1,{port}{'' if setting.tls else ';no-tls'}",
                f"--backend=127.0.0.1,{origin}", f"--worker-frontend-connections={setting.connections}", "--backlog=4096", "--add-x-forwarded-for",
                "--accesslog-file=/dev/null", "--errorlog-file=/dev/null", "--no-ocsp", *[f"--{timeout}=1h" for timeout in hour],
                *(setting.tls[::-1] if setting.tls else [])]
