// What runs in the browser: pages of rows for the grids, numbers for people, the transcript, the capture icon.
// Text from captures only ever becomes textContent.
"use strict";
window.fk = (() => {
  const state = { view: "", utc: localStorage.getItem("fk-times") !== "local", grids: {}, link: null, transcript: {} };
  document.documentElement.lang = "en";
  const count = new Intl.NumberFormat("en-US");

  const bytes = (n) => {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let i = 0;
    while (Math.abs(n) >= 999.5 && i < 4) { n /= 1000; i++; }
    return i === 0 ? `${n} B` : `${Math.abs(n) >= 99.95 ? n.toFixed(0) : n.toFixed(1)} ${units[i]}`;
  };
  const duration = (ns) => {
    if (ns < 1e6) return `${Math.round(ns / 1e3)} µs`;
    if (ns < 1e9) return `${Math.round(ns / 1e6)} ms`;
    const s = ns / 1e9;
    if (s < 100) return `${s.toFixed(1)} s`;
    const two = (n) => String(n).padStart(2, "0");
    const minutes = Math.floor(Math.round(s) / 60), rest = Math.round(s) % 60;
    return minutes < 60 ? `${minutes}:${two(rest)} min` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(rest)} h`;
  };
  // Times come as ISO 8601 with nine digits behind the second, which Date does not hold.
  const time = (text, digits) => {
    const fraction = text.slice(19, 20 + digits);
    if (state.utc) return `${text.slice(0, 10)} ${text.slice(11, 19)}${fraction}`;
    const d = new Date(text.slice(0, 19) + "Z"), two = (n) => String(n).padStart(2, "0");
    return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}${fraction}`;
  };
  const format = (value, unit) => {
    if (value === null || value === undefined) return "";
    switch (unit) {
      case "count": return typeof value === "number" ? count.format(value) : String(value);
      case "percent": return `${value > 0 && value < 0.05 ? "< 0.1" : value.toFixed(1)} %`;
      case "bytes": return bytes(Number(value));
      case "duration": return duration(Number(value));
      case "time": return time(value, 6);
      case "share": return Number(value).toFixed(2);
      case "list": return value.join(", ");
      case "bool": return value === true ? "yes" : "no";
      default: return String(value);
    }
  };
  const exact = (value, unit) => {
    if (value === null || value === undefined) return null;
    switch (unit) {
      case "bytes": return `${count.format(Number(value))} bytes`;
      case "duration": return `${count.format(Number(value))} ns`;
      case "time": return value;
      case "list": return value.join("\n");
      // What fits into its cell needs no second time.
      default: return String(value).length > 14 ? String(value) : null;
    }
  };

  const ask = async (path, options) => {
    const answer = await fetch(path, options);
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(body.error || body.detail || `${answer.status} ${answer.statusText}`);
    return body;
  };
  const complain = (error) => emitEvent("fk-error", String(error.message || error));

  const sorted = (model) => model.length ? `${model[0].sort === "desc" ? "-" : ""}${model[0].colId}` : "";
  const source = (kind) => ({
    rowCount: undefined,
    asked: new AbortController(),
    destroy() { this.asked.abort(); },
    async getRows(p) {
      if (!state.open) { p.successCallback([], 0); nothing(kind, 0); return; }
      const sort = sorted(p.sortModel);
      const url = `/api/${kind}?${state.view}${state.view ? "&" : ""}offset=${p.startRow}&limit=${p.endRow - p.startRow}` +
        (sort ? `&sort=${encodeURIComponent(sort)}` : "");
      const began = performance.now();
      try {
        const answer = await ask(url, { signal: this.asked.signal });
        p.successCallback(answer.rows, answer.total);
        nothing(kind, answer.total);
        state.last_page_ms = performance.now() - began;
        if (kind === "flows") emitEvent("fk-shown", { total: answer.total, steps: answer.steps, sort });
      } catch (error) {
        p.failCallback();
        if (this.asked.signal.aborted) return; // nobody wants it any more
        complain(error);
      }
    },
  });
  // An empty table says why it is empty.
  const nothing = (kind, total) => {
    const api = state.grids[kind];
    if (!alive(api)) return;
    api.setGridOption("overlayNoRowsTemplate", `<span class="fk-empty">${state.open ? "These filters leave nothing. U takes the last step back." : "No capture is open. Add one on the page Files, or drop it there."}</span>`);
    if (total) api.hideOverlay(); else api.showNoRowsOverlay();
  };
  const grid = (kind, api) => {
    state.grids[kind] = api;
    const kept = localStorage.getItem(`fk-columns-${kind}`);
    if (kept) {
      try {
        // An order in the URL is part of the view that is shared.
        const named = kind === "flows" && new URLSearchParams(location.search).has("sort");
        const columns = JSON.parse(kept).map(({ sort, ...rest }) => (named ? rest : { sort, ...rest }));
        api.applyColumnState({ state: columns, applyOrder: true });
      } catch { /* of another version */ }
    }
    api.setGridOption("datasource", source(kind));
  };
  // What people did is kept, and not what fits the window of this moment.
  const keepColumns = (kind, source) => {
    if (!/^ui|^auto/.test(source)) return;
    const kept = state.grids[kind].getColumnState().map(({ colId, hide, width, sort, flex }) => ({ colId, hide, sort, ...(flex ? {} : { width }) }));
    localStorage.setItem(`fk-columns-${kind}`, JSON.stringify(kept));
  };
  const columns = (kind) => {
    const api = state.grids[kind];
    if (alive(api)) emitEvent("fk-columns", { kind, shown: api.getColumnState().filter((c) => !c.hide).map((c) => c.colId) });
  };
  const resetColumns = (kind) => { localStorage.removeItem(`fk-columns-${kind}`); state.grids[kind].resetColumnState(); columns(kind); };
  const alive = (api) => api && !api.isDestroyed();
  const look = (view, open) => {
    state.view = view;
    state.open = open;
    for (const [kind, api] of Object.entries(state.grids)) {
      if (!alive(api)) continue;
      api.deselectAll();
      api.setGridOption("datasource", source(kind));
    }
  };
  const redraw = () => Object.values(state.grids).filter(alive).forEach((api) => api.refreshCells({ force: true }));
  const selected = (kind) => {
    const rows = state.grids[kind].getSelectedRows();
    emitEvent("fk-selected", { kind, rows: rows.slice(0, 5000), count: rows.length });
  };
  const showColumn = (kind, name, shown) => { state.grids[kind].setColumnsVisible([name], shown); keepColumns(kind, "ui"); };

  // A row is right-clicked: it becomes the selection, unless it is part of it already.
  const menu = (kind, p) => {
    p.event.preventDefault();
    if (!p.node || !p.data) return;
    if (!p.node.isSelected()) p.node.setSelected(true, true);
    emitEvent("fk-menu", { kind, row: p.data, column: p.column ? p.column.getColId() : "", x: p.event.clientX, y: p.event.clientY });
  };

  const upload = (file) => new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `/api/files/upload/${encodeURIComponent(file.name)}`);
    request.upload.onprogress = (e) => emitEvent("fk-upload", { name: file.name, done: e.loaded, total: e.total });
    request.onloadend = () => {
      let why = "";
      if (request.status !== 200) { try { const b = JSON.parse(request.responseText); why = b.error || b.detail; } catch { why = `status ${request.status}`; } }
      emitEvent("fk-uploaded", { name: file.name, error: why });
      done();
    };
    request.send(file);
  });
  const uploads = async (files) => { for (const file of files) await upload(file); };
  const dropped = (e) => { e.preventDefault(); uploads([...e.dataTransfer.files]); };

  // The icon carries a link that other programs can fetch. It must be there before the drag begins.
  const carry = (path, name) => { state.link = path ? { url: location.origin + path, name } : null; };
  const drag = (e) => {
    if (!state.link) { e.preventDefault(); return; }
    e.dataTransfer.effectAllowed = "copy";
    e.dataTransfer.setData("DownloadURL", `application/vnd.tcpdump.pcap:${state.link.name}:${state.link.url}`);
    e.dataTransfer.setData("text/uri-list", state.link.url);
    e.dataTransfer.setData("text/plain", state.link.url);
  };
  const save = (path) => { const a = document.createElement("a"); a.href = path; a.download = ""; document.body.append(a); a.click(); a.remove(); };
  const copy = async (text) => {
    try { await navigator.clipboard.writeText(text); } catch {
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area); area.select(); document.execCommand("copy"); area.remove();
    }
  };
  const invalid = (id, wrong) => document.getElementById(id).setAttribute("aria-invalid", String(wrong));
  const place = (query) => history.replaceState(null, "", query ? `/?${query}` : "/");

  // Themes and times are kept by the browser; charts are drawn by the server, so it is told.
  const isDark = () => document.body.classList.contains("body--dark");
  const greet = () => emitEvent("fk-manners", { dark: isDark(), utc: state.utc });
  const theme = () => {
    const kept = localStorage.getItem("fk-theme");
    if (kept) Quasar.Dark.set(kept === "dark");
    new MutationObserver(() => { if (isDark() !== state.dark) { state.dark = isDark(); greet(); } })
      .observe(document.body, { attributeFilter: ["class"] });
    state.dark = isDark();
    greet();
  };
  const dark = () => { localStorage.setItem("fk-theme", isDark() ? "light" : "dark"); Quasar.Dark.set(!isDark()); };
  const clock = () => {
    state.utc = !state.utc;
    localStorage.setItem("fk-times", state.utc ? "utc" : "local");
    redraw();
    greet();
  };
  // The mouse draws a range over a chart as soon as there is one.
  const brush = (id, tries = 100) => {
    const chart = getElement(id)?.chart;
    if (chart) chart.dispatchAction({ type: "takeGlobalCursor", key: "brush", brushOption: { brushType: "lineX", brushMode: "single" } });
    else if (tries) setTimeout(() => brush(id, tries - 1), 50);
  };
  const keepFile = async (body) => {
    const answer = await ask("/api/extract/file", { method: "POST", headers: { "content-type": "application/json" }, body });
    await copy(answer.path);
    emitEvent("fk-said", `path copied: ${answer.path}`);
  };

  return { state, format, exact, time, grid, keepColumns, columns, resetColumns, look, redraw, selected, showColumn, menu,
           uploads, dropped, carry, drag, save, copy, keepFile, place, invalid, ask, bytes, complain, theme, greet, dark, clock, brush,
           count: (n) => count.format(n) };
})();
