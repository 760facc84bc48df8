"""A client of HTTP/2 that shows everything that comes, on PyPI's h2. It acknowledges what it reads only when it is told to."""

import socket
import ssl
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE
CONTEXT.set_alpn_protocols(["h2"])


class Stream:
    def __init__(self, number):
        self.number, self.head, self.interim, self.data = number, None, [], b""
        self.ended, self.reset_code, self.unread = False, None, 0
        self.arrivals = []  # (moment, bytes) of each DATA frame.

    @property
    def status(self):
        return int(dict(self.head)[b":status"])

    def field(self, name):
        return dict(self.head).get(name)


class HTTP2Client:
    """One connection. `context` is another TLS context than one that trusts everybody, `preamble` what is sent before TLS and HTTP/2."""

    def __init__(self, port, secured=False, window=None, connection_window=None, receive_buffer=None, address="127.0.0.1", context=None,
                 preamble=b""):
        plain = socket.socket()
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.settimeout(10)
        plain.connect((address, port))
        if preamble:
            plain.sendall(preamble)
        secured = secured or context is not None
        self.socket = (context or CONTEXT).wrap_socket(plain, server_hostname="localhost") if secured else plain
        self.scheme = b"https" if secured else b"http"
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False))
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        if connection_window:
            self.h2.increment_flow_control_window(connection_window)
        self.streams, self.goaways, self.closed, self.held = {}, [], None, set()
        self.partial = b""
        self.reads_sizes = []  # How many bytes each read of the socket returned.
        self.flush()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.socket.sendall(data)

    def fields(self, path, method=b"GET", extra=(), accept=b"text/event-stream"):
        return [(b":method", method), (b":scheme", self.scheme), (b":authority", b"test.example"), (b":path", path.encode()),
                *([(b"accept", accept)] if accept else []), *extra]

    def request(self, path="/", end=True, fields=None, flush=True, **options) -> Stream:
        number = self.h2.get_next_available_stream_id()
        self.h2.send_headers(number, fields or self.fields(path, **options), end_stream=end)
        stream = self.streams[number] = Stream(number)
        if flush:
            self.flush()
        return stream

    def send(self, stream, data, end=False):
        """Sends a body as far as the windows allow, waiting for more window."""
        while True:
            room = min(self.h2.local_flow_control_window(stream.number), self.h2.max_outbound_frame_size, len(data))
            if room or not data:
                self.h2.send_data(stream.number, data[:room], end_stream=end and room == len(data))
                data = data[room:]
                self.flush()
                if not data:
                    return
            else:
                self.receive_once(10)

    def hold(self, stream):
        """From now on nothing that comes on the stream gives window back, and it is not read on."""
        self.held.add(stream.number)

    def reset(self, stream, code=h2.errors.ErrorCodes.CANCEL):
        self.h2.reset_stream(stream.number, code)
        self.flush()

    def receive_once(self, timeout=10) -> bool:
        """One read; False where nothing came in that time, or the end."""
        if self.closed:
            return False
        self.socket.settimeout(max(timeout, 0.001))
        try:
            data = self.socket.recv(262144)
        except (socket.timeout, ssl.SSLWantReadError):
            return False
        except OSError as error:
            self.closed = type(error).__name__
            return False
        if not data:
            self.closed = "fin"
            return False
        self.reads_sizes.append(len(data))
        self.partial += data
        while len(self.partial) >= 9 and len(self.partial) >= (size := 9 + int.from_bytes(self.partial[:3], "big")):
            frame, self.partial = self.partial[:size], self.partial[size:]
            for event in self.h2.receive_data(frame):
                self.handle(event)
        if not self.closed:
            try:
                self.flush()
            except OSError:
                pass
        return True

    def handle(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.InformationalResponseReceived):
            stream.interim.append(event.headers)
        elif isinstance(event, h2.events.ResponseReceived):
            stream.head = event.headers
        elif isinstance(event, h2.events.DataReceived):
            stream.data += event.data
            stream.arrivals.append((time.monotonic(), event.data))
            if event.stream_id not in self.held and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset_code = event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            # Streams that are open go on after GOAWAY (RFC 9113 section 6.8), which h2 does not know.
            self.h2.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
            self.goaways.append((event.last_stream_id, event.error_code, event.additional_data))

    def wait(self, condition, timeout=10, what="what was waited for"):
        deadline = time.monotonic() + timeout
        while not condition():
            remaining = deadline - time.monotonic()
            assert remaining > 0 and not (self.closed and not condition()), (
                f"{what} did not come within {timeout} s ({self.closed}, {self.goaways}): "
                + "; ".join(f"{s.number}: {s.head} {s.data[-80:]} {s.ended} {s.reset_code}" for s in list(self.streams.values())[:6]))
            self.receive_once(min(remaining, 0.2))

    def read_for(self, seconds):
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0 and not self.closed:
            self.receive_once(remaining)

    def whole(self, stream, timeout=10) -> Stream:
        self.wait(lambda: stream.ended or stream.reset_code is not None, timeout, f"the end of stream {stream.number}")
        return stream

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
