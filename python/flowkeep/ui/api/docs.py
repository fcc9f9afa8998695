"""The API, described from its own OpenAPI document; nothing is fetched from elsewhere for it."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)
_STYLE = (
    "body{font:15px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "h2{margin:2rem 0 .2rem;font-size:1.05rem}code{font:14px ui-monospace,monospace}"
    "table{border-collapse:collapse;margin:.4rem 0}td{padding:.15rem .8rem .15rem 0;vertical-align:top}"
)


@router.get("/api/docs")
async def docs(request: Request) -> HTMLResponse:
    """A page about each call."""
    described: dict[str, Any] = request.app.openapi()
    out = ["<!doctype html><html lang=en><meta charset=utf-8><title>flowkeep API</title>"
           f"<style>{_STYLE}</style><h1>API</h1>"
           "<p>JSON over HTTP; the same calls as the pages make. Scripts send the token of the opened URL as "
           "<code>Authorization: Bearer TOKEN</code>. The machine-readable form is "
           "<a href=/api/openapi.json>openapi.json</a>.</p>"]  # fmt: skip
    for path, methods in described["paths"].items():
        for method, call in methods.items():
            out.append(
                f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>"
                f"<p>{escape(call.get('description', ''))}</p>"
            )
            rows = [
                f"<tr><td><code>{escape(p['name'])}</code><td>{escape(str(p['schema'].get('type', '')))}"
                f"<td>{escape(p.get('description', ''))}"
                for p in call.get("parameters", [])
            ]
            if rows:
                out.append(f"<table>{''.join(rows)}</table>")
    return HTMLResponse("".join(out))
