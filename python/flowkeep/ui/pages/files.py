"""Captures: what is open, what lies in the folders, uploads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from nicegui import ui

from ...errors import FlowkeepError
from ...text import safe
from ...units import size
from ..api.files import listing, state
from .tab import Tab, arguments

_SOME = 1000
"""Entries of a folder that are shown."""


class Files:
    """The page of captures."""

    def __init__(self, tab: Tab) -> None:
        """Draw it."""
        self.tab = tab
        with ui.row().classes("w-full p-3 gap-6 items-start no-wrap"):
            with ui.column().classes("gap-2").style("flex: 2; min-width: 0"):
                ui.label("Open captures").classes("text-subtitle1")
                self.open = ui.table(
                    columns=[
                        {"name": "name", "label": "Name", "field": "name", "align": "left", "sortable": True},
                        {"name": "size", "label": "Size", "field": "size", "sortable": True,
                         "classes": "fk-num", ":format": "v => fk.bytes(v)"},
                        {"name": "packets", "label": "Packets", "field": "packets", "sortable": True,
                         "classes": "fk-num", ":format": "v => fk.format(v, 'count')"},
                        {"name": "is", "label": "", "field": "is", "align": "left"},
                    ],
                    rows=[], row_key="path", selection="multiple", pagination=0,
                ).props(
                    'dense flat bordered hide-pagination no-data-label="no capture is open"'
                )  # fmt: skip
                self.open.classes("w-full").mark("open-captures")
                box = '<q-checkbox v-model="props.selected" dense %s />'
                self.open.add_slot("header-selection", box % 'aria-label="Select all captures"')
                self.open.add_slot("body-selection", box % ':aria-label="`Select ${props.row.name}`"')
                with ui.row():
                    ui.button("Leave away", icon="close", on_click=self.leave).props("flat dense no-caps")
                with ui.row().classes("w-full items-center gap-2 no-wrap"):
                    self.path = (
                        ui.input(placeholder="Path of a capture, a folder, or a glob")
                        .props('dense outlined aria-label="Path of a capture, a folder, or a glob"')
                        .classes("grow fk-mono")
                        .mark("path")
                    )
                    self.path.on("keydown.enter", self.add)
                    ui.button("Add", icon="add", on_click=self.add).props(
                        "no-caps unelevated no-wrap"
                    ).classes("fk-solid").mark("add")
                with ui.element("div").classes("fk-drop w-full").mark("drop") as drop:
                    ui.label("Drop captures here, or").classes("fk-hint q-mb-xs")
                    self.picker = ui.element("input").props(
                        'type=file multiple aria-label="Captures to upload"'
                    )
                over = "e.currentTarget.classList"
                drop.on("dragover", js_handler=f"(e) => {{ e.preventDefault(); {over}.add('fk-over') }}")
                drop.on("dragleave", js_handler=f"(e) => {over}.remove('fk-over')")
                drop.on("drop", js_handler=f"(e) => {{ {over}.remove('fk-over'); fk.dropped(e) }}")
                self.picker.on("change", js_handler="(e) => fk.uploads([...e.target.files])")
                self.sent = ui.label("").classes("fk-hint").props("role=status aria-live=polite")
                self.notes = ui.column().classes("gap-0 fk-mono text-caption")
            with ui.column().classes("gap-1").style("flex: 1; min-width: 0"):
                ui.label("Folders").classes("text-subtitle1")
                self.where = ui.label("").classes("fk-mono text-caption")
                self.entries = ui.column().classes("gap-0 w-full").style("max-height: 65vh; overflow: auto")
        ui.on("fk-upload", self.uploading)
        ui.on("fk-uploaded", self.uploaded)
        ui.timer(0, self.browse, once=True)
        self.refresh()

    def refresh(self) -> None:
        """Show what is open."""
        now = state(self.tab.library)
        self.open.rows = [
            {"path": c["path"], "name": c["name"], "size": c["size"], "packets": c["packets"],
             "is": ", ".join(word for word in ("trimmed", "indexed") if c[word])} for c in now["captures"]
        ]  # fmt: skip
        self.open.update()
        self.notes.clear()
        with self.notes:
            for note in now["notes"]:
                ui.label(note)

    async def add(self) -> None:
        """Open what the field names."""
        path = (self.path.value or "").strip()
        if path and await self._open(path):
            self.path.set_value("")

    async def _open(self, path: str | Path) -> bool:
        try:
            await asyncio.to_thread(self.tab.library.open, [path])
        except (FlowkeepError, OSError) as error:
            self.tab.complain(str(error))
            return False
        self.refresh()
        return True

    async def leave(self) -> None:
        """Leave the selected captures away."""
        chosen = {row["path"] for row in self.open.selected}
        for capture in list(self.tab.library.found.captures):
            if str(capture.path) in chosen:
                await asyncio.to_thread(self.tab.library.close, os.fspath(capture.path))
        self.open.selected = []
        self.refresh()

    async def browse(self, folder: str | Path = "") -> None:
        """List a folder."""
        try:
            found = await asyncio.to_thread(listing, self.tab.library, str(folder))
        except (FlowkeepError, OSError) as error:
            self.tab.complain(str(error))
            return
        self.where.set_text(safe(found.folder))
        self.entries.clear()
        with self.entries:
            if found.above is not None:
                self._entry("..", "arrow_upward", partial(self.browse, found.above))
            for each in found.entries[:_SOME]:
                # The name that is shown is harmless; what is opened is the true one.
                if each.folder:
                    self._entry(each.name, "folder", partial(self.browse, each.path))
                else:
                    self._entry(each.name, "description", partial(self._open, each.path))
            if found.more or len(found.entries) > _SOME:
                ui.label("there are more: write the path").classes("text-caption")

    def _entry(self, name: str, icon: str, chosen: Callable[[], Awaitable[Any]]) -> None:
        ui.button(name, icon=icon, on_click=chosen).props("flat dense no-caps align=left")

    def uploading(self, event: Any) -> None:
        """An upload goes on."""
        args = arguments(event)
        self.sent.set_text(
            f"{safe(str(args.get('name')))}: {size(float(args.get('done') or 0))} of "
            f"{size(float(args.get('total') or 0))}"
        )

    def uploaded(self, event: Any) -> None:
        """An upload is over."""
        args = arguments(event)
        self.sent.set_text(f"{safe(str(args.get('name')))}: {safe(str(args.get('error') or 'uploaded'))}")
        self.refresh()
