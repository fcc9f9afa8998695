"""What the two ends of a flow said."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from nicegui import ui

from ...errors import FlowkeepError
from ...ops.transcript import TranscriptPlan
from ..api.flow import page_with, streams
from .tab import Tab, arguments

_ENCODINGS = [
    "utf-8",
    "latin-1",
    "utf-16-le",
    "utf-16-be",
    "cp1252",
    "cp037",
    "cp437",
    "shift_jis",
    "gb18030",
    "koi8-r",
]
_STEP = 1 << 16


class Transcript:
    """A flow as text or bytes, in the colours of client and server; page by page."""

    def __init__(self, tab: Tab) -> None:
        """Draw it, empty."""
        self.tab, self.flow, self.begin, self.next = tab, -1, 0, None
        self.wanted = ""
        with ui.column().classes("fk-fill gap-0"):
            with ui.row().classes("w-full items-center gap-2 px-2 no-wrap"):
                self.title = ui.label("").classes("fk-hint fk-num").props("role=status aria-live=polite")
                self.title.style("white-space: nowrap")
                ui.space()
                self.find = ui.input(placeholder="Search in it").props(
                    'dense outlined clearable aria-label="Search in the transcript"'
                )
                self.find.classes("fk-small").style("width: 190px")
                self.find.on(
                    "keydown.enter",
                    self.searched,
                    js_handler="(e) => emit([e.target.value, e.shiftKey ? -1 : 1])",
                )
                self.find.on("clear", self.searched, js_handler="() => emit(['', 1])")
                self.found = (
                    ui.label("").classes("fk-hint fk-num").props("role=status aria-live=polite").mark("found")
                )
                self.show = ui.toggle(["text", "hex"], value="text", on_change=self.again).props(
                    "dense no-caps unelevated toggle-text-color=white"
                )
                self.show.classes("fk-solid")
                self.encoding = ui.select(_ENCODINGS, value="utf-8", on_change=self.load).props(
                    'dense outlined options-dense aria-label="Encoding"'
                )
                self.encoding.classes("fk-small")
                # A select takes its name from what its label holds.
                self.encoding.add_slot("prepend", '<span class="fk-away">Encoding</span>')
                self.decode = ui.checkbox("decode HTTP", on_change=self.again).props("dense")
                self.earlier = ui.button(icon="chevron_left", on_click=self.page_back).props(
                    'flat dense aria-label="Earlier bytes"'
                )
                self.later = ui.button(icon="chevron_right", on_click=self.page_on).props(
                    'flat dense aria-label="Later bytes"'
                )
                with (
                    ui.button(icon="save").props('flat dense aria-label="Save"'),
                    ui.menu().props("role=menu").classes("fk-menu"),
                ):
                    for end in ("client", "server"):
                        ui.menu_item(f"Save {end} bytes", on_click=lambda end=end: self.save(end)).props(
                            "dense role=menuitem"
                        )
            self.box = (
                ui.element("div")
                .classes("fk-transcript w-full grow")
                .props('tabindex=0 role=log aria-label="Transcript"')
                .mark("transcript")
            )
            with self.box:
                ui.label("Double-click a flow, or press F, to read what its two ends said.").classes(
                    "fk-hint"
                )
        ui.on("fk-transcript", self.loaded)
        ui.on("fk-found", self.stepped)

    def follow(self, flow: int) -> None:
        """Show this flow from its begin."""
        self.flow, self.begin, self.next = flow, 0, None
        self.title.set_text(f"flow {flow}")
        self.found.set_text("")
        self.load()

    def load(self) -> None:
        """Ask for what is to be shown."""
        if self.flow < 0:
            return
        wanted = {"show": self.show.value, "encoding": self.encoding.value,
                  "decode": "true" if self.decode.value else "false",
                  "begin": str(self.begin), "size": str(_STEP)}  # fmt: skip
        said = ", ".join(json.dumps(each) for each in (self.box.html_id, self.flow, wanted, self.wanted))
        self.tab.run(f"fk.transcript({said})")

    def searched(self, event: Any) -> None:
        """Return in the field: the next place of the text, with Shift the one before."""
        args = event.args if isinstance(event.args, list) and len(event.args) == 2 else ["", 1]
        self.wanted = str(args[0] or "")[:200]
        by = -1 if args[1] == -1 else 1
        self.tab.run(f"fk.find('{self.box.html_id}', {json.dumps(self.wanted)}, {by})")

    async def stepped(self, event: Any) -> None:
        """The browser found a place in this page, or wants another page."""
        args = arguments(event)
        at, of, beyond = (int(args.get(name) or 0) for name in ("at", "of", "beyond"))
        if not self.wanted:
            self.found.set_text("")
        elif not beyond:
            self.found.set_text(f"{at} of {of} here")
        else:
            await self._elsewhere(beyond)

    async def _elsewhere(self, by: int) -> None:
        """Search the pages behind this one, or before it."""
        table = self.tab.library.table
        if table is None or self.flow < 0:
            return
        self.found.set_text("searching …")
        flow, begin = self.flow, self.begin
        plan = TranscriptPlan(
            view=self.show.value, encoding=self.encoding.value, decode=bool(self.decode.value),
            begin=begin, size=_STEP,
        )  # fmt: skip
        try:
            stream = await asyncio.to_thread(lambda: streams.of(self.tab.library, table, flow, "first"))
            page = await asyncio.to_thread(lambda: page_with(stream, plan, self.wanted, by))
        except (FlowkeepError, OSError) as error:
            self.found.set_text("")
            self.tab.complain(error)
            return
        if (self.flow, self.begin) != (flow, begin):
            return
        if page is None:
            self.found.set_text("no further place")
            return
        self.begin = page
        self.load()

    def again(self) -> None:
        """From the begin."""
        self.begin = 0
        self.load()

    def loaded(self, event: Any) -> None:
        """The browser has it."""
        args = arguments(event)
        if args.get("flow") != self.flow:
            return
        self.next = args.get("next")
        whole = int(args.get("bytes") or 0)
        end = min(self.begin + _STEP, whole)
        self.title.set_text(
            f"flow {self.flow}: bytes {self.begin:,} to {end:,} of {whole:,}"
            if whole
            else f"flow {self.flow}: no data"
        )
        self.earlier.set_enabled(self.begin > 0)
        self.later.set_enabled(self.next is not None)

    def page_on(self) -> None:
        """Further bytes."""
        if isinstance(self.next, int):
            self.begin = self.next
            self.load()

    def page_back(self) -> None:
        """Bytes before."""
        self.begin = max(0, self.begin - _STEP)
        self.load()

    def save(self, direction: str) -> None:
        """The bytes of one end as a file."""
        if self.flow >= 0:
            self.tab.run(f"fk.save('/api/flows/{self.flow}/stream/{direction}')")
