"""The public names of ``flowkeep`` are there, documented and typed."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_type_hints

import flowkeep as fk
import pytest
from flowkeep import errors

from tests import wire

NAMES = [name for name in fk.__all__ if not name.startswith("_")]


def public(owner: type) -> list[tuple[str, Any]]:
    """Methods and properties of a class's own, with its constructor."""
    return [
        (name, inspect.getattr_static(owner, name))
        for name in vars(owner)
        if not name.startswith("_") or name == "__init__"
    ]


def functions() -> list[tuple[str, Any]]:
    found = []
    for name in NAMES:
        thing = getattr(fk, name)
        if not inspect.isclass(thing):
            found.append((name, thing))
            continue
        for own, member in public(thing):
            if isinstance(member, property):
                member = member.fget
            if isinstance(member, classmethod | staticmethod):
                member = member.__func__
            if inspect.isfunction(member):
                found.append((f"{name}.{own}", member))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_public_name_is_documented_and_listed(name: str) -> None:
    assert inspect.getdoc(getattr(fk, name))
    assert name in dir(fk)


@pytest.mark.parametrize(("name", "function"), functions(), ids=lambda x: x if isinstance(x, str) else "")
def test_public_function_is_documented_and_typed(name: str, function: Any) -> None:
    # The constructor of a dataclass is told by the fields, which the class's text explains.
    assert function.__doc__ or (
        name.endswith(".__init__") and "__dataclass_fields__" in vars(getattr(fk, name[:-9]))
    )
    signature = inspect.signature(function)
    untyped = [
        p.name
        for p in signature.parameters.values()
        if p.annotation is p.empty and p.name not in ("self", "cls")
    ]
    assert not untyped
    assert signature.return_annotation is not signature.empty


def test_functions_are_found() -> None:
    names = [name for name, _ in functions()]
    assert {
        "open",
        "Dataset.flows",
        "Dataset.trim",
        "Flows.to_polars",
        "CutPolicy.of",
        "TrimReport.total",
    } <= set(names)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        fk.nothing  # noqa: B018


def test_every_error_has_a_status_and_a_meaning_of_its_own() -> None:
    classes = [e for e in vars(errors).values() if inspect.isclass(e) and issubclass(e, fk.FlowkeepError)]
    assert len({e.exit_status for e in classes}) == len(classes) == 13
    assert all(vars(e).get("__doc__") and e.exit_status >= 2 for e in classes)
    tree = inspect.getdoc(errors) or ""
    assert all(f"{e.__name__} ({e.exit_status})" in tree for e in classes)


def test_dataclass_fields_have_types() -> None:
    assert set(get_type_hints(fk.ReadOptions)) == {
        "idle_ns",
        "tcp_idle_ns",
        "outer",
        "key_vlan",
        "max_flows",
        "jobs",
        "filter",
        "filter_names",
        "models",
        "index",
    }


def test_every_error_is_exported() -> None:
    kinds = {n for n, c in vars(errors).items() if inspect.isclass(c) and issubclass(c, errors.FlowkeepError)}
    assert kinds <= set(NAMES)


def test_sizes_may_be_text_and_paths_a_list(tmp_path: Path) -> None:
    assert fk.CutPolicy("100kB", tail="1kB") == fk.CutPolicy(100_000, tail=1000)  # type: ignore[arg-type]
    with pytest.raises(fk.UsageError, match="not a size"):
        fk.CutPolicy("100 parsecs")  # type: ignore[arg-type]
    paths = [tmp_path / "a.pcap", tmp_path / "b.pcap"]
    for path in paths:
        path.write_bytes(wire.pcap(wire.udp_dialogue()))
    ds = fk.open(paths)
    assert sorted(ds.paths) == paths == sorted(fk.open(*paths).paths)
    assert [what["cutoff"] for what in ds.info(cutoffs=["100kB", 7]).what_if] == [7, 100_000]
    with pytest.raises(fk.UsageError, match="list of sizes"):
        ds.info(cutoffs="100kB")
    assert repr(ds.flows()) == "<flowkeep.Flows: 1 flows of 2 captures>"
