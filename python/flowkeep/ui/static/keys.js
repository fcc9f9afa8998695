// The keyboard: shortcuts, selecting rows, menus.
"use strict";
Object.assign(fk, (() => {
  const known = ["i", "h", "u", "f", "e", "?", "ctrl+z", "ctrl+shift+z", "ctrl+y", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
  const typing = (target) => /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.isContentEditable;
  // One that fades away is closed: the key after a click is not for it.
  const open = (what) => [...document.querySelectorAll(what)].filter((e) => e.checkVisibility() && !/-leave-/.test(e.className));

  // In a menu the arrows go from item to item; Quasar leaves that to Tab alone.
  const inMenu = (e) => {
    const menu = open(".q-menu").pop();
    if (!menu || !["ArrowDown", "ArrowUp", "Home", "End"].includes(e.key) || menu.querySelector("[role=listbox]")) return false;
    const items = [...menu.querySelectorAll(".q-item[tabindex], [role=checkbox], button")].filter((i) => i.checkVisibility() && i.getAttribute("aria-disabled") !== "true");
    if (!items.length) return false;
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? items.length - 1 : at - 1, Home: 0, End: items.length - 1 }[e.key];
    items[(to + items.length) % items.length].focus();
    e.preventDefault();
    return true;
  };

  // Tab enters a table and leaves it; inside the arrows move. A grid would walk through all its cells.
  document.addEventListener("keydown", (e) => {
    const grid = e.key === "Tab" && e.target.closest(".ag-root-wrapper");
    if (!grid) return;
    const after = (other) => grid.compareDocumentPosition(other) & (e.shiftKey ? Node.DOCUMENT_POSITION_PRECEDING : Node.DOCUMENT_POSITION_FOLLOWING);
    const around = [...document.querySelectorAll("a[href], button, input, select, textarea, [tabindex]")].filter(
      (other) => other.tabIndex >= 0 && !other.disabled && other.checkVisibility() && !grid.contains(other) && !other.contains(grid) && after(other));
    const next = e.shiftKey ? around.pop() : around[0];
    if (!next) return;
    e.preventDefault();
    e.stopPropagation();
    next.focus();
  }, true);

  document.addEventListener("keydown", (e) => {
    if (inMenu(e)) return;
    if (e.key === "Escape" && typing(e.target)) { e.target.blur(); return; }
    const inField = typing(e.target);
    if ((inField && !(e.ctrlKey || e.metaKey)) || e.altKey || open(".q-menu, .q-dialog__inner").length) return;
    const key = `${e.ctrlKey || e.metaKey ? "ctrl+" : ""}${e.shiftKey && e.key !== "?" ? "shift+" : ""}${e.key.toLowerCase()}`;
    const field = { "/": "keyword", b: "filter", s: "where" }[key];
    if (field && !inField) {
      // Here, and not by way of the server: the next key belongs to the field already.
      e.preventDefault();
      document.getElementById(`fk-${field}`).focus();
      return;
    }
    if (!known.includes(key) || (inField && key.startsWith("ctrl+"))) return;
    e.preventDefault();
    emitEvent("fk-key", key);
  });

  const anchors = {};
  const extend = (kind, api) => {
    const focused = api.getFocusedCell();
    if (!focused) return;
    const [from, to] = [anchors[kind], focused.rowIndex].sort((a, b) => a - b);
    const wanted = new Set();
    for (let i = from; i <= to; i++) { const node = api.getDisplayedRowAtIndex(i); if (node?.data) wanted.add(node); }
    const gone = api.getSelectedNodes().filter((node) => !wanted.has(node));
    if (gone.length) api.setNodesSelected({ nodes: gone, newValue: false });
    api.setNodesSelected({ nodes: [...wanted], newValue: true });
  };
  // A key in a cell of a table.
  const cellKey = (kind, p) => {
    const e = p.event, api = fk.state.grids[kind];
    if (e.shiftKey && (e.key === "ArrowDown" || e.key === "ArrowUp")) {
      if (anchors[kind] === undefined) anchors[kind] = p.node.rowIndex;
      setTimeout(() => extend(kind, api), 0);  // the focus moves after this
      return;
    }
    if (e.key !== "Shift") delete anchors[kind];
    if (e.key === "Escape") api.deselectAll();
    else if (e.key === "Enter" && p.data) emitEvent("fk-follow", { kind, row: p.data });
    else if ((e.key === "ContextMenu" || (e.shiftKey && e.key === "F10") || e.key === "m") && p.data) {
      const cell = e.target.closest(".ag-cell").getBoundingClientRect();
      fk.menu(kind, { node: p.node, data: p.data, column: p.column, event: { preventDefault: () => e.preventDefault(), clientX: cell.left + 8, clientY: cell.bottom } });
    }
  };
  return { cellKey };
})());
