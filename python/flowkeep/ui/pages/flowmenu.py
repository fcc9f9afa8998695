"""What can be done with a row: the menu of the right mouse button, and the capture icon."""

from __future__ import annotations

import json
from typing import Any

from nicegui import app, ui

from .. import copying
from ..api.take import Grants
from ..view import flow_term
from .tab import Tab, arguments, terms_of

_MOST_CARRIED = 100_000


class RowMenu:
    """The menu of a row."""

    def __init__(self, tab: Tab, follow: Any) -> None:
        """``follow``: called with a flow_id."""
        self.tab, self.follow = tab, follow
        self.anchor = ui.element("div").style("position: fixed; width: 0; height: 0; left: 0; top: 0")
        with self.anchor:
            self.menu = ui.menu().props("no-parent-event").mark("row-menu")
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
        self.menu.clear()
        with self.menu:
            if kind == "flows":
                ui.menu_item("Follow", on_click=lambda: self.follow(int(row["flow_id"]))).props("dense")
            else:
                ui.menu_item("Show its flows", on_click=lambda: self._flows_of(kind, row)).props("dense")
            ui.separator()
            for words, term in terms_of(kind, row):
                ui.menu_item(f"Hide {words}", on_click=lambda term=term: tab.hide(term)).props("dense")
            if kind == "flows":
                ids = [int(r["flow_id"]) for r in tab.rows if tab.kind == "flows"] or [int(row["flow_id"])]
                some = "this flow" if len(ids) == 1 else f"these {len(ids):,} flows"
                ui.menu_item(f"Hide {some}", on_click=lambda: tab.hide(flow_term(ids))).props("dense")
                ui.menu_item(f"Show {some} alone", on_click=lambda: tab.only(flow_term(ids))).props("dense")
                ui.separator()
                wanted = ",".join(map(str, ids))
                ui.menu_item(
                    f"Save packets of {some}",
                    on_click=lambda: tab.run(f"fk.save('/api/extract?flow={wanted}')"),
                ).props("dense")
                ui.separator()
                for words, text in (
                    ("as tcpdump filter", copying.bpf(row)), ("as Wireshark filter", copying.wireshark(row)),
                    ("as fields of Zeek", copying.zeek(row)), ("as text", copying.text(row)),
                    ("Community ID", row.get("community_id") or ""),
                ):  # fmt: skip
                    if text:
                        ui.menu_item(f"Copy {words}", on_click=lambda text=text: self._copy(str(text))).props(
                            "dense"
                        )
        self.menu.open()

    async def _flows_of(self, kind: str, row: dict[str, Any]) -> None:
        terms = terms_of(kind, row)
        wanted = terms[0][1] if kind == "hosts" else next(t for w, t in terms if w.startswith("client,"))
        await self.tab.only(wanted)
        self.tab.run("emitEvent('fk-key', '2')")

    def _copy(self, text: str) -> None:
        self.tab.run(f"fk.copy({json.dumps(text)})")
        self.tab.say(f"copied: {text}")


class CaptureIcon:
    """Packets of the selection, or of all flows shown, to be dragged, saved or opened elsewhere."""

    def __init__(self, tab: Tab) -> None:
        """Draw it."""
        self.tab = tab
        with ui.button(icon="insert_drive_file").props(
            'flat dense draggable=true aria-label="Packets of the selection: drag, or click for more"'
        ).classes("fk-capture").mark("capture") as self.button:  # fmt: skip
            self.button.on("dragstart", js_handler="(e) => fk.drag(e)")
            self.badge = ui.badge("all").props("floating")
            self.tip = ui.tooltip("")
            with ui.menu():
                ui.menu_item("Save as pcapng (E)", on_click=lambda: self.save("pcapng"))
                ui.menu_item("Save as pcap", on_click=lambda: self.save("pcap"))
                if app.state.open_with:
                    ui.menu_item(f"Open with {app.state.open_with[0]}", on_click=self.open_with)
                ui.menu_item("Copy link", on_click=self.copy_link)
        tab.watch_rows(self.refresh)

    def ids(self) -> list[int] | None:
        """The flows that are selected; None: all that are shown."""
        if self.tab.kind != "flows" or not self.tab.rows:
            return None
        return [int(row["flow_id"]) for row in self.tab.rows]

    def refresh(self) -> None:
        """Have a link ready before a drag begins."""
        ids, table = self.ids(), self.tab.library.table
        self.badge.set_text("all" if ids is None else f"{len(ids):,}")
        if table is None:
            return
        rows = table.choose(self.tab.view).rows if ids is None else None
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
            f"{len(chosen):,} flows: drag onto the desktop or a program (Windows, macOS), or click; "
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
        body: dict[str, Any] = {"flows": self.ids(), "view": {}}
        if body["flows"] is None:
            view: dict[str, Any] = {}
            for name, value in self.tab.view.query():
                view.setdefault(name, []).append(value)
            body["view"] = {name: values if name == "hide" else values[0] for name, values in view.items()}
        self.tab.run(
            "fk.ask('/api/extract/open', {method: 'POST', headers: {'content-type': 'application/json'}, "
            f"body: {json.dumps(json.dumps(body))}}}).catch(e => emitEvent('fk-error', e.message))"
        )
