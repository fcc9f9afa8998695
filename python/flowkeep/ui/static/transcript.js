// What the two ends said. Text from captures only ever becomes textContent.
"use strict";
Object.assign(fk, (() => {
  const lines = new Map();  // box → { answer, hits, now }
  const made = (tag, className, textContent) => Object.assign(document.createElement(tag), { className, textContent });

  // One line; what is searched for in it is marked.
  const drawn = (line, wanted, hits) => {
    const row = made("div", line.who ? `fk-${line.who}` : "fk-mark", "");
    const text = line.text === "" ? "\u00a0" : line.text, folded = text.toLowerCase();
    // A letter that changes its length in lower case would shift the marks: then only exact case is found.
    const where = folded.length === text.length ? folded : text;
    let done = 0;
    for (let at = wanted ? where.indexOf(wanted) : -1; at >= 0; at = where.indexOf(wanted, done)) {
      row.append(text.slice(done, at));
      done = at + wanted.length;
      const hit = made("mark", "fk-hit", text.slice(at, done));
      hits.push(hit);
      row.append(hit);
    }
    row.append(text.slice(done));
    return row;
  };
  const show = (into, find) => {
    const box = document.getElementById(into), kept = lines.get(into);
    if (!box || !kept) return;
    kept.hits = [];
    kept.now = -1;
    kept.find = find;
    const rows = kept.answer.lines.map((line) => drawn(line, find.toLowerCase(), kept.hits));
    if (kept.answer.cut) rows.push(made("div", "fk-mark", "[this page has more lines than are shown: see it as hex, or save the bytes]"));
    box.replaceChildren(...rows);
    box.scrollTop = 0;
  };
  const transcript = async (into, flow, wanted, find) => {
    const box = document.getElementById(into);
    if (!box) return;
    const turn = (fk.state.transcript[into] = (fk.state.transcript[into] || 0) + 1);
    box.setAttribute("aria-busy", "true");
    box.replaceChildren(made("div", "fk-mark", "reading …"));
    try {
      const answer = await fk.ask(`/api/flows/${flow}/transcript?${new URLSearchParams(wanted)}`);
      if (turn !== fk.state.transcript[into]) return;
      lines.set(into, { answer, hits: [], now: -1, find: "" });
      show(into, find);
      emitEvent("fk-transcript", { flow, next: answer.next, bytes: answer.bytes });
      if (find) step(into, 1);
    } catch (error) {
      if (turn === fk.state.transcript[into]) box.replaceChildren(made("div", "fk-mark", String(error.message)));
    } finally {
      box.removeAttribute("aria-busy");
    }
  };
  // To the next place of what is searched for, or back; the server looks where this page ends.
  const step = (into, by) => {
    const kept = lines.get(into);
    if (!kept) return;
    const to = kept.now + by;
    if (to < 0 || to >= kept.hits.length) { emitEvent("fk-found", { at: 0, of: kept.hits.length, beyond: by }); return; }
    kept.hits[kept.now]?.classList.remove("fk-now");
    kept.now = to;
    kept.hits[to].classList.add("fk-now");
    kept.hits[to].scrollIntoView({ block: "center" });
    emitEvent("fk-found", { at: to + 1, of: kept.hits.length, beyond: 0 });
  };
  const find = (into, text, by) => {
    const kept = lines.get(into);
    if (!kept) return;
    if (kept.find !== text) show(into, text);
    if (text) step(into, by); else emitEvent("fk-found", { at: 0, of: 0, beyond: 0 });
  };
  return { transcript, find };
})());
