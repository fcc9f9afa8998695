"""A server in a process of its own, and a real browser. Skipped, with the reason, where there is none."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli import command

PICTURES = Path(__file__).parent / "pictures"
"""What the pages looked like; not under version control."""


class Served:
    """A running ``flowkeep ui``."""

    def __init__(self, *args: str | Path) -> None:
        self.process = command.start("ui", *args, "--no-browser", "--quiet")
        assert self.process.stderr is not None
        self.lines: list[str] = []
        line = self.process.stderr.readline().decode()
        found = re.fullmatch(r"open (http://\S+?/)\?token=(\S+)\n", line)
        assert found, line + self.process.stderr.read().decode()
        self.base, self.token = found[1], found[2]
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.wait()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.decode())

    @property
    def url(self) -> str:
        return f"{self.base}?token={self.token}"

    def ask(self, path: str, data: Any = None, method: str | None = None) -> Any:
        """A call of the API, as a script makes it."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.base + path.lstrip("/"), body, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=command.DEADLINE) as answer:
            return json.load(answer)

    def wait(self) -> dict[str, Any]:
        """Until everything is read."""
        while True:
            state: dict[str, Any] = self.ask("api/files")
            if state["state"] == "idle":
                return state

    def stop(self) -> None:
        self.process.terminate()
        try:
            assert self.process.wait(command.DEADLINE) == 0, self.lines
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        assert not [line for line in self.lines if "Traceback" in line], self.lines


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium is installed")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        # A sandbox needs rights that containers do not give.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


class Looked:
    """A page of the browser, and what it complained about."""

    def __init__(
        self, chromium: Any, url: str, *, size: tuple[int, int] = (1280, 720), **context: Any
    ) -> None:
        self.context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, **context)
        self.context.set_default_timeout(20_000)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.outside: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("dialog", lambda d: self.complaints.append(f"dialog {d.message}"))
        self.page.on("request", self._asked)
        self.base = url.partition("?")[0]
        self.page.goto(url)
        self.page.wait_for_selector("text=flowkeep")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.outside.append(request.url)

    def picture(self, name: str) -> None:
        PICTURES.mkdir(exist_ok=True)
        # What fades in is to be seen whole.
        self.page.wait_for_function(
            "!document.querySelector('[class*=-enter-]') && "
            "document.getAnimations().every((a) => !(a instanceof CSSTransition) || a.playState !== 'running')"
        )
        self.page.screenshot(path=PICTURES / f"{name}.png")

    def shown(self, text: str) -> None:
        """Wait until the count above the table begins with this."""
        try:
            self.page.wait_for_selector(f".fk-shown:text-matches('^{text}')")
        except Exception:
            self.picture("failed")
            print(self.complaints, self.page.inner_text("body")[:2000])
            raise

    def close(self) -> None:
        self.context.close()
        assert not self.complaints
        assert not self.outside, "something was fetched from elsewhere"
