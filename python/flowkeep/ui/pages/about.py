"""What is odd about the streams of a flow, and all that is known of it."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from ...errors import FlowkeepError
from ...units import count, duration, size
from ..api.flow import odd, streams
from ..columns import FLOWS
from ..table import plain
from .tab import Tab


class Anomalies:
    """Gaps, conflicting versions, resets and whatever else the assembler noticed."""

    def __init__(self, tab: Tab) -> None:
        """Draw it, empty."""
        self.tab, self.flow = tab, -1
        with ui.column().classes("fk-fill gap-0"):
            self.said = ui.label(
                "Double-click a flow, or press F, to see gaps, conflicts and resets of its streams."
            ).classes("fk-hint px-2 py-1")
            self.said.props("role=status aria-live=polite")
            self.table = ui.table(
                columns=[
                    {"name": "who", "label": "Sent by", "field": "who", "align": "left", "sortable": True},
                    {"name": "name", "label": "What", "field": "name", "align": "left", "sortable": True},
                    {"name": "offset", "label": "Offset", "field": "offset", "sortable": True,
                     ":format": "v => fk.format(v, 'count')", "classes": "fk-num"},
                    {"name": "length", "label": "Bytes", "field": "length", "sortable": True,
                     ":format": "v => fk.format(v, 'count')", "classes": "fk-num"},
                    {"name": "frame", "label": "Frame", "field": "frame", "sortable": True,
                     ":format": "v => fk.format(v, 'count')", "classes": "fk-num"},
                    {"name": "text", "label": "In words", "field": "text", "align": "left"},
                ],
                rows=[], row_key="n", pagination=0,
            ).props(
                'dense flat virtual-scroll hide-pagination hide-no-data'
            ).classes("w-full grow").mark("anomalies")  # fmt: skip

    async def look(self, flow: int) -> None:
        """Show those of this flow."""
        table = self.tab.library.table
        if table is None or flow < 0 or flow == self.flow:
            return
        self.flow = flow
        self.said.set_text(f"flow {flow}: reading …")
        try:
            stream = await asyncio.to_thread(lambda: streams.of(self.tab.library, table, flow, "first"))
            found: Any = await asyncio.to_thread(lambda: odd(stream))
        except (FlowkeepError, OSError) as error:
            self.said.set_text(str(error))
            self.table.rows = []
            self.table.update()
            return
        more = f"; {found['more']:,} more are not listed" if found["more"] else ""
        odd_ones = f"{count(len(found['rows']), 'thing')} to know" if found["rows"] else "nothing odd"
        self.said.set_text(
            f"flow {flow}: {found['client_bytes']:,} bytes from the client, {found['server_bytes']:,} from "
            f"the server; {odd_ones}{more}"
        )
        self.table.rows = [{**row, "n": n} for n, row in enumerate(found["rows"])]
        self.table.update()
        self.table.set_visibility(bool(found["rows"]))


class Details:
    """Every column of a flow."""

    def __init__(self, tab: Tab) -> None:
        """Draw it, empty."""
        self.tab = tab
        with ui.element("div").classes("fk-fill").style("overflow: auto"):
            self.box = ui.element("div").classes("p-2 fk-details").mark("details")
            with self.box:
                ui.label("Double-click a flow, or press F, to see all that is known of it.").classes(
                    "fk-hint"
                )

    def look(self, flow: int) -> None:
        """Show this flow."""
        table = self.tab.library.table
        if table is None or not 0 <= flow < len(table):
            return
        self.box.clear()
        with self.box:
            for name, value in plain(table.frame.slice(flow, 1))[0].items():
                if value is None or value == []:
                    continue
                shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
                with ui.element("div").classes("fk-detail"):
                    ui.label(name).classes("fk-hint")
                    ui.label({"True": "yes", "False": "no"}.get(shown) or _worded(name, shown)).classes(
                        "fk-mono"
                    )


_UNITS = {column.name: column.unit for column in FLOWS} | {"bytes": "bytes", "payload_bytes": "bytes"}


def _worded(name: str, text: str) -> str:
    """The exact value, and what people read beside it."""
    unit = _UNITS.get(name)
    if unit in ("bytes", "duration") and text.isdigit():
        human = size(int(text)) if unit == "bytes" else duration(int(text))
        exact = f"{int(text):,} {'bytes' if unit == 'bytes' else 'ns'}"
        return exact if human.removesuffix(" B") == text else f"{exact} ({human})"
    return f"{int(text):,}" if unit == "count" and text.isdigit() else text
