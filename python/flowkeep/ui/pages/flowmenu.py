"""What can be done with a row: the menu of the right mouse button, and the capture icon."""

from __future__ import annotations

import html
import json
from functools import partial
from typing import Any

from nicegui import app, ui

from .. import copying
from ..api.take import Grants
from ..view import Term, flow_term
from .tab import Tab, arguments, terms_of

_MOST_CARRIED = 100_000


class RowMenu:
    """The menu of a row."""

    def __init__(self, tab: Tab, follow: Any) -> None:
        """``follow``: called with a flow_id."""
        self.tab, self.follow = tab, follow
        self.anchor = ui.element("div").style("position: fixed; width: 0; height: 0; left: 0; top: 0")
        with self.anchor:
            self.menu = ui.menu().props('no-parent-event role=menu aria-label="What to do with this row"')
            self.menu.classes("fk-menu").mark("row-menu")
        ui.on("fk-menu", self.open)

    def open(self, event: Any) -> None:
        """Where the mouse is."""
        args = arguments(event)
        row, kind = args.get("row"), str(args.get("kind"))
        if not isinstance(row, dict):
            return
        tab = self.tab
        x, y = (int(args.get(name) or 0) for name in ("x", "y"))
        self.anchor.style(f"left: {x}px; top: {y}px")
        rows = tab.rows if tab.kind == kind and tab.rows else [row]
        self.menu.clear()
        with self.menu:
            if kind == "flows":
                self._item("Follow", lambda: self.follow(int(row["flow_id"])), "F")
            else:
                self._item("Show its flows", lambda: self.flows_of(kind, row), "Enter")
            ui.separator()
            for words, terms in _together(kind, rows):
                self._hide(words, terms)
            if kind == "flows":
                self._of_flows(row, [int(each["flow_id"]) for each in rows])
            else:
                ui.separator()
                for name in ("ip",) if kind == "hosts" else ("client_ip", "server_ip"):
                    address = str(row.get(name))
                    self._item(f"Copy {address}", partial(self._copy, address))
        self.menu.open()

    def _item(self, words: str, do: Any, key: str = "") -> ui.menu_item:
        with ui.menu_item(words, on_click=do).props("dense role=menuitem") as item:
            if key:
                with ui.item_section().props("side"):
                    ui.label(key).classes("fk-hint")
        return item

    def _hide(self, words: str, terms: tuple[Term, ...]) -> None:
        async def alone() -> None:
            self.menu.close()
            await self.tab.only(*terms)

        with self._item(f"Hide {words}", lambda: self.tab.hide(*terms)), ui.item_section().props("side"):
            ui.button("only", color=None).props(
                f'flat dense no-caps size=sm padding="0 6px" aria-label="Show {html.escape(words)} alone"'
            ).on("click.stop", alone)

    def _of_flows(self, row: dict[str, Any], ids: list[int]) -> None:
        tab = self.tab
        some = "this flow" if len(ids) == 1 else f"these {len(ids):,} flows"
        self._hide(some, (flow_term(ids),))
        ui.separator()
        wanted = ",".join(map(str, ids))
        self._item(f"Save packets of {some}", lambda: tab.run(f"fk.save('/api/extract?flow={wanted}')"), "E")
        ui.separator()
        for words, text in (
            ("as tcpdump filter", copying.bpf(row)), ("as Wireshark filter", copying.wireshark(row)),
            ("as fields of Zeek", copying.zeek(row)), ("as text", copying.text(row)),
            ("Community ID", row.get("community_id") or ""),
        ):  # fmt: skip
            if text:
                self._item(f"Copy {words}", lambda text=text: self._copy(str(text)))

    async def flows_of(self, kind: str, row: dict[str, Any]) -> None:
        """Show the flows of a host or a service alone."""
        terms = terms_of(kind, row)
        wanted = terms[0][1] if kind == "hosts" else next(t for w, t in terms if w.startswith("client,"))
        await self.tab.only(wanted)
        self.tab.run("emitEvent('fk-key', '2')")

    def _copy(self, text: str) -> None:
        self.tab.run(f"fk.copy({json.dumps(text)})")
        self.tab.say(f"copied: {text}")


def _together(kind: str, rows: list[dict[str, Any]]) -> list[tuple[str, tuple[Term, ...]]]:
    """What can be hidden by some rows: one term by its words, several by their number."""
    kinds: dict[str, dict[Term, str]] = {}
    for row in rows[:_MOST_ROWS]:
        for words, term in terms_of(kind, row):
            # Of one row each term stands for itself: its client is no server.
            kinds.setdefault(str(term) if len(rows) == 1 else term.kind, {})[term] = words
    made = []
    for name, terms in kinds.items():
        if len(terms) == 1:
            made.append((next(iter(terms.values())), tuple(terms)))
        else:
            made.append((f"these {len(terms)} {_MANY[name]}", tuple(terms)))
    return made


