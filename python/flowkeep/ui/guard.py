"""Who may talk to the server: every request and every websocket passes here first.

A page of any origin can send requests to a server on loopback, and a name that resolves to 127.0.0.1 makes
its pages ours (DNS rebinding). So the Host and Origin headers must be ours, and a secret must come along: in
the opened URL at first, then in a cookie that other sites' requests do not carry, or in an Authorization
header of a script.
"""

from __future__ import annotations

import hmac
import html
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = "/get/"
"""Links to results carry a secret of their own: a program that fetches one has no cookie."""
LOGIN = "/login"
_LARGEST_PAGE = 16 << 20


@dataclass
class Door:
    """What opens the server."""

    hosts: frozenset[str]
    """Host headers that are ours, with port."""
    scheme: str = "http"
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    password: str | None = None
    """Beyond loopback: asked for on a page of its own; the token is not in any URL then."""

    @property
    def cookie(self) -> str:
        """Its name; two servers on one machine share cookies, so the port is in it."""
        return "flowkeep-" + max(self.hosts).rpartition(":")[2]

    def origin(self, value: str) -> bool:
        """Whether an Origin header is ours."""
        scheme, _, host = value.partition("://")
        return scheme == self.scheme and host.lower() in self.hosts


class Guard:
    """ASGI middleware: lets in who has the key, and says to the browser what a page may do."""

    def __init__(self, app: App, door: Door) -> None:
        """Stand before an app."""
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one websocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        hosts, origins = headers.get("host", []), headers.get("origin", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._door.hosts:
            await _refuse(
                scope, receive, send, 421, "This server is known by another name: use the URL it printed."
            )
        elif not all(self._door.origin(origin) for origin in origins) or len(origins) > 1:
            await _refuse(scope, receive, send, 403, "A page of another site may not ask this server.")
        elif scope["path"].startswith(OPEN) or self._known(headers):
            if "text/html" in "".join(headers.get("accept", [])):
                # A page that comes compressed could not be given the nonce.
                scope["headers"] = [h for h in scope["headers"] if h[0].lower() != b"accept-encoding"]
            await self._app(scope, receive, _with_policy(send, self._door.scheme))
        elif scope["type"] == "http":
            await self._ask(scope, receive, send)
        else:
            await _refuse(scope, receive, send, 403, "no key")

    def _known(self, headers: dict[str, list[str]]) -> bool:
        given = [value.removeprefix("Bearer ") for value in headers.get("authorization", [])]
        for line in headers.get("cookie", []):
            try:
                jar = SimpleCookie(line)
            except CookieError:
                continue
            if self._door.cookie in jar:
                given.append(jar[self._door.cookie].value)
        return any(_same(value, self._door.token) for value in given)

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        fields = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
        if self._door.password is None:
            if _same(dict(fields).get("token", ""), self._door.token):
                rest = urlencode([(name, value) for name, value in fields if name != "token"])
                await self._enter(send, scope["path"] + ("?" + rest if rest else ""))
                return
            await _refuse(
                scope,
                receive,
                send,
                401,
                "The key is missing: open the URL that flowkeep printed, with its token.",
            )
            return
        if scope["method"] == "POST" and scope["path"] == LOGIN:
            body = await _body(receive, 4096)
            if _same(
                dict(parse_qsl(body.decode("utf-8", "replace"))).get("password", ""), self._door.password
            ):
                await self._enter(send, "/")
                return
            await _page(send, 401, _login("That was not the password."))
            return
        wants_page = scope["method"] == "GET" and not scope["path"].startswith("/api/")
        if wants_page:
            await _page(send, 401, _login(""))
        else:
            await _refuse(scope, receive, send, 401, "The key is missing.")

    async def _enter(self, send: Send, to: str) -> None:
        secure = "; Secure" if self._door.scheme == "https" else ""
        cookie = f"{self._door.cookie}={self._door.token}; Path=/; HttpOnly; SameSite=Strict{secure}"
        # What begins with two slashes would be another host.
        location = "/" + to.lstrip("/\\")
        headers = [(b"location", location.encode("latin-1", "replace")),
                   (b"set-cookie", cookie.encode("latin-1")),
                   (b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer")]  # fmt: skip
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


async def _body(receive: Receive, most: int) -> bytes:
    body = b""
    while len(body) <= most:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body[:most]


def _policy(nonce: str) -> str:
    # The page's framework compiles its templates in the browser and evaluates what the server sends over the
    # websocket: both need unsafe-eval. Inline handlers and scripts without the nonce never run.
    return (
        f"default-src 'self'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws: wss:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-src 'self'; frame-ancestors 'self'"
    )


def _headers(scheme: str, nonce: str) -> list[tuple[bytes, bytes]]:
    said = [
        ("content-security-policy", _policy(nonce)),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ]
    if scheme == "https":
        said.append(("strict-transport-security", "max-age=31536000"))
    return [(name.encode(), value.encode()) for name, value in said]


def _with_policy(send: Send, scheme: str) -> Send:
    """Adds the policy to a response; scripts in a page of ours get the nonce."""
    nonce = secrets.token_urlsafe(16)
    start: Message | None = None
    page = b""

    async def guarded(message: Message) -> None:
        nonlocal start, page
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *_headers(scheme, nonce)]
            kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
            if kinds and kinds[0].startswith(b"text/html"):
                start = message
                return
        elif message["type"] == "http.response.body" and start is not None:
            page += message.get("body", b"")
            if message.get("more_body") and len(page) < _LARGEST_PAGE:
                return
            page = page.replace(b"<script", f'<script nonce="{nonce}"'.encode())
            length = (b"content-length", str(len(page)).encode())
            start["headers"] = [h for h in start["headers"] if h[0].lower() != b"content-length"] + [length]
            await send(start)
            start = None
            message = {**message, "body": page}
        await send(message)

    return guarded


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4403, "reason": why})
        return
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"cache-control", b"no-store"),
        *_headers("http", "-"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": (why + "\n").encode()})


async def _page(send: Send, status: int, body: str) -> None:
    # A form of a page without any referrer comes with the Origin "null", which is refused.
    policy = (b"referrer-policy", b"same-origin")
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"no-store"),
        *(policy if name == policy[0] else (name, value) for name, value in _headers("https", "-")),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})


def _login(said: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>flowkeep</title>'
        "<style>body{font:16px system-ui;display:grid;place-items:center;height:100vh;margin:0}"
        ":root{color-scheme:light dark}"
        "form{display:grid;gap:.8rem;width:18rem}input,button{font:inherit;padding:.5rem}</style>"
        f'<form method="post" action="{LOGIN}"><h1>flowkeep</h1><label for="p">Password</label>'
        '<input id="p" name="password" type="password" autofocus required autocomplete="current-password">'
        f'<button>Open</button><p role="alert">{html.escape(said)}</p></form>'
    )
