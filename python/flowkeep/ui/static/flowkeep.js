// What runs in the browser: pages of rows for the grids, numbers for people, the transcript, the capture icon.
// Text from captures only ever becomes textContent.
"use strict";
window.fk = (() => {
  const state = { view: "", utc: true, grids: {}, link: null, transcript: {} };
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
      case "bytes": return bytes(Number(value));
      case "duration": return duration(Number(value));
      case "time": return time(value, 6);
      case "share": return value.toFixed(2);
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
      default: return String(value);
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
      const sort = sorted(p.sortModel);
      const url = `/api/${kind}?${state.view}${state.view ? "&" : ""}offset=${p.startRow}&limit=${p.endRow - p.startRow}` +
        (sort ? `&sort=${encodeURIComponent(sort)}` : "");
      const began = performance.now();
      try {
        const answer = await ask(url, { signal: this.asked.signal });
        p.successCallback(answer.rows, answer.total);
        state.last_page_ms = performance.now() - began;
        if (kind === "flows") emitEvent("fk-shown", { total: answer.total, steps: answer.steps, sort });
      } catch (error) {
        p.failCallback();
        if (this.asked.signal.aborted) return; // nobody wants it any more
        complain(error);
      }
    },
  });
  const grid = (kind, api) => {
    state.grids[kind] = api;
    const kept = localStorage.getItem(`fk-columns-${kind}`);
    if (kept) { try { api.applyColumnState({ state: JSON.parse(kept), applyOrder: true }); } catch { /* of another version */ } }
    api.setGridOption("datasource", source(kind));
  };
  const keepColumns = (kind) => {
    const kept = state.grids[kind].getColumnState().map(({ colId, hide, width, sort }) => ({ colId, hide, width, sort }));
    localStorage.setItem(`fk-columns-${kind}`, JSON.stringify(kept));
  };
  const alive = (api) => api && !api.isDestroyed();
  const look = (view) => {
    state.view = view;
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
  const showColumn = (kind, name, shown) => { state.grids[kind].setColumnsVisible([name], shown); keepColumns(kind); };

  // A row is right-clicked: it becomes the selection, unless it is part of it already.
  const menu = (kind, p) => {
    p.event.preventDefault();
    if (!p.node || !p.data) return;
    if (!p.node.isSelected()) p.node.setSelected(true, true);
    emitEvent("fk-menu", { kind, row: p.data, column: p.column ? p.column.getColId() : "", x: p.event.clientX, y: p.event.clientY });
  };

  const transcript = async (into, flow, wanted) => {
    const box = document.getElementById(into);
    if (!box) return;
    const turn = (state.transcript[into] = (state.transcript[into] || 0) + 1);
    box.replaceChildren(Object.assign(document.createElement("div"), { className: "fk-mark", textContent: "reading …" }));
    try {
      const answer = await ask(`/api/flows/${flow}/transcript?${new URLSearchParams(wanted)}`);
      if (turn !== state.transcript[into]) return;
      const rows = answer.lines.map((line) => {
        const row = document.createElement("div");
        row.className = line.who ? `fk-${line.who}` : "fk-mark";
        row.textContent = line.text === "" ? "\u00a0" : line.text;
        return row;
      });
      box.replaceChildren(...rows);
      box.scrollTop = 0;
      emitEvent("fk-transcript", { flow, next: answer.next, bytes: answer.bytes, cut: answer.cut });
    } catch (error) {
      box.replaceChildren(Object.assign(document.createElement("div"), { className: "fk-mark", textContent: String(error.message) }));
    }
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
  const place = (query) => history.replaceState(null, "", query ? `/?${query}` : "/");

  document.addEventListener("keydown", (e) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName) || e.target.isContentEditable;
    if (e.key === "Escape" && typing) { e.target.blur(); return; }
    if (typing && !(e.ctrlKey || e.metaKey)) return;
    const key = `${e.ctrlKey || e.metaKey ? "ctrl+" : ""}${e.shiftKey ? "shift+" : ""}${e.key.toLowerCase()}`;
    const field = { "/": "keyword", b: "filter", s: "where" }[key];
    if (field && !typing) {
      // Here, and not by way of the server: the next key belongs to the field already.
      e.preventDefault();
      document.getElementById(`fk-${field}`).focus();
      return;
    }
    const known = ["i", "h", "u", "f", "e", "?", "shift+?", "ctrl+z", "ctrl+shift+z", "ctrl+y", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    if (!known.includes(key) || (typing && key.startsWith("ctrl+"))) return;
    e.preventDefault();
    emitEvent("fk-key", key);
  });

  return { state, format, exact, grid, keepColumns, look, redraw, selected, showColumn, menu, transcript, uploads, dropped,
           carry, drag, save, copy, place, ask, bytes, count: (n) => count.format(n) };
})();