_MOST_ROWS = 1000
_MANY = {"host": "hosts", "port": "ports", "proto": "transport protocols", "service": "protocols",
         "talk": "talks of client, server and port", "network": "networks", "domain": "domains"}  # fmt: skip


class CaptureIcon:
    """Packets of the selection, or of all flows shown, to be dragged, saved or opened elsewhere."""

    def __init__(self, tab: Tab) -> None:
        """Draw it."""
        self.tab = tab
        with ui.button(icon="insert_drive_file").props(
            "flat dense no-caps no-wrap draggable=true "
            'aria-label="Packets of the selection: drag, or open the menu"'
        ).classes("fk-capture").mark("capture") as self.button:  # fmt: skip
            self.button.on("dragstart", js_handler="(e) => fk.drag(e)")
            self.count = ui.label("all").classes("q-ml-xs")
            self.tip = ui.tooltip("").props('anchor="center left" self="center right"')
            with ui.menu().props('role=menu aria-label="Packets"').classes("fk-menu") as menu:
                menu.on("show", lambda: self.tip.run_method("hide"))
                self.of = ui.label("").classes("fk-title fk-hint")
                _entry("Save as pcapng (E)", lambda: self.save("pcapng"))
                _entry("Save as pcap", lambda: self.save("pcap"))
                if app.state.open_with:
                    _entry(f"Open with {app.state.open_with[0]}", self.open_with)
                if app.state.loopback:
                    _entry("Copy path of a file", self.copy_path)
                _entry("Copy link", self.copy_link)
        tab.watch_rows(self.refresh)

    def ids(self) -> list[int] | None:
        """The flows that are selected; None: all that are shown."""
        if self.tab.kind != "flows" or not self.tab.rows:
            return None
        return [int(row["flow_id"]) for row in self.tab.rows]

    def refresh(self) -> None:
        """Have a link ready before a drag begins."""
        ids, table = self.ids(), self.tab.library.table
        self.button.set_enabled(table is not None)
        if table is None:
            self.count.set_text("no packets")
            return
        rows = table.choose(self.tab.view).rows if ids is None else None
        many = len(rows) if rows is not None else len(ids or [])
        what = "1 flow" if many == 1 else f"{many:,} flows"
        self.count.set_text(f"all {what}" if ids is None and many != 1 else what)
        self.of.set_text(f"Packets of {what}, " + ("all that are shown" if ids is None else "selected"))
        if rows is not None and len(rows) > _MOST_CARRIED:
            self.tab.run("fk.carry('', '')")
            self.tip.set_text("Packets of all flows shown: click to save; too many flows to drag")
            return
        chosen = sorted(ids) if ids is not None else rows.to_list()  # type: ignore[union-attr]
        name = f"flow-{chosen[0]}.pcapng" if len(chosen) == 1 else f"{len(chosen)}-flows.pcapng"
        grants: Grants = app.state.grants
        key = grants.add(table.found, chosen, "pcapng", name)
        self.tab.run(f"fk.carry({json.dumps(f'/get/{key}/{name}')}, {json.dumps(name)})")
        self.tip.set_text(
            f"{what}: drag onto the desktop or a program (Windows, macOS), or click; "
            "Chromium on Linux hands over a link and no file"
        )

    def _query(self) -> str:
        ids = self.ids()
        return self.tab.view.url() if ids is None else f"flow={','.join(map(str, ids))}"

    def save(self, form: str = "pcapng") -> None:
        """A download."""
        self.tab.run(f"fk.save({json.dumps(f'/api/extract?form={form}&{self._query()}')})")

    def copy_link(self) -> None:
        """A link that a program can fetch for an hour."""
        self.tab.run("fk.state.link && fk.copy(fk.state.link.url)")
        self.tab.say("link copied: it lasts an hour")

    def open_with(self) -> None:
        """Start the program that was named."""
        self.tab.run(
            "fk.ask('/api/extract/open', {method: 'POST', headers: {'content-type': 'application/json'}, "
            f"body: {json.dumps(self._wanted())}}}).catch(fk.complain)"
        )

    def copy_path(self) -> None:
        """Write the packets into a file here, and copy its path."""
        self.tab.run(f"fk.keepFile({json.dumps(self._wanted())}).catch(fk.complain)")

    def _wanted(self) -> str:
        body: dict[str, Any] = {"flows": self.ids(), "view": {}}
        if body["flows"] is None:
            view: dict[str, Any] = {}
            for name, value in self.tab.view.query():
                view.setdefault(name, []).append(value)
            body["view"] = {name: values if name == "hide" else values[0] for name, values in view.items()}
        return json.dumps(body)


def _entry(words: str, do: Any) -> None:
    ui.menu_item(words, on_click=do).props("dense role=menuitem")
