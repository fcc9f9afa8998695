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
from ..view import Sort, Term, View

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
        self.follow = -1
        """The flow that is followed; -1: none."""
        self.dark, self.utc = False, True
        """How the page is shown, as the browser keeps it."""
        self.client = context.client
        self._of_view: list[Callable[[], Any]] = []
        self._of_rows: list[Callable[[], Any]] = []
        self._of_manners: list[Callable[[], Any]] = []

    def watch_view(self, watcher: Callable[[], Any]) -> None:
        """Call this when the view has changed."""
        self._of_view.append(watcher)

    def watch_rows(self, watcher: Callable[[], Any]) -> None:
        """Call this when the view or the selection has changed."""
        self._of_rows.append(watcher)

    def watch_manners(self, watcher: Callable[[], Any]) -> None:
        """Call this when the page is to look otherwise."""
        self._of_manners.append(watcher)

    def behave(self, *, dark: bool, utc: bool) -> None:
        """Take note of how the page is shown."""
        if (dark, utc) != (self.dark, self.utc):
            self.dark, self.utc = dark, utc
            for watcher in self._of_manners:
                watcher()

    def sorted(self, text: str) -> None:
        """Take note of the order of the flows."""
        sort = Sort.parse(text) if text else None
        if sort != self.view.sort:
            self.view = replace(self.view, sort=sort)
            self.tell_url()

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
        self.run(f"fk.look({json.dumps(replace(view, sort=None).url())}, {json.dumps(table is not None)})")
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

    async def narrow(self, where: str) -> None:
        """Add a condition in SQL."""
        before = f"({self.view.where}) AND " if self.view.where else ""
        await self.show(replace(self.view, where=f"{before}{where}"))

    def select(self, kind: str, rows: list[dict[str, Any]]) -> None:
        """Take note of the rows that are selected."""
        self.kind, self.rows = kind, rows
        for watcher in self._of_rows:
            watcher()

    def tell_url(self) -> None:
        """Put page and view into the address bar, so that it can be shared."""
        follow = f"follow={self.follow}" if self.follow >= 0 else ""
        query = "&".join(part for part in (f"page={quote(self.page)}", follow, self.view.url()) if part)
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
    ends = ("ip",) if kind == "hosts" else ("client_ip", "server_ip")
    made = [(f"host {row.get(end)}", f"host:{row.get(end)}") for end in ends]
    if kind != "hosts":
        port = f"{row.get('server_port')}/{row.get('proto')}"
        made.append((f"port {port}", f"port:{port}"))
        made.append((f"all {row.get('proto')}", f"proto:{row.get('proto')}"))
        made.append(("client, server and port", f"talk:{row.get('client_ip')},{row.get('server_ip')},{port}"))
    if row.get("service"):
        made.append((f"protocol {row['service']}", f"service:{row['service']}"))
    for end in ends:
        network = _network(str(row.get(end)))
        made.append((f"network {network}", f"network:{network}"))
    made += [
        (f"domain {domain}", f"domain:{domain}") for domain in domains(str(row.get("server_name") or ""))
    ]
    terms: dict[Term, str] = {}
    for words, text in made:
        try:
            terms.setdefault(Term.parse(text), words)
        except FlowkeepError:
            continue
    return [(words, term) for term, words in terms.items()]


def _network(ip: str) -> str:
    return f"{ip}/64" if ":" in ip else f"{ip.rpartition('.')[0]}.0/24"


_REGISTRIES = {"ac", "co", "com", "edu", "gob", "gov", "mil", "ne", "net", "or", "org"}


def domains(name: str) -> list[str]:
    """A name and the domains it lies in, but for those under which others register theirs: ``co.uk``."""
    labels = name.strip(".").split(".")
    if len(labels) < 2 or labels[-1].isdigit() or ":" in name:
        return []
    least = 3 if len(labels[-1]) == 2 and labels[-2] in _REGISTRIES else 2
    return [".".join(labels[n:]) for n in range(max(0, len(labels) - least - 1), len(labels) - least + 1)]
