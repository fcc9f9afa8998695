"""The page: header, filter bar, and a panel for each way to look at the captures."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from nicegui import ui

from ...errors import FlowkeepError
from ..library import Library
from ..view import View, flow_term
from .about import Anomalies, Details
from .archive import Cache, Retain
from .charts import Lazy
from .files import Files
from .filterbar import FilterBar
from .flowmenu import CaptureIcon, RowMenu
from .grid import Grid
from .protocols import Protocols
from .tab import Tab, arguments, terms_of
from .timeline import Timeline
from .transcript import Transcript
from .whatif import WhatIf

PAGES = ("Files", "Flows", "Hosts", "Services", "Protocols", "Timeline", "Trim", "Cache", "Retain")
_SCRIPTS = ("flowkeep", "transcript", "keys", "complete")
_FILTERED = ("Flows", "Hosts", "Services", "Protocols", "Timeline")
"""Pages about what the filters leave."""
_KEYS = {
    "Filters": (
        ("B", "filter as tcpdump"), ("S", "SQL"), ("/", "keyword or /regex/"),
        ("↓ ↑", "choose a completion"), ("Return", "take it, apply the filter"), ("I", "invert hiding"),
        ("U, Ctrl+Z", "undo"), ("Ctrl+Shift+Z", "redo"), ("Esc", "leave field or menu"),
    ),
    "Rows": (
        ("↓ ↑ → ←", "move"), ("Space", "select, or not"), ("Shift+↓ ↑", "select more rows"),
        ("Esc", "select none"), ("F, Return", "follow it, or show its flows"),
        ("H", "hide the selected rows"), ("M", "menu of the row"), ("E", "save the packets"),
    ),
    "Pages": (
        ("1 to 9", "Files, Flows, Hosts …"), ("Return", "next place searched for"),
        ("Shift+Return", "the one before"), ("?", "this list"),
    ),
}  # fmt: skip


def register(library: Library) -> None:
    """Make the page known."""

    @ui.page("/", title="flowkeep")
    def main(request: Request) -> None:
        scripts = "".join(f'<script src="/static/{name}.js"></script>' for name in _SCRIPTS)
        ui.add_head_html(f'<link rel="stylesheet" href="/static/flowkeep.css">{scripts}')
        problem = ""
        try:
            view = View.parse(request.query_params)
        except FlowkeepError as error:
            view, problem = View(), str(error)
        page = request.query_params.get("page", "")
        tab = Tab(library, view, page if page in PAGES else "Flows" if library.found.captures else "Files")
        follow = request.query_params.get("follow", "")
        if follow.isascii() and follow.isdigit() and len(follow) < 10:
            tab.follow = int(follow)
        _Page(tab)
        if problem:
            tab.complain(problem)


class _Page:
    def __init__(self, tab: Tab) -> None:
        self.tab, self.version, self.below = tab, -1, "Transcript"
        with ui.header().classes("items-center gap-2 px-3 py-0 no-wrap").style("height: 40px"):
            ui.label("flowkeep").classes("fk-logo").props("role=heading aria-level=1")
            with ui.tabs(on_change=self.turned).props(
                'dense inline-label no-caps aria-label="Pages" indicator-color=purple-3'
            ) as self.tabs:
                for page in PAGES:
                    ui.tab(page)
            ui.space()
            with ui.row().classes("items-center gap-2 no-wrap") as self.busy:
                self.what = ui.label("").classes("text-caption").props("role=status aria-live=polite")
                self.progress = (
                    ui.linear_progress(0, show_value=False)
                    .style("width: 110px")
                    .props('instant-feedback color=white aria-label="Reading"')
                )
                ui.button(icon="cancel", on_click=self.cancel).props(
                    'flat dense color=white aria-label="Stop reading"'
                ).tooltip("Stop reading")
            self.clock = ui.button("UTC").props(
                'flat dense no-caps color=white aria-label="Times are UTC: show local times"'
            ).tooltip("Times in UTC or local").mark("clock")  # fmt: skip
            self.clock.on("click", js_handler="() => fk.clock()")
            ui.button(icon="dark_mode").props('flat dense color=white aria-label="Dark or light"').on(
                "click", js_handler="() => fk.dark()"
            ).tooltip("Dark or light")
            ui.button(icon="help_outline", on_click=self.keys).props(
                'flat dense color=white aria-label="Keys"'
            ).tooltip("Keys (?)")
        self.bar = FilterBar(tab)
        self.bar.visible(tab.page in _FILTERED)
        with self.bar.tools:
            self.icon = CaptureIcon(tab)
            self.tools = ui.row().classes("gap-0")
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
                    with (
                        ui.tabs(on_change=self.below_turned)
                        .props('vertical dense no-caps aria-label="About the flow"')
                        .classes("fk-below") as below
                    ):
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
            self.grids = {"flows": self.grid}
            for kind in ("hosts", "services"):
                with ui.tab_panel(kind.capitalize()).classes("p-0 fk-fill"):
                    self.grids[kind] = Grid(kind)
            self.lazy: dict[str, Lazy] = {}
            for made in (Protocols, Timeline, WhatIf):
                with ui.tab_panel(made.name).classes("p-0 fk-fill"):
                    self.lazy[made.name] = made(tab)
            for name, service in (("Cache", Cache), ("Retain", Retain)):
                with ui.tab_panel(name).classes("p-0 fk-fill"):
                    service(tab)
        with self.tools:
            for grid in self.grids.values():
                grid.columns_menu()
        self.menu = RowMenu(tab, self.follow_flow)
        tab.watch_manners(self.manners)
        ui.on("fk-manners", self.greeted)
        ui.on("fk-columns", self.columns)
        ui.on("fk-selected", self.selected)
        ui.on("fk-follow", self.follow)
        ui.on("fk-shown", self.told)
        ui.on("fk-error", lambda e: tab.complain(str(e.args)[:2000]))
        ui.on("fk-said", lambda e: tab.say(str(e.args)[:2000]))
        ui.on("fk-key", self.key)
        ui.timer(0.4, self.look)

    async def turned(self, event: Any) -> None:
        self.tab.page = str(event.value)
        self.tab.tell_url()
        self.bar.visible(self.tab.page in _FILTERED)
        self.show_tools()
        if self.tab.page in self.lazy:
            await self.lazy[self.tab.page].look()

    def show_tools(self) -> None:
        for kind, grid in self.grids.items():
            grid.button.set_visibility(kind.capitalize() == self.tab.page)

    def greeted(self, event: Any) -> None:
        args = arguments(event)
        self.tab.behave(dark=args.get("dark") is True, utc=args.get("utc") is not False)

    def manners(self) -> None:
        now, other = ("UTC", "local") if self.tab.utc else ("Local", "UTC")
        self.clock.set_text(now)
        self.clock.props(f'aria-label="Times are {now}: show {other} times"')

    def columns(self, event: Any) -> None:
        args = arguments(event)
        shown = args.get("shown")
        if str(args.get("kind")) in self.grids and isinstance(shown, list):
            self.grids[str(args["kind"])].has([str(name) for name in shown])

    def selected(self, event: Any) -> None:
        args = arguments(event)
        rows = args.get("rows")
        if isinstance(rows, list) and args.get("kind") in ("flows", "hosts", "services"):
            self.tab.select(str(args["kind"]), [row for row in rows if isinstance(row, dict)])

    async def follow(self, event: Any) -> None:
        args = arguments(event)
        row, kind = args.get("row"), args.get("kind")
        if not isinstance(row, dict):
            return
        if kind == "flows":
            await self.follow_flow(int(row["flow_id"]))
        elif kind in ("hosts", "services"):
            await self.menu.flows_of(str(kind), row)

    async def follow_flow(self, flow: int) -> None:
        """Show what it said, what is odd about it, and all that is known of it."""
        self.tab.follow = flow
        self.tab.tell_url()
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
        self.tab.sorted(str(args.get("sort") or ""))

    async def look(self) -> None:
        """How far reading is; another table means new rows."""
        library = self.tab.library
        reading = library.reading
        self.busy.set_visibility(reading.state != "idle")
        if reading.state != "idle":
            share = min(1.0, reading.done / reading.total) if reading.total > 0 else 0
            words = "reading" if reading.state == "reading" else "names and details"
            self.what.set_text(f"{words}, {10 * int(10 * share)} %")
            self.progress.set_value(share)
        if self.version == -1:
            self.tab.run("fk.theme()")
            self.show_tools()
        if self.version != library.version:
            first = self.version == -1
            self.version = library.version
            self.files.refresh()
            if not await self.tab.show(self.tab.view, remember=False):
                await self.tab.show(View(), remember=False)  # of a link that means nothing here
            if not first:
                self.tab.follow = -1  # flows of another table have other numbers
            elif self.tab.follow >= 0 and library.table is not None:
                await self.follow_flow(self.tab.follow)
        if reading.error:
            self.tab.complain(reading.error)
            reading.error = ""

    def cancel(self) -> None:
        self.tab.library.cancel()

    def keys(self) -> None:
        with (
            ui.dialog() as dialog,
            ui.card().props('role=document aria-label="Keys"').style("max-width: 1000px"),
        ):
            with ui.row().classes("w-full items-center"):
                ui.label("Keys").classes("text-h6")
                ui.space()
                ui.button(icon="close", on_click=dialog.close).props('flat dense aria-label="Close"')
            with ui.row().classes("gap-8 items-start no-wrap"):
                for group, keys in _KEYS.items():
                    with ui.column().classes("gap-1"):
                        ui.label(group).classes("text-subtitle2")
                        with ui.grid(columns="auto auto").classes("gap-x-4 gap-y-1 items-center"):
                            for key, what in keys:
                                ui.label(key).classes("fk-mono fk-key").style("justify-self: start")
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
        elif key == "h" and tab.rows:
            if tab.kind == "flows":
                await tab.hide(flow_term(int(row["flow_id"]) for row in tab.rows))
            else:
                of = "host:" if tab.kind == "hosts" else "talk:"
                terms = (term for row in tab.rows for _, term in terms_of(tab.kind, row))
                await tab.hide(*(term for term in terms if str(term).startswith(of)))
        elif key == "f" and tab.rows:
            if tab.kind == "flows":
                await self.follow_flow(int(tab.rows[0]["flow_id"]))
            else:
                await self.menu.flows_of(tab.kind, tab.rows[0])
        elif key == "e":
            self.icon.save()
        elif key in ("?", "shift+?"):
            self.keys()
        elif key.isdigit() and int(key) <= len(PAGES):
            self.tabs.set_value(PAGES[int(key) - 1])
