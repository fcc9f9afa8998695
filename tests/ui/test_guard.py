"""Who is let in: the key, our own Host and Origin; on every request and every websocket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from flowkeep.ui.guard import Door, Guard

DOOR = Door(frozenset({"127.0.0.1:8000", "localhost:8000"}), token="secret")
LOCKED = Door(
    frozenset({"flows.example:443", "flows.example"}), "https", token="secret", password="open sesame"
)


async def inside(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    kind = scope.get("kind", b"text/html; charset=utf-8")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": b"<scr", "more_body": True})
    await send({"type": "http.response.body", "body": b"ipt>inside</script>"})


def call(
    door: Door, path: str = "/", query: bytes = b"", kind: str = "http", method: str = "GET", body: bytes = b"",
    more: list[tuple[bytes, bytes]] | None = None, **headers: str,
) -> tuple[int, dict[bytes, bytes], bytes]:  # fmt: skip
    sent: list[Any] = []
    given = [(name.encode(), value.encode()) for name, value in headers.items()] + (more or [])
    scope = {"type": kind, "path": path, "query_string": query, "headers": given, "method": method}
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Guard(inside, door)(scope, receive, send))
    if kind == "websocket":
        return (101 if sent[0]["type"] == "websocket.accept" else 403), {}, b""
    text = b"".join(m.get("body", b"") for m in sent)
    return sent[0]["status"], dict(sent[0]["headers"]), text


HOST, KEY = "127.0.0.1:8000", "Bearer secret"


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(("headers", "inside"), [
    ({"host": HOST, "authorization": KEY}, True),
    ({"host": "LOCALHOST:8000", "authorization": KEY}, True),
    ({"host": HOST, "cookie": "a=b; flowkeep-8000=secret"}, True),
    ({"host": HOST, "cookie": "flowkeep-8000=secret", "origin": "http://127.0.0.1:8000"}, True),
    ({"host": HOST}, False),
    ({"host": HOST, "authorization": "Bearer secreT"}, False),
    ({"host": HOST, "cookie": "flowkeep-8001=secret"}, False),
    ({"host": HOST, "cookie": "flowkeep-8000=\\"}, False),
    ({"host": "evil.example:8000", "authorization": KEY}, False),
    ({"host": "127.0.0.1:8001", "authorization": KEY}, False),
    ({"authorization": KEY}, False),
    ({"host": HOST, "authorization": KEY, "origin": "https://evil.example"}, False),
    ({"host": HOST, "authorization": KEY, "origin": "https://127.0.0.1:8000"}, False),
    ({"host": HOST, "authorization": KEY, "origin": "null"}, False),
], ids=str)  # fmt: skip
def test_who_is_let_in(kind: str, headers: dict[str, str], inside: bool) -> None:
    status, _, body = call(DOOR, kind=kind, **headers)
    assert (status in (200, 101)) == inside
    assert inside == (b"inside" in body) or kind == "websocket"


def test_two_hosts_are_none() -> None:
    assert call(DOOR, more=[(b"host", HOST.encode()), (b"host", b"evil")], authorization=KEY)[0] == 421


def test_the_token_of_the_url_becomes_a_cookie() -> None:
    status, headers, _ = call(DOOR, "/", b"token=secret&where=a%20b", host=HOST)
    assert (status, headers[b"location"]) == (303, b"/?where=a+b")
    cookie = headers[b"set-cookie"].decode()
    assert "flowkeep-8000=secret" in cookie and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert call(DOOR, "/", b"token=wrong", host=HOST)[0] == 401


def test_no_redirect_leads_elsewhere() -> None:
    assert call(DOOR, "//evil.example/", b"token=secret", host=HOST)[1][b"location"] == b"/evil.example/"


def test_a_link_that_was_given_needs_no_cookie_but_our_host() -> None:
    assert call(DOOR, "/get/x/y.pcapng", host=HOST)[0] == 200
    assert call(DOOR, "/get/x/y.pcapng", host="evil:8000")[0] == 421


def test_beyond_loopback_a_password_is_asked_for() -> None:
    host = "flows.example"
    status, _, page = call(LOCKED, "/", b"token=secret", host=host)
    assert status == 401 and b"Password" in page
    assert call(LOCKED, "/api/flows", host=host)[0] == 401
    wrong = call(LOCKED, "/login", method="POST", body=b"password=open", host=host)
    assert wrong[0] == 401 and b"not the password" in wrong[2]
    right = call(LOCKED, "/login", method="POST", body=b"password=open+sesame", host=host)
    assert right[0] == 303 and b"Secure" in right[1][b"set-cookie"]


def test_a_page_gets_a_policy_and_its_scripts_the_nonce() -> None:
    _, headers, page = call(DOOR, host=HOST, authorization=KEY)
    policy = headers[b"content-security-policy"].decode()
    nonce = policy.split("'nonce-")[1].split("'")[0]
    assert page == f'<script nonce="{nonce}">inside</script>'.encode()
    assert headers[b"content-length"] == str(len(page)).encode()
    assert "'unsafe-inline'" not in policy.split("style-src")[0] and "frame-ancestors 'self'" in policy
    assert (
        call(DOOR, host=HOST, authorization=KEY)[1][b"content-security-policy"]
        != headers[b"content-security-policy"]
    )
