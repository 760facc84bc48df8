"""A scripted origin server: the test chooses every byte that it sends, and every byte that it receives is kept.

One thread accepts, one thread serves each connection. The handler is called for each complete request
with (connection, request); it answers through the connection, or closes or resets it. A handler may
block: the test talks to it with events. `Origin(..., raw=True)` calls handler(connection) once per
connection instead, before anything was read.
"""

import socket
import struct
import threading
import time

from .http_text import BodyDecoder, Malformed, framing, parse_request


class Left(Exception):
    """The proxy closed or reset the connection."""


class OriginConnection:
    """One accepted connection, as the handler sees it."""

    def __init__(self, origin, sock, number):
        self.origin, self.socket, self.number = origin, sock, number
        self.received = bytearray()
        self.requests = []
        self.malformed = None
        self.left_how = None  # 'fin' or 'reset' once the proxy has gone.
        self.left_at = None
        self.closed = False
        self._consumed = 0
        self._state = threading.Condition()

    # Reading

    def receive_once(self, timeout=None) -> bytes:
        """One recv; raises Left at the end of the connection and socket.timeout when nothing comes."""
        try:
            self.socket.settimeout(timeout)
            data = self.socket.recv(262144)
        except (ConnectionError, BrokenPipeError):
            self._leave("reset")
            raise Left("reset")
        except OSError as error:
            if isinstance(error, socket.timeout):
                raise
            self._leave("closed here")
            raise Left("closed here")
        if not data:
            self._leave("fin")
            raise Left("fin")
        if self.origin.keep_bytes:
            self.received += data
        return data

    def _leave(self, how):
        with self._state:
            if self.left_how is None:
                self.left_how, self.left_at = how, time.monotonic()
            self._state.notify_all()

    def read_head(self, timeout=None) -> bytes:
        """The next request head, its blank line included."""
        while (end := self.received.find(b"\r\n\r\n", self._consumed)) < 0:
            self.receive_once(timeout)
        head = bytes(self.received[self._consumed: end + 4])
        self._consumed = end + 4
        return head

    def read_body(self, request, timeout=None):
        decoder = BodyDecoder(*framing(request))
        body = bytearray(decoder.feed(bytes(self.received[self._consumed:])))
        while not decoder.complete:
            body += decoder.feed(self.receive_once(timeout))
        self._consumed = len(self.received) - len(decoder.rest)
        request.body, request.trailers = bytes(body), decoder.trailers

    def stream_body(self, request, keep=False):
        """The request's body piece by piece as it comes; nothing is kept unless asked for."""
        decoder = BodyDecoder(*framing(request))
        first = decoder.feed(bytes(self.received[self._consumed:]))
        self._consumed = len(self.received)
        self.origin.keep_bytes = keep
        if first:
            yield first
        while not decoder.complete:
            yield decoder.feed(self.receive_once(60))

    def read_request(self, timeout=None, with_body=True):
        request = parse_request(self.read_head(timeout))
        if with_body:
            self.read_body(request, timeout)
        return request

    def wait_until_left(self, timeout=10) -> str:
        """Reads on until the proxy leaves; says how: 'fin' or 'reset'."""
        deadline = time.monotonic() + timeout
        while True:
            remaining = deadline - time.monotonic()
            assert remaining > 0, f"the proxy still held its upstream connection after {timeout} s"
            try:
                self.receive_once(remaining)
            except Left as left:
                return str(left)
            except socket.timeout:
                pass

    def wait_until_gone(self, timeout=10) -> str:
        """The same for a test, while the handler reads."""
        with self._state:
            assert self._state.wait_for(lambda: self.left_how, timeout), f"the proxy still held its upstream connection after {timeout} s"
        return self.left_how

    # Writing

    def send(self, data: bytes):
        """Sends everything; raises Left when the proxy has gone."""
        try:
            self.socket.settimeout(60)
            self.socket.sendall(data)
        except socket.timeout:
            raise
        except OSError:
            self._leave("reset")
            raise Left("while sending")

    def respond(self, status=200, body=b"", fields=(), reason="Answer"):
        """A whole response with a Content-Length."""
        head = f"HTTP/1.1 {status} {reason}\r\nContent-Length: {len(body)}\r\n"
        self.send(head.encode() + b"".join(f"{n}: {v}\r\n".encode() for n, v in fields) + b"\r\n" + body)

    def start_stream(self, fields=(), content_type="text/event-stream"):
        """The head of a chunked event stream."""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n"
        self.send(head.encode() + b"".join(f"{n}: {v}\r\n".encode() for n, v in fields) + b"\r\n")

    def chunk(self, data: bytes):
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def last_chunk(self):
        self.send(b"0\r\n\r\n")

    def close(self):
        """Closes in good order (FIN)."""
        self.closed = True
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.socket.close()

    def reset(self):
        """Ends the connection with RST."""
        self.closed = True
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # A handler that reads in another thread would keep the connection open.
            self.socket.shutdown(socket.SHUT_RD)
        except OSError:
            pass
        self.socket.close()


