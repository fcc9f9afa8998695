"""Nobody imports from stages to its right."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Left to right; a module imports only from groups before its own, or from its own group.
PYTHON = [
    {"_native", "text", "errors", "notify", "prometheus"},
    {"places"},
    {"units", "select", "identify"},  # a filter is a part of how captures are read
    {"rows", "depths"},
    {"cut", "flow", "stream", "paths", "demo"},
    {"sink"},
    {"cache"},
    {"lake"},
    {"retain"},
    {"ops"},
    {"cluster"},
    {"dataset"},
    {"ui"},
    {"cli"},
]
RUST = [
    ["error"],
    ["record"],
    ["packet"],
    ["carve"],
    ["flow"],
    ["cut", "identify", "stream", "select", "search"],
    ["pipe"],
    ["cache"],
]


def _group(name: str) -> int:
    return next(i for i, group in enumerate(PYTHON) if name in group)


def _imports(path: Path, package: list[str]) -> set[str]:
    """First parts, below ``flowkeep``, of all that a module imports when it is loaded."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
            found |= {base[1]} if len(base) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            )
            # A command pays for what it uses alone; the browser uses all of it.
            lazy = () if "ui" in package else ("polars", "rich", "pyarrow", "pandas", "distributed", "dask")
            assert not any(n.split(".")[0] in lazy for n in names), path
    return found - {"__version__"}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "python" / "flowkeep").rglob("*.py")), ids=lambda p: "/".join(p.parts[-2:])
)
def test_python_modules(path: Path) -> None:
    parts = path.relative_to(ROOT / "python").with_suffix("").parts
    if parts in (("flowkeep", "__init__"), ("flowkeep", "__main__")):
        return
    own = _group(parts[1])
    for name in _imports(path, list(parts[:-1])):
        assert _group(name) <= own, f"{path.name} imports {name}"
        assert parts[1] != "cli" or name != "sink", "commands call ops, which know the sinks"


@pytest.mark.parametrize("stage", range(len(RUST)), ids=[group[0] for group in RUST])
def test_rust_stages(stage: int) -> None:
    source = ROOT / "crates" / "core" / "src"
    right = [name for group in RUST[stage + 1 :] for name in group]
    files = [p for name in RUST[stage] for p in [*source.glob(f"{name}.rs"), *(source / name).rglob("*.rs")]]
    assert files
    for path in files:
        if path.name.endswith("_tests.rs"):
            continue
        code = "\n".join(line.split("//")[0] for line in path.read_text(encoding="utf-8").splitlines())
        used = set(re.findall(r"crate::(\w+)", code))
        assert not used & set(right), f"{path}: {used & set(right)}"


def test_the_stages_in_the_middle_do_not_know_each_other() -> None:
    middle = {"cut", "identify", "stream", "select"}
    for stage in middle:
        for path in (ROOT / "crates" / "core" / "src" / stage).rglob("*.rs"):
            used = set(re.findall(r"crate::(\w+)", path.read_text(encoding="utf-8")))
            assert not used & middle - {stage}, f"{path}: {used & middle}"


def test_the_core_has_no_unsafe_and_no_operating_system() -> None:
    for path in (ROOT / "crates" / "core" / "src").rglob("*.rs"):
        code = path.read_text(encoding="utf-8")
        assert not re.search(r"\bunsafe (fn|impl|\{)|std::(fs|net|process|env|time)\b", code), path
