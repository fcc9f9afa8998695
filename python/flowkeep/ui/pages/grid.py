"""A table of any length: the browser asks for the rows it shows."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from ..columns import TABLES
from ..view import Sort


class Grid:
    """One of the tables: ``flows``, ``hosts``, ``services``."""

    def __init__(self, kind: str, sort: Sort | None = None) -> None:
        """Draw it; rows come when the browser asks."""
        self.kind = kind
        columns = [column.grid() for column in TABLES[kind]]
        for column in columns:
            if sort is not None and column["field"] == sort.column:
                column["sort"] = "desc" if sort.descending else "asc"
        options: dict[str, Any] = {
            "columnDefs": columns, "rowModelType": "infinite", "cacheBlockSize": 100, "maxBlocksInCache": 40,
            "rowBuffer": 20, "rowHeight": 24, "headerHeight": 28, "maxConcurrentDatasourceRequests": 2,
            "rowSelection": {
                "mode": "multiRow", "checkboxes": False, "headerCheckbox": False,
                "enableClickSelection": True,
            },
            "tooltipShowDelay": 400, "suppressDragLeaveHidesColumns": True,
            "preventDefaultOnContextMenu": True,
            "multiSortKey": "ctrl", "alwaysMultiSort": False, "suppressMultiSort": True,
            "ensureDomOrder": True,
            ":onGridReady": f"p => fk.grid('{kind}', p.api)",
            ":onSelectionChanged": f"() => fk.selected('{kind}')",
            ":onCellContextMenu": f"p => fk.menu('{kind}', p)",
            ":onRowDoubleClicked": f"p => emitEvent('fk-follow', {{kind: '{kind}', row: p.data}})",
            ":onColumnResized": f"p => p.finished && fk.keepColumns('{kind}', p.source)",
            ":onColumnMoved": f"p => p.finished && fk.keepColumns('{kind}', p.source)",
            ":onSortChanged": f"p => fk.keepColumns('{kind}', p.source)",
            ":onCellKeyDown": f"p => fk.cellKey('{kind}', p)",
        }  # fmt: skip
        if kind == "flows":
            options[":getRowId"] = "p => String(p.data.flow_id)"
        self.element = (
            ui.aggrid(options, theme="balham", auto_size_columns=False)
            .classes("fk-fill")
            .props(f'aria-label="Table of {kind}"')
            .mark(f"grid-{kind}")
        )

    def columns_menu(self) -> None:
        """A button with a check for each column. The browser remembers choice, order and width."""
        self.boxes: dict[str, ui.checkbox] = {}
        self.button = ui.button(icon="view_column").props('flat dense aria-label="Columns"')
        self.button.on("click", js_handler=f"() => fk.columns('{self.kind}')")
        with (
            self.button,
            ui.menu(),
            ui.column().classes("gap-0 p-2").style("max-height: 60vh; overflow: auto"),
        ):
            ui.label("Choice, order and width are kept.").classes("fk-hint")
            ui.button("As at first", icon="restart_alt").props("flat dense no-caps").on(
                "click", js_handler=f"() => fk.resetColumns('{self.kind}')"
            )
            for column in TABLES[self.kind]:
                end = column.name.partition("_")[0].capitalize()
                words = f"{end} port" if column.title == "Port" else column.title
                self.boxes[column.name] = box = ui.checkbox(words, value=column.shown).props("dense")
                box.on(
                    "update:model-value",
                    js_handler=f"(on) => fk.showColumn('{self.kind}', '{column.name}', on)",
                )

    def has(self, shown: list[str]) -> None:
        """The columns that the browser shows."""
        for name, box in self.boxes.items():
            box.set_value(name in shown)