class Origin:
    """The listening server. `address` is HOST:PORT as a configuration file wants it, or unix:PATH where a `path` is given."""

    def __init__(self, handler, host="127.0.0.1", port=0, backlog=1024, raw=False, receive_buffer=None, path=None):
        self.path = path
        self.handler, self.raw, self.keep_bytes = handler, raw, True
        self.connections, self.requests, self.errors = [], [], []
        self._changed = threading.Condition()
        self.host, self._backlog, self._receive_buffer = host, backlog, receive_buffer
        self._listen(port)
        self.address = f"unix:{path}" if path else f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def _listen(self, port):
        if self.path:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind("\0" + self.path[1:] if self.path.startswith("@") else self.path)
            self._begin(listener, 0)
            return
        listener = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._receive_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        listener.bind((self.host, port))
        self._begin(listener, listener.getsockname()[1])

    def _begin(self, listener, port):
        listener.listen(self._backlog)
        self.listener, self.port = listener, port
        self._stopping = False
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def listen_again(self):
        """Accepts connections again on the same port, after `stop_listening`."""
        self._listen(self.port)

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            if self._stopping:
                sock.close()
                return
            if not self.path:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                connection = OriginConnection(self, sock, len(self.connections))
                self.connections.append(connection)
                self._changed.notify_all()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self.raw:
                self.handler(connection)
                return
            while not connection.closed:
                request = connection.read_request()
                with self._changed:
                    connection.requests.append(request)
                    self.requests.append(request)
                    self._changed.notify_all()
                self.handler(connection, request)
        except Left:
            pass
        except Malformed as error:
            connection.malformed = str(error)
            self.errors.append(f"the proxy sent malformed HTTP: {error}")
        except Exception as error:  # Reported by the fixture when the test ends.
            if not self._stopping:
                self.errors.append(f"the origin's handler failed: {error!r}")
        finally:
            if not connection.closed:
                connection.closed = True
                connection.socket.close()

    def wait_for_requests(self, count, timeout=15):
        """Waits until that many complete requests have come; returns all of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, timeout), (
                f"the upstream saw {len(self.requests)} complete requests within {timeout} s, not {count}")
            return list(self.requests)

    def wait_for_connections(self, count, timeout=15):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.connections) >= count, timeout), (
                f"the upstream saw {len(self.connections)} connections within {timeout} s, not {count}")
            return list(self.connections)

    def everything_received(self) -> bytes:
        return b"\n".join(bytes(connection.received) for connection in list(self.connections))

    def stop_listening(self):
        """From now on connections are refused; open ones are kept."""
        self._stopping = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def close(self):
        self.stop_listening()
        for connection in list(self.connections):
            connection.closed = True
            try:
                connection.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.socket.close()
