"""A proxy whose route asks a service, the service, and the origin behind them, for the tests of forward auth."""

import signal
import time

STREAM = "Accept: text/event-stream\r\n"
SESSION = "Cookie: sid=ann\r\n"


def echo(connection, request):
    connection.respond(200, b"ok")


def stream(connection, request):
    connection.start_stream()
    connection.chunk(b"data: hello\n\n")
    connection.wait_until_left(60)


def allow(connection, request):
    connection.respond(202, b"", [("X-User", "ann"), ("X-Groups", "a, b"), ("X-Other", "no")])


def silent(connection, request):
    connection.wait_until_left(20)


def guarded(stage):
    """A function that starts them."""
    def make(service=allow, *lines, handler=echo, route="", path="/*", more="", top=""):
        asked, origin = stage.origin(service), stage.origin(handler)

        def text(port, folder):
            return (
                f"listen 127.0.0.1:{port} {{\n protocols h2 http/1.1\n}}\nworkers 1\nstream_log {folder}/stream.log\naccess_log {folder}/access.log\n{top}\n"
                f"forward_auth session {{\n url http://{asked.address}/verify?for=events\n take X-User X-Groups\n " + "\n ".join(lines) + "\n}\n"
                f"route {path} {{\n upstream {origin.address}\n forward_auth session\n {route}\n}}\n{more.format(origin=origin.address)}\n"
            )

        return stage.heartwire(text=text), asked, origin
    return make


def reload(proxy, text):
    """Puts another configuration in force."""
    (proxy.folder / "heartwire.conf").write_text(text)
    before = proxy.stderr()
    proxy.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while "\n" not in proxy.stderr()[len(before):]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "SIGHUP" in proxy.stderr()[len(before):], proxy.stderr()
    time.sleep(0.1)
