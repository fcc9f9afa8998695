"""The use case behind ``flowkeep protocols``: what can be recognised."""

from __future__ import annotations

from ..identify import Given, load_models
from ..rows import Frame


def list_protocols(models: Given = ()) -> Frame:
    """One row for each protocol, by label; learnt ones, of these model files and folders, are of the family
    ``learnt``. Raises OSError, ModelError.

    Columns: ``label``, ``title``, ``family``, ``carriers`` (list of ``tcp``, ``udp``, ``sctp``, ``ip``),
    ``ports`` (list, those it is registered for or known on) and ``spec``.
    """
    import polars as pl

    from .. import _native

    rows = [
        {"label": label, "title": title, "family": family, "carriers": carriers, "ports": ports, "spec": spec}
        for family, label, title, carriers, ports, spec in _native.protocols()
    ]
    loaded = load_models(models)
    for label, carriers in [] if loaded is None else loaded.protocols():
        rows.append({
            "label": label, "title": "learnt by example", "family": "learnt", "carriers": carriers,
            "ports": [], "spec": "a model",
        })  # fmt: skip
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "label": pl.String, "title": pl.String, "family": pl.String, "carriers": pl.List(pl.String),
        "ports": pl.List(pl.UInt16), "spec": pl.String,
    }  # fmt: skip
    return Frame(pl.DataFrame(rows, schema=schema).sort("label"), [])
