"""A server of a key set, as an identity provider has one: over HTTP or HTTPS, and it can be stopped, slow or wrong."""

import http.server
import json
import socket
import ssl
import threading

from .ports import reserve_port


class KeyServer:
    """Serves what `keys` says, a list of JWKs, or what `answer` says: a status, a body and fields."""

    def __init__(self, keys=(), identity=None):
        self.keys, self.answer, self.requests, self._connections = list(keys), None, [], []
        self.allowed = threading.Event()
        self.allowed.set()
        self.port, self._identity, self._server = reserve_port(), identity, None
        self.scheme = "https" if identity else "http"
        self.url = f"{self.scheme}://localhost:{self.port}/jwks.json"

    def start(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                owner._connections.append(self.connection)

            def do_GET(self):
                owner.requests.append((self.path, dict(self.headers.items())))
                owner.allowed.wait(20)
                status, body, fields = owner.answer or (200, json.dumps({"keys": owner.keys}), {})
                body = body.encode() if isinstance(body, str) else body
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    for name, value in fields.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *arguments):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, address):
                pass

        self._server = Server(("127.0.0.1", self.port), Handler)
        if self._identity:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, self._identity))
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self):
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self._connections = []
