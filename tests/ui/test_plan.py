"""What is refused before anything listens, and a server that other machines may reach."""

from __future__ import annotations

import http.client
import http.cookiejar
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flowkeep as fk
import pytest
from flowkeep.ui.server import UiPlan, plain_roots

from tests import wire
from tests.cli import command

CERT, KEY = Path("cert.pem"), Path("key.pem")


@pytest.mark.parametrize(("given", "why"), [
    ({"host": "0.0.0.0"}, "would cross the network in clear"),
    ({"host": "::"}, "would cross the network in clear"),
    ({"host": "example.com"}, "would cross the network in clear"),
    ({"host": "0.0.0.0", "tls_cert": CERT}, "both --tls-cert and --tls-key"),
    ({"host": "0.0.0.0", "tls_cert": CERT, "tls_key": KEY}, "a password is asked for"),
    ({"host": "0.0.0.0", "tls_cert": CERT, "tls_key": KEY, "password": "short"}, "10 characters"),
    ({"host": "0.0.0.0", "tls_cert": CERT, "tls_key": KEY, "password": "long enough", "open_with": "wireshark"},
     "loopback only"),
])  # fmt: skip
def test_what_would_not_be_safe_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(fk.UsageError, match=why):
        UiPlan(**given)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_alone_needs_neither(host: str) -> None:
    assert UiPlan(host=host).loopback


def test_folders_are_those_of_the_paths(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    plan = UiPlan(paths=(str(tmp_path / "a"), str(tmp_path / "b" / "*.pcap")))
    assert plan.allowed_roots() == [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(fk.UsageError, match="is no folder"):
        plain_roots([str(tmp_path / "nothing")])


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server as other machines reach it, and the folder with its certificate."""
    folder = tmp_path_factory.mktemp("remote")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / KEY, "-out", folder / CERT],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl makes no certificate")
    (folder / "a.pcap").write_bytes(wire.pcap(wire.udp_dialogue()))
    (folder / "word").write_text("open sesame\n")
    process = command.start(
        "ui", folder / "a.pcap", "--host", "0.0.0.0", "--name", "localhost", "--no-browser", "--quiet",
        "--tls-cert", folder / CERT, "--tls-key", folder / KEY, "--password-file", folder / "word",
    )  # fmt: skip
    try:
        assert process.stderr is not None
        line = process.stderr.readline().decode()
        assert line.startswith("open https://0.0.0.0:") and "token" not in line, line
        yield f"https://localhost:{line.rstrip().rstrip('/').rpartition(':')[2]}", folder
    finally:
        process.terminate()
        process.communicate(timeout=command.DEADLINE)


def test_other_machines_get_in_by_tls_and_password_alone(remote: tuple[str, Path]) -> None:
    base, folder = remote
    trusted = ssl.create_default_context(cafile=str(folder / CERT))
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=trusted), urllib.request.HTTPCookieProcessor(jar)
    )
    with pytest.raises(urllib.error.HTTPError, match="401"):
        browser.open(f"{base}/api/files", timeout=60)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        browser.open(f"{base}/login", b"password=open+sesam", timeout=60)
    browser.open(f"{base}/login", b"password=open+sesame", timeout=60).close()
    with browser.open(f"{base}/api/files", timeout=60) as answer:
        assert b"a.pcap" in answer.read()
    assert all(cookie.secure for cookie in jar)


def upgrade(remote: tuple[str, Path], *, cookie: str, origin: str | None, host: str | None = None) -> int:
    """Ask for the websocket of the pages; gives the status."""
    base, folder = remote
    trusted = ssl.create_default_context(cafile=str(folder / CERT))
    name = base.removeprefix("https://")
    connection = http.client.HTTPSConnection(name, timeout=60, context=trusted)
    connection.putrequest("GET", "/_nicegui_ws/socket.io/?EIO=4&transport=websocket", skip_host=True)
    sent = {"Host": host or name, "Upgrade": "websocket", "Connection": "Upgrade", "Cookie": cookie,
            "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}  # fmt: skip
    if origin is not None:
        sent["Origin"] = origin
    for field, value in sent.items():
        connection.putheader(field, value)
    connection.endheaders()
    answer = connection.getresponse()
    connection.close()
    return answer.status


def test_a_browser_elsewhere_logs_in_and_sees_the_table(remote: tuple[str, Path], chromium: Any) -> None:
    base, _ = remote
    context = chromium.new_context(ignore_https_errors=True)
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(base)
    for word, seen in (
        ("open sesam", "text=not the password"),
        ("open sesame", ".fk-shown:has-text('1 of 1 flows')"),
    ):
        page.locator("input[type=password]").fill(word)
        page.keyboard.press("Enter")
        page.wait_for_selector(seen)
    page.wait_for_selector(".ag-row [col-id=flow_id]")
    cookies = context.cookies()
    assert cookies and all(
        one["secure"] and one["httpOnly"] and one["sameSite"] == "Strict" for one in cookies
    )
    cookie = "; ".join(f"{one['name']}={one['value']}" for one in cookies)
    assert upgrade(remote, cookie=cookie, origin=base) == 101
    assert upgrade(remote, cookie="", origin=base) == 403
    for origin in ("https://evil.example", "null", base.replace("https", "http")):
        assert upgrade(remote, cookie=cookie, origin=origin) == 403, origin
    assert upgrade(remote, cookie=cookie, origin=None, host="evil.example") in (403, 421)
    # A page of another site, in the browser that is logged in: neither its script nor its websocket gets in.
    other = context.new_page()
    other.route(
        "https://evil.example/", lambda route: route.fulfill(body="<p>evil", content_type="text/html")
    )
    other.goto("https://evil.example/")
    tried = other.evaluate("""base => new Promise(done => {
        const socket = new WebSocket(base.replace('https', 'wss') + '/_nicegui_ws/socket.io/?EIO=4&transport=websocket');
        socket.onopen = () => done('open'); socket.onerror = () => done('refused');
    })""", base)  # fmt: skip
    assert tried == "refused"
    read = other.evaluate(
        "base => fetch(base + '/api/files', {credentials: 'include'}).then(() => 'read', () => 'refused')",
        base,
    )
    assert read == "refused"
    context.close()
