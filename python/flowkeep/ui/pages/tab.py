"""What one browser tab looks at. Each tab has its own; the captures are shared."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from nicegui import context, ui

from ...errors import FlowkeepError
from ...text import safe
from ..library import Library
from ..view import Term, View

MOST_STEPS_BACK = 200


class Tab:
    """The view of a tab, its past, and what is selected in it."""

    def __init__(self, library: Library, view: View, page: str) -> None:
        """Begin with a view, as the URL says."""
        self.library, self.view, self.page = library, view, page
        self.past: list[View] = []
        self.future: list[View] = []
        self.rows: list[dict[str, Any]] = []
        """The rows that are selected in the grid that was used last."""
        self.kind = "flows"
        """Of which table they are."""
        self.client = context.client
        self._of_view: list[Callable[[], Any]] = []
        self._of_rows: list[Callable[[], Any]] = []

    def watch_view(self, watcher: Callable[[], Any]) -> None:
        """Call this when the view has changed."""
        self._of_view.append(watcher)

    def watch_rows(self, watcher: Callable[[], Any]) -> None:
        """Call this when the view or the selection has changed."""
        self._of_rows.append(watcher)

    async def show(self, view: View, *, remember: bool = True) -> bool:
        """Look at another view; what cannot be meant is told, and changes nothing."""
        table = self.library.table
        if table is not None:
            try:
                await asyncio.to_thread(table.choose, view)
            except (FlowkeepError, OSError) as error:
                self.complain(error)
                return False
        if remember and view != self.view:
            self.past = [*self.past[-MOST_STEPS_BACK:], self.view]
            self.future = []
        self.view = view
        self.rows = []
        self.run(f"fk.look({json.dumps(replace(view, sort=None).url())})")
        self.tell_url()
        for watcher in (*self._of_view, *self._of_rows):
            watcher()
        return True

    async def back(self) -> None:
        """Undo."""
        if self.past:
            self.future.append(self.view)
            await self.show(self.past.pop(), remember=False)

    async def forth(self) -> None:
        """Do again what was undone."""
        if self.future:
            self.past.append(self.view)
            await self.show(self.future.pop(), remember=False)

    async def hide(self, *terms: Term) -> None:
        """Hide flows, or, when hiding is inverted, show them too."""
        hidden = tuple(dict.fromkeys([*self.view.hidden, *terms]))
        await self.show(replace(self.view, hidden=hidden))

    async def only(self, *terms: Term) -> None:
        """Show these flows alone."""
        await self.show(replace(self.view, hidden=terms, invert=True))

    def select(self, kind: str, rows: list[dict[str, Any]]) -> None:
        """Take note of the rows that are selected."""
        self.kind, self.rows = kind, rows
        for watcher in self._of_rows:
            watcher()

    def tell_url(self) -> None:
        """Put page and view into the address bar, so that it can be shared."""
        query = "&".join(part for part in (f"page={quote(self.page)}", self.view.url()) if part)
        self.run(f"fk.place({json.dumps(query)})")

    def run(self, script: str) -> None:
        """Run a script of ours in the tab."""
        self.client.run_javascript(script)

    def complain(self, error: Exception | str) -> None:
        """Say what went wrong."""
        with self.client:
            ui.notify(
                safe(str(error)),
                type="negative",
                position="bottom",
                timeout=8000,
                close_button="Close",
                multi_line=True,
            )

    def say(self, text: str) -> None:
        """Say what was done."""
        with self.client:
            ui.notify(safe(text), position="bottom", timeout=2500)


def arguments(event: Any) -> dict[str, Any]:
    """What the browser sent with an event; hostile senders get an empty dict."""
    args = getattr(event, "args", None)
    return args if isinstance(args, dict) else {}


def terms_of(kind: str, row: dict[str, Any]) -> list[tuple[str, Term]]:
    """What can be hidden by a row of a table, with its words."""
    made: list[tuple[str, str]] = []
    if kind == "hosts":
        made.append((f"host {row.get('ip')}", f"host:{row.get('ip')}"))
    else:
        made += [(f"host {row.get(name)}", f"host:{row.get(name)}") for name in ("client_ip", "server_ip")]
        port = f"{row.get('server_port')}/{row.get('proto')}"
        made.append((f"port {port}", f"port:{port}"))
        made.append((f"all {row.get('proto')}", f"proto:{row.get('proto')}"))
        made.append(("client, server and port", f"talk:{row.get('client_ip')},{row.get('server_ip')},{port}"))
        ip = str(row.get("server_ip"))
        network = f"{ip.rsplit('.', 1)[0]}.0/24" if "." in ip else f"{ip}/64"
        made.append((f"network {network}", f"network:{network}"))
    if row.get("service"):
        made.append((f"protocol {row['service']}", f"service:{row['service']}"))
    if row.get("server_name"):
        domain = ".".join(str(row["server_name"]).split(".")[-2:])
        made.append((f"domain {domain}", f"domain:{domain}"))
    terms = []
    for words, text in made:
        try:
            terms.append((words, Term.parse(text)))
        except FlowkeepError:
            continue
    return terms
