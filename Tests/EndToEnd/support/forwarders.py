"""Hops that nobody sells, as TCP forwarders: one that forgets silent connections, one that cuts at an age, one that holds the head back."""

import contextlib
import selectors
import socket
import threading
import time


class Forwarder:
    """Forwards each connection to a port. `forgets`: after so many seconds without a byte of the server it passes nothing on any more and
    closes nothing. `cuts`: at that age it closes both sides. `holds_head`: the response's head waits for the first byte behind it, and
    both go together."""

    def __init__(self, target: int, forgets=None, cuts=None, holds_head=False):
        self.target, self.forgets, self.cuts, self.holds_head = target, forgets, cuts, holds_head
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self):
        self.listener.settimeout(0.1)
        while not self.is_over.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self.listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self.threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server, selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            began = heard = time.monotonic()
            held = b"" if self.holds_head else None
            while not self.is_over.is_set():
                now = time.monotonic()
                if self.cuts and now - began >= self.cuts:
                    return
                for key, _ in selector.select(0.02):
                    try:
                        data = key.fileobj.recv(65536)
                    except ConnectionError:
                        return
                    if not data:
                        return
                    if key.fileobj is server:
                        if self.forgets and time.monotonic() - heard >= self.forgets:
                            # Forgotten: both sides stay open, and neither hears of the other again.
                            selector.close()
                            self.is_over.wait()
                            return
                        heard = time.monotonic()
                        if held is not None:
                            held += data
                            if held.endswith(b"\r\n\r\n") and held.count(b"\r\n\r\n") == 1:
                                continue
                            data, held = held, None
                    with contextlib.suppress(ConnectionError):
                        key.data.sendall(data)

    def close(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join(5)
        self.listener.close()
