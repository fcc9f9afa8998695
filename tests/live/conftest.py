"""Runs modules that need interfaces of their own inside a network namespace.

Such a module has ``pytestmark = pytest.mark.namespace``. It is run once more, as a whole, by another pytest under
``unshare``: as root with ``-n``, as another user with ``-rn``. Each test then reports what it did there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from .net import Pair

INSIDE = "FLOWKEEP_TEST_NAMESPACE"
_PROBE = ("sh", "-c", "ip link add va type veth peer name vb && ip link del va")


def _unshare() -> list[str] | str:
    """The command that makes a namespace with interfaces of its own, or why there is none."""
    why = "no unshare"
    for flags in (["-n"], ["-rn"]):
        try:
            done = subprocess.run(["unshare", *flags, *_PROBE], capture_output=True, text=True, timeout=30)
        except OSError as error:
            why = str(error)
            continue
        if done.returncode == 0:
            return ["unshare", *flags]
        why = done.stderr.strip() or f"exit status {done.returncode}"
    return f"no network namespace with a veth pair can be made here: {why}"


class _Inside:
    """What the modules did inside."""

    def __init__(self) -> None:
        self.command = _unshare()
        self.results: dict[Path, dict[str, tuple[str, str]]] = {}

    def result(self, item: pytest.Item, items: list[pytest.Item], folder: Path) -> tuple[str, str]:
        path = item.path
        if path not in self.results:
            names = [other.nodeid for other in items if other.path == path]
            self.results[path] = self._run(names, item.config.rootpath, folder / "inside.xml")
        return self.results[path].get(item.name, ("failure", "it did not run inside"))

    def _run(self, names: list[str], root: Path, report: Path) -> dict[str, tuple[str, str]]:
        assert not isinstance(self.command, str)
        run = [*self.command, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*run, f"--junitxml={report}", *names],
            cwd=root, env=os.environ | {INSIDE: "1"}, capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        if not report.exists():
            return {re.sub(r".*::", "", name): ("failure", done.stdout + done.stderr) for name in names}
        found = {}
        for case in ElementTree.parse(report).iter("testcase"):
            result = ("passed", "")
            for kind in ("failure", "error", "skipped"):
                for node in case.iter(kind):
                    result = (kind, node.get("message", "") + "\n" + (node.text or ""))
            found[case.get("name", "")] = result
        return found


_inside: _Inside | None = None


def pytest_configure(config: pytest.Config) -> None:
    """Say what the mark means."""
    config.addinivalue_line("markers", "namespace: runs inside a network namespace of its own")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """In the place of a marked test, tell what it did inside."""
    global _inside
    if os.environ.get(INSIDE) or pyfuncitem.get_closest_marker("namespace") is None:
        return None
    _inside = _inside or _Inside()
    if isinstance(_inside.command, str):
        pytest.skip(_inside.command)
    folder = pyfuncitem.funcargs["tmp_path"]
    kind, text = _inside.result(pyfuncitem, pyfuncitem.session.items, folder)
    if kind == "skipped":
        pytest.skip(text.splitlines()[0])
    if kind != "passed":
        pytest.fail(f"inside of the namespace:\n{text}", pytrace=False)
    return True


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair | None]:
    """Two interfaces ``va`` and ``vb``: what goes into one comes out of the other."""
    del tmp_path  # the hook above wants it
    if not os.environ.get(INSIDE):
        yield None
        return
    with Pair() as made:
        yield made
