"""Stand-ins for two services that other proxies ask, written from their documentation: what they are sent, and what they answer.

oauth2-proxy 7 (docs: `/oauth2/auth`, `--set-xauthrequest`, `allowed_groups`, `--cookie-refresh`, the static upstream that Traefik's
configuration uses) and Authelia 4.38 (`/api/authz/forward-auth`, and `/api/authz/auth-request`, which nginx asks). Neither is in a registry
that the tests reach.
"""

import http.cookies
import secrets
import threading
import urllib.parse

USERS = {"ada": ("ada@example.com", "readers,admins"), "bob": ("bob@example.com", "readers")}


class Service:
    """The sessions of a service, each a cookie's value and a user's name; called with a connection and a request, it answers."""

    cookie = ""

    def __init__(self):
        self.sessions, self._lock = {}, threading.Lock()

    def session(self, request) -> str | None:
        found = http.cookies.SimpleCookie((request.value("cookie") or b"").decode())
        return found[self.cookie].value if self.cookie in found else None

    def user(self, request) -> str | None:
        with self._lock:
            return self.sessions.get(self.session(request))

    def log_in(self, user) -> str:
        """A new session; gives the cookie."""
        value = secrets.token_urlsafe(24)
        with self._lock:
            self.sessions[value] = user
        return f"{self.cookie}={value}"

    def log_out(self, value):
        with self._lock:
            self.sessions.pop(value, None)


class OAuth2Proxy(Service):
    """With `refreshes` each question renews the session, as `--cookie-refresh` does after its time: the old cookie is worth nothing then."""

    cookie, refreshes = "_oauth2_proxy", False

    def __call__(self, connection, request):
        target = urllib.parse.urlsplit(request.target.decode())
        query, user = dict(urllib.parse.parse_qsl(target.query)), self.user(request)
        if target.path == "/oauth2/auth":
            if user is None:
                return connection.respond(401, b"Unauthorized\n", [("Content-Type", "text/plain; charset=utf-8")])
            email, groups = USERS[user]
            if "allowed_groups" in query and not set(query["allowed_groups"].split(",")) & set(groups.split(",")):
                return connection.respond(403, b"Forbidden\n", [("Content-Type", "text/plain; charset=utf-8")])
            fresh = []
            if self.refreshes:
                self.log_out(self.session(request))
                fresh = [("Set-Cookie", f"{self.log_in(user)}; Path=/; HttpOnly")]
            return connection.respond(202, b"", [
                ("X-Auth-Request-User", user), ("X-Auth-Request-Email", email), ("X-Auth-Request-Groups", groups),
                ("X-Auth-Request-Preferred-Username", user), ("Gap-Auth", email), *fresh])
        if target.path == "/oauth2/start":
            # The identity provider would come between.
            cookie = self.log_in("ada")
            return connection.respond(302, b"", [("Location", query.get("rd", "/")), ("Set-Cookie", f"{cookie}; Path=/; HttpOnly")])
        if target.path == "/oauth2/sign_out":
            self.log_out(self.session(request))
            return connection.respond(302, b"", [("Location", "/"), ("Set-Cookie", f"{self.cookie}=; Path=/; Max-Age=0; HttpOnly")])
        # The static upstream, as Traefik asks: everybody without a session is sent to log in.
        if user is None:
            seen = request.value("x-forwarded-uri").decode()
            return connection.respond(302, b"<a href=...>Found</a>", [
                ("Location", "/oauth2/start?" + urllib.parse.urlencode({"rd": seen})), ("Set-Cookie", "_oauth2_proxy_csrf=x; Path=/; HttpOnly")])
        connection.respond(202, b"Authenticated", [("X-Auth-Request-User", user)])


class Authelia(Service):
    cookie = "authelia_session"

    def __call__(self, connection, request):
        if request.target == b"/api/authz/auth-request":
            return self.auth_request(connection, request)
        asked = {name: (request.value(f"x-forwarded-{name}") or b"").decode() for name in ("method", "proto", "host", "uri")}
        if request.target != b"/api/authz/forward-auth" or not all(asked.values()) or not request.value("x-forwarded-for"):
            return connection.respond(400, b"Bad Request")
        if user := self.user(request):
            email, groups = USERS[user]
            return connection.respond(200, b"200 OK", [("Remote-User", user), ("Remote-Groups", groups), ("Remote-Name", user.title()), ("Remote-Email", email)])
        target = f"{asked['proto']}://{asked['host']}{asked['uri']}"
        where = "https://auth.example.com/?" + urllib.parse.urlencode({"rd": target, "rm": asked["method"]})
        accepts = (request.value("accept") or b"").decode()
        if "text/html" not in accepts or request.value("x-requested-with") == b"XMLHttpRequest":
            return connection.respond(401, f'<a href="{where}">401 Unauthorized</a>'.encode(), [("Content-Type", "text/html"), ("Location", where)])
        status = 302 if asked["method"] in ("GET", "HEAD", "OPTIONS") else 303
        connection.respond(status, f'<a href="{where}">{status}</a>'.encode(), [("Content-Type", "text/html"), ("Location", where)])

    def auth_request(self, connection, request):
        """The endpoint for nginx, which answers with a status alone."""
        method, url = (request.value(name) for name in ("x-original-method", "x-original-url"))
        if not method or urllib.parse.urlsplit((url or b"").decode()).scheme not in ("http", "https"):
            return connection.respond(400, b"Bad Request")
        user = self.user(request)
        if user is None:
            return connection.respond(401, b"Unauthorized")
        connection.respond(200, b"200 OK", [("Remote-User", user), ("Remote-Groups", USERS[user][1])])
