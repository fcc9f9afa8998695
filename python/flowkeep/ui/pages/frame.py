"""The page: header, filter bar, and a panel for each way to look at the captures."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from nicegui import ui

from ...errors import FlowkeepError
from ...units import size
from ..library import Library
from ..view import View
from .about import Anomalies, Details
from .archive import Cache, Retain
from .charts import Protocols, Timeline, WhatIf
from .files import Files
from .filterbar import FilterBar
from .flowmenu import CaptureIcon, RowMenu
from .grid import Grid
from .tab import Tab, arguments
from .transcript import Transcript

PAGES = ("Files", "Flows", "Hosts", "Services", "Protocols", "Timeline", "Trim", "Cache", "Retain")
_KEYS = (
    ("/", "keyword filter"), ("B", "filter as tcpdump"), ("S", "SQL filter"), ("I", "invert hiding"),
    ("H", "hide the selected flows"), ("F, Enter", "follow the selected flow"), ("U, Ctrl+Z", "undo"),
    ("Ctrl+Shift+Z", "redo"), ("E", "save packets"), ("1 to 9", "pages"), ("?", "this list"),
    ("arrows, Space", "move and select in a table"), ("Esc", "leave a field"),
)  # fmt: skip


def register(library: Library) -> None:
    """Make the page known."""

    @ui.page("/", title="flowkeep")
    def main(request: Request) -> None:
        ui.add_head_html(
            '<link rel="stylesheet" href="/static/flowkeep.css"><script src="/static/flowkeep.js"></script>'
        )
        problem = ""
        try:
            view = View.parse(request.query_params)
        except FlowkeepError as error:
            view, problem = View(), str(error)
        page = request.query_params.get("page", "")
        tab = Tab(library, view, page if page in PAGES else "Flows" if library.found.captures else "Files")
        _Page(tab)
        if problem:
            tab.complain(problem)


class _Page:
    def __init__(self, tab: Tab) -> None:
        self.tab, self.version, self.below = tab, -1, "Transcript"
        dark = ui.dark_mode(None)
        with ui.header().classes("items-center gap-2 px-3 py-0 no-wrap").style("height: 44px"):
            ui.label("flowkeep").classes("text-h6")
            with ui.tabs(on_change=self.turned).props("dense inline-label no-caps") as self.tabs:
                for page in PAGES:
                    ui.tab(page)
            ui.space()
            with ui.row().classes("items-center gap-2 no-wrap") as self.busy:
                self.what = ui.label("").classes("text-caption")
                self.progress = (
                    ui.linear_progress(0, show_value=False)
                    .style("width: 130px")
                    .props("instant-feedback color=white")
                )
                ui.button(icon="cancel", on_click=self.cancel).props(
                    'flat dense color=white aria-label="Stop reading"'
                )
            ui.button("UTC", on_click=self.clock).props("flat dense no-caps color=white").tooltip(
                "Times in UTC or local"
            ).mark("clock")
            ui.button(icon="dark_mode", on_click=lambda: dark.set_value(not dark.value)).props(
                'flat dense color=white aria-label="Dark or light"'
            )
            ui.button(icon="help_outline", on_click=self.keys).props(
                'flat dense color=white aria-label="Keys"'
            )
        self.bar = FilterBar(tab)
        with ui.row().classes("w-full items-center px-2 no-wrap gap-1"):
            self.shown = ui.label("").classes("text-caption fk-mono fk-shown")
            ui.space()
            self.icon = CaptureIcon(tab)
            self.tools = ui.row().classes("gap-1")
        with (
            ui.tab_panels(self.tabs, value=tab.page, animated=False)
            .props("keep-alive")
            .classes("w-full grow")
            .style("min-height: 0")
        ):
            with ui.tab_panel("Files").classes("p-0"):
                self.files = Files(tab)
            with (
                ui.tab_panel("Flows").classes("p-0 fk-fill"),
                ui.splitter(horizontal=True, value=62).classes("fk-fill") as split,
            ):
                with split.before:
                    self.grid = Grid("flows", tab.view.sort)
                with split.after, ui.row().classes("fk-fill no-wrap gap-0"):
                    with ui.tabs(on_change=self.below_turned).props("vertical dense no-caps") as below:
                        for name in ("Transcript", "Anomalies", "Details"):
                            ui.tab(name)
                    with (
                        ui.tab_panels(below, value="Transcript", animated=False)
                        .props("keep-alive")
                        .classes("fk-fill")
                    ):
                        with ui.tab_panel("Transcript").classes("p-0 fk-fill"):
                            self.transcript = Transcript(tab)
                        with ui.tab_panel("Anomalies").classes("p-0 fk-fill"):
                            self.anomalies = Anomalies(tab)
                        with ui.tab_panel("Details").classes("p-0 fk-fill"):
                            self.details = Details(tab)
            with ui.tab_panel("Hosts").classes("p-0 fk-fill"):
                Grid("hosts")
            with ui.tab_panel("Services").classes("p-0 fk-fill"):
                Grid("services")
            self.lazy = {}
            for kind in (Protocols, Timeline, WhatIf):
                with ui.tab_panel(kind.name).classes("p-0 fk-fill"):
                    self.lazy[kind.name] = kind(tab)
            for name, service in (("Cache", Cache), ("Retain", Retain)):
                with ui.tab_panel(name).classes("p-0 fk-fill"):
                    service(tab)
        with self.tools:
            self.grid.columns_menu()
        RowMenu(tab, self.follow_flow)
        ui.on("fk-selected", self.selected)
        ui.on("fk-follow", self.follow)
        ui.on("fk-shown", self.told)
        ui.on("fk-error", lambda e: tab.complain(str(e.args)[:2000]))
        ui.on("fk-key", self.key)
        ui.timer(0.4, self.look)

    async def turned(self, event: Any) -> None:
        self.tab.page = str(event.value)
        self.tab.tell_url()
        if self.tab.page in self.lazy:
            await self.lazy[self.tab.page].look()

    def selected(self, event: Any) -> None:
        args = arguments(event)
        rows = args.get("rows")
        if isinstance(rows, list) and args.get("kind") in ("flows", "hosts", "services"):
            self.tab.select(str(args["kind"]), [row for row in rows if isinstance(row, dict)])

    async def follow(self, event: Any) -> None:
        args = arguments(event)
        row = args.get("row")
        if args.get("kind") == "flows" and isinstance(row, dict):
            await self.follow_flow(int(row["flow_id"]))

    async def follow_flow(self, flow: int) -> None:
        """Show what it said, what is odd about it, and all that is known of it."""
        self.transcript.follow(flow)
        self.details.look(flow)
        if self.below == "Anomalies":
            await self.anomalies.look(flow)

    async def below_turned(self, event: Any) -> None:
        self.below = str(event.value)
        if self.below == "Anomalies":
            await self.anomalies.look(self.transcript.flow)
        elif self.below == "Transcript":
            self.transcript.load()  # what was asked for while it was not there came to nothing

    def told(self, event: Any) -> None:
        args = arguments(event)
        steps = [step for step in args.get("steps") or [] if isinstance(step, dict)]
        self.bar.left(steps)
        if steps:
            self.shown.set_text(
                f"{int(steps[-1]['rows']):,} of {int(steps[0]['rows']):,} flows, "
                f"{size(float(steps[-1]['bytes']))}"
            )

    async def look(self) -> None:
        """How far reading is; another table means new rows."""
        library = self.tab.library
        reading = library.reading
        self.busy.set_visibility(reading.state != "idle")
        if reading.state != "idle":
            self.what.set_text("reading" if reading.state == "reading" else "names and details")
            self.progress.set_value(min(1.0, reading.done / reading.total) if reading.total > 0 else 0)
        if self.version != library.version:
            self.version = library.version
            self.files.refresh()
            await self.tab.show(self.tab.view, remember=False)
        if reading.error:
            self.tab.complain(reading.error)
            reading.error = ""

    def cancel(self) -> None:
        self.tab.library.cancel()

    def clock(self, event: Any) -> None:
        utc = event.sender.text == "Local"
        event.sender.set_text("UTC" if utc else "Local")
        self.tab.run(f"fk.state.utc = {str(utc).lower()}; fk.redraw()")

    def keys(self) -> None:
        with ui.dialog() as dialog, ui.card():
            ui.label("Keys").classes("text-h6")
            with ui.grid(columns=2).classes("gap-x-6 gap-y-1"):
                for key, what in _KEYS:
                    ui.label(key).classes("fk-mono")
                    ui.label(what)
        dialog.open()

    async def key(self, event: Any) -> None:
        key, tab = str(event.args), self.tab
        if key == "i":
            await self.bar.invert()
        elif key in ("u", "ctrl+z"):
            await tab.back()
        elif key in ("ctrl+shift+z", "ctrl+y"):
            await tab.forth()
        elif key == "h" and tab.kind == "flows" and tab.rows:
            from ..view import flow_term

            await tab.hide(flow_term(int(row["flow_id"]) for row in tab.rows))
        elif key == "f" and tab.kind == "flows" and tab.rows:
            await self.follow_flow(int(tab.rows[0]["flow_id"]))
        elif key == "e":
            self.icon.save()
        elif key in ("?", "shift+?"):
            self.keys()
        elif key.isdigit() and int(key) <= len(PAGES):
            self.tabs.set_value(PAGES[int(key) - 1])
