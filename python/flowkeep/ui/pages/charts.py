"""What pages with pictures have in common."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from ...errors import FlowkeepError
from .tab import Tab


class Lazy:
    """A page that is made when it is looked at, and again when the view has changed."""

    name = ""

    def __init__(self, tab: Tab) -> None:
        """Nothing is drawn yet."""
        self.tab, self.stale = tab, True
        tab.watch_view(self.changed)
        tab.watch_manners(self.redraw)

    def changed(self) -> None:
        """The view is another one."""
        self.redraw()

    def redraw(self) -> None:
        """What is drawn does not fit any more: at once, if somebody looks."""
        self.stale = True
        if self.tab.page == self.name:
            with self.tab.client:
                ui.timer(0, self.look, once=True)

    async def look(self) -> None:
        """Make it, if it is not of this view."""
        if not self.stale:
            return
        if self.tab.library.table is None:
            self.empty()
            return
        self.stale = False
        try:
            await self.make()
        except (FlowkeepError, OSError) as error:
            self.tab.complain(error)

    async def make(self) -> None:
        """Draw."""
        raise NotImplementedError

    def empty(self) -> None:
        """No capture is open."""


class Ink:
    """The colours of a chart: ECharts does not follow the theme of the page."""

    def __init__(self, dark: bool) -> None:
        """For a dark page, or a light one."""
        self.text = "#d5d9e0" if dark else "#333b47"
        self.line = "#3d434d" if dark else "#e1e5ea"
        self.back = "#262b33" if dark else "#ffffff"
        self.first = "#b48af0" if dark else "#7b3fb5"
        self.second = "#4cc2ae" if dark else "#147567"
        self.client = "#ff9d94" if dark else "#b3261e"
        self.server = "#8fc2ff" if dark else "#1257a8"

    def axis(self, **more: Any) -> dict[str, Any]:
        """An axis; what is given beside stays."""
        label = {"color": self.text, **more.pop("axisLabel", {})}
        return {
            "axisLabel": label, "nameTextStyle": {"color": self.text},
            "axisLine": {"lineStyle": {"color": self.text}},
            "splitLine": {"lineStyle": {"color": self.line}}, **more,
        }  # fmt: skip

    def chart(self, **more: Any) -> dict[str, Any]:
        """A chart without movement, with legend and tooltip to be read."""
        tooltip = {"backgroundColor": self.back, "borderColor": self.line, "textStyle": {"color": self.text},
                   **more.pop("tooltip", {})}  # fmt: skip
        legend = {"top": 0, "textStyle": {"color": self.text}, **more.pop("legend", {})}
        return {
            "animation": False, "backgroundColor": "transparent", "tooltip": tooltip, "legend": legend,
            "aria": {"enabled": True}, **more,
        }  # fmt: skip


def draw(chart: ui.echart, options: dict[str, Any]) -> None:
    """Show other options."""
    chart.options.clear()
    chart.options.update(options)
    chart.update()
