"""What is refused before anything listens, and a server that other machines may reach."""

from __future__ import annotations

import http.cookiejar
import ssl
import subprocess
import urllib.error
import urllib.request
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


def test_other_machines_get_in_by_tls_and_password_alone(tmp_path: Path) -> None:
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", tmp_path / KEY, "-out", tmp_path / CERT],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl makes no certificate")
    (tmp_path / "a.pcap").write_bytes(wire.pcap(wire.udp_dialogue()))
    (tmp_path / "word").write_text("open sesame\n")
    process = command.start(
        "ui", tmp_path / "a.pcap", "--host", "0.0.0.0", "--name", "localhost", "--no-browser", "--quiet",
        "--tls-cert", tmp_path / CERT, "--tls-key", tmp_path / KEY, "--password-file", tmp_path / "word",
    )  # fmt: skip
    try:
        assert process.stderr is not None
        line = process.stderr.readline().decode()
        assert line.startswith("open https://0.0.0.0:") and "token" not in line, line
        base = f"https://localhost:{line.rstrip().rstrip('/').rpartition(':')[2]}"
        trusted = ssl.create_default_context(cafile=str(tmp_path / CERT))
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
    finally:
        process.terminate()
        process.communicate(timeout=command.DEADLINE)
