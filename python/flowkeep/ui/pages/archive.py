"""Pages of the services: a running cache, and the plan of a retention policy."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from ...errors import FlowkeepError
from ...ops.cache_status import cache_status
from ...units import duration, size
from ..api import archive
from .charts import Ink, draw
from .tab import Tab

_SOME = 5000
_POLICY = """
[dataset.sensor]
include = "captures/*.pcap*"

[[dataset.sensor.tier]]
after = "3d"
cutoff = "1MB"

[[dataset.sensor.tier]]
after = "30d"
cutoff = "10kB"

[[dataset.sensor.tier]]
after = "365d"
delete = true"""


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0


class Cache:
    """What a cache holds, and reading from it."""

    def __init__(self, tab: Tab) -> None:
        """Draw it, not connected."""
        self.tab, self.connected = tab, False
        with ui.column().classes("fk-fill p-3 gap-3").style("overflow: auto"):
            with ui.row().classes("w-full items-center gap-2 no-wrap"):
                self.socket = ui.input(placeholder="Socket of the cache; empty: the usual one").classes(
                    "grow fk-mono"
                )
                self.socket.props('dense outlined aria-label="Socket of the cache"')
                ui.button("Connect", on_click=self.connect).props("no-caps unelevated").classes(
                    "fk-solid"
                ).mark("connect")
            self.said = ui.label("not connected").classes("text-subtitle1").mark("cache-status")
            self.said.props("role=status aria-live=polite")
            with ui.element("div").classes("fk-card") as self.help:
                ui.label("The last days of traffic, in memory").classes("text-subtitle2")
                ui.label(
                    "A running cache keeps the start of every flow in a fixed amount of memory. Here you see "
                    "how full it is and how far it looks back, and read packets of it into the tables. "
                    "Start one with:"
                ).classes("fk-hint")
                ui.label("flowkeep cache run").classes("fk-mono q-mt-sm")
            with ui.row().classes("gap-6"):
                self.cards = ui.row().classes("gap-4")
            self.chart = ui.echart({"series": []}).classes("w-full").style("height: 260px")
            self.chart.props('role=img aria-label="Memory of the cache by the age of its packets"')
            with ui.row().classes("w-full items-center gap-2 no-wrap") as self.reading:
                self.filter = ui.input(placeholder="Packets, as tcpdump filters").classes("grow fk-mono")
                self.where = ui.input(placeholder="Flows, as SQL").classes("grow fk-mono")
                self.since = ui.input(placeholder="Since, such as 2h").classes("fk-mono")
                for field in (self.filter, self.where, self.since):
                    field.props("dense outlined clearable")
                    field.props(f'aria-label="{field.props["placeholder"]}"')
                ui.button("Read and open", icon="download", on_click=self.read).props(
                    "no-caps unelevated no-wrap"
                ).classes("fk-solid")
            self.reading.set_visibility(False)
        ui.timer(2.0, self.look)

    async def connect(self) -> None:
        """Ask for the status from now on."""
        self.connected = True
        await self.look(aloud=True)

    async def look(self, *, aloud: bool = False) -> None:
        """Show the status; a cache that is gone is left alone until one connects again."""
        if not self.connected or (self.tab.page != "Cache" and not aloud):
            return
        try:
            status = await asyncio.to_thread(cache_status, archive.place((self.socket.value or "").strip()))
        except (FlowkeepError, OSError) as error:
            self.connected = False
            self.reading.set_visibility(False)
            self.help.set_visibility(True)
            self.said.set_text(f"not connected: {error}")
            return
        self.reading.set_visibility(True)
        self.help.set_visibility(False)
        self.show(status["cache"])

    def show(self, status: dict[str, Any]) -> None:
        """Draw what the cache says."""
        used = _number((status.get("used") or {}).get("total"))
        oldest, newest = _number(status.get("oldest")), _number(status.get("newest"))
        back = duration(newest - oldest) if newest > oldest else "nothing yet"
        self.said.set_text(
            f"{size(used)} of {size(_number(status.get('bound')))} in use, {_number(status.get('flows')):,} "
            f"flows, looks back {back}"
        )
        self.cards.clear()
        with self.cards:
            for one in status.get("interfaces") or []:
                got = one.get("received") or {}
                with ui.card().props("flat bordered"):
                    ui.label(str(one.get("name"))).classes("fk-mono")
                    ui.label(f"{_number(got.get('packets')):,} packets, {size(_number(got.get('bytes')))}")
                    ui.label(f"{_number(one.get('dropped')):,} dropped").classes("text-caption")
        bands = [band for band in status.get("bands") or [] if isinstance(band, dict)]
        names = [
            f"older than {duration(_number(b.get('from')))}" if _number(b.get("from")) else "now"
            for b in bands
        ]
        ink = Ink(self.tab.dark)
        draw(self.chart, ink.chart(
            grid={"left": 90, "right": 30, "top": 36, "bottom": 40}, tooltip={"trigger": "axis"},
            xAxis=ink.axis(type="category", data=names),
            yAxis=ink.axis(type="value", axisLabel={":formatter": "v => fk.bytes(v)"}),
            series=[{
                "name": "memory by age", "type": "bar", "color": ink.first,
                "data": [_number(band.get("bytes")) for band in bands],
                "tooltip": {":valueFormatter": "v => fk.bytes(v)"},
            }],
        ))  # fmt: skip

    async def read(self) -> None:
        """Take packets out, and open them."""
        wanted = archive.FromCache(
            socket=(self.socket.value or "").strip(), filter=self.filter.value or "",
            where=self.where.value or "", since=self.since.value or "",
        )  # fmt: skip
        try:
            done = await asyncio.to_thread(archive.take, self.tab.library, wanted)
        except (FlowkeepError, OSError) as error:
            self.tab.complain(error)
            return
        lost = f"; {done['lost']:,} were let go before they were read" if done["lost"] else ""
        self.tab.say(f"{done['packets']:,} packets, {size(done['bytes'])}{lost}")


class Retain:
    """What a policy would do, and what will be."""

    def __init__(self, tab: Tab) -> None:
        """Draw it, empty."""
        self.tab = tab
        with ui.column().classes("fk-fill p-3 gap-2").style("overflow: auto"):
            with ui.row().classes("w-full items-center gap-2 no-wrap"):
                self.policy = (
                    ui.input(placeholder="Policy, a TOML file").classes("grow fk-mono").mark("policy")
                )
                self.policy.props('dense outlined aria-label="Policy"').on("keydown.enter", self.plan)
                ui.button("Plan", on_click=self.plan).props("no-caps unelevated").classes("fk-solid").mark(
                    "plan"
                )
                ui.button("Forecast", on_click=self.forecast).props("no-caps outline").mark("forecast")
            ui.label("Looks only: flowkeep retain apply carries a plan out.").classes("fk-hint")
            with ui.element("div").classes("fk-card") as self.help:
                ui.label("An archive that ages").classes("text-subtitle2")
                ui.label(
                    "A policy says what becomes of captures as they grow old: trimmed further in steps, at "
                    "last deleted. Plan lists what it would do to each file, and why; Forecast draws what "
                    "the archive will need. A policy is a TOML file such as:"
                ).classes("fk-hint")
                ui.label(_POLICY).classes("fk-mono").style("white-space: pre")
            self.sums = ui.column().classes("gap-0").mark("plan-sums")
            self.table = ui.table(
                columns=[
                    {"name": "dataset", "label": "Data set", "field": "dataset", "align": "left"},
                    {"name": "file", "label": "File", "field": "file", "align": "left", "sortable": True},
                    {"name": "action", "label": "What", "field": "action", "align": "left", "sortable": True},
                    {"name": "before", "label": "Before", "field": "before"},
                    {"name": "after", "label": "After", "field": "after"},
                    {"name": "reason", "label": "Why", "field": "reason", "align": "left"},
                ],
                rows=[], row_key="n", pagination=100,
            ).props("dense flat").classes("w-full")  # fmt: skip
            self.table.set_visibility(False)
            self.frame = ui.element("iframe").props('title="Forecast"').classes("w-full grow")
            self.frame.style("border: 0; min-height: 70vh").set_visibility(False)

    async def plan(self) -> None:
        """Show the decisions."""
        try:
            plans = await asyncio.to_thread(
                archive.planned, self.tab.library, (self.policy.value or "").strip()
            )
        except (FlowkeepError, OSError) as error:
            self.tab.complain(error)
            return
        rows = [{"dataset": one["dataset"], **d} for one in plans for d in one["decisions"]]
        self.table.rows = [
            {**row, "before": size(row["before"]), "after": size(row["after"]), "n": n}
            for n, row in enumerate(rows[:_SOME])
        ]
        self.table.update()
        self.sums.clear()
        with self.sums:
            for one in plans:
                room = "" if one["allowed"] is None else f", of {size(one['allowed'])} allowed"
                fits = "" if one["fits"] else "; it does not fit"
                ui.label(
                    f"{one['dataset']}: {size(one['before'])} would become {size(one['after'])}{room}{fits}"
                )
                for warning in one["warnings"][:20]:
                    ui.label(warning).classes("text-caption")
            if len(rows) > _SOME:
                ui.label(f"the first {_SOME:,} of {len(rows):,} files are listed").classes("text-caption")
        self.table.set_visibility(True)
        self.help.set_visibility(False)
        self.frame.set_visibility(False)

    def forecast(self) -> None:
        """Show the pictures."""
        query = urlencode({"policy": (self.policy.value or "").strip()})
        self.frame.props(f'src="/api/retain/forecast?{query}"')
        self.frame.set_visibility(True)
        self.help.set_visibility(False)
        self.table.set_visibility(False)
