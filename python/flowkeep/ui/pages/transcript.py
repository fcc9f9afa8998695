"""What the two ends of a flow said."""

from __future__ import annotations

import json
from typing import Any

from nicegui import ui

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
        with ui.column().classes("fk-fill gap-0"):
            with ui.row().classes("w-full items-center gap-2 px-2 no-wrap"):
                self.title = ui.label("Double-click a flow to follow it").classes("text-caption")
                ui.space()
                self.find = ui.input(placeholder="Search in it").props(
                    'dense outlined clearable aria-label="Search in the transcript"'
                )
                self.find.on("keydown.enter", self.load)
                self.find.on("clear", self.load)
                self.show = ui.toggle(["text", "hex"], value="text", on_change=self.again).props(
                    "dense no-caps"
                )
                self.encoding = ui.select(_ENCODINGS, value="utf-8", on_change=self.load).props(
                    'dense outlined options-dense aria-label="Encoding"'
                )
                self.decode = ui.checkbox("decode HTTP", on_change=self.again).props("dense")
                self.earlier = ui.button(icon="chevron_left", on_click=self.page_back).props(
                    'flat dense aria-label="Earlier bytes"'
                )
                self.later = ui.button(icon="chevron_right", on_click=self.page_on).props(
                    'flat dense aria-label="Later bytes"'
                )
                with ui.button(icon="save").props('flat dense aria-label="Save"'), ui.menu():
                    ui.menu_item("Save client bytes", on_click=lambda: self.save("client"))
                    ui.menu_item("Save server bytes", on_click=lambda: self.save("server"))
            self.box = (
                ui.element("div")
                .classes("fk-transcript w-full grow")
                .props('tabindex=0 role=log aria-label="Transcript"')
                .mark("transcript")
            )
        ui.on("fk-transcript", self.loaded)

    def follow(self, flow: int) -> None:
        """Show this flow from its begin."""
        self.flow, self.begin, self.next = flow, 0, None
        self.title.set_text(f"flow {flow}")
        self.load()

    def load(self) -> None:
        """Ask for what is to be shown."""
        if self.flow < 0:
            return
        wanted = {"show": self.show.value, "encoding": self.encoding.value,
                  "decode": "true" if self.decode.value else "false",
                  "begin": str(self.begin), "size": str(_STEP), "find": self.find.value or ""}  # fmt: skip
        self.tab.run(f"fk.transcript('{self.box.html_id}', {self.flow}, {json.dumps(wanted)})")

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
