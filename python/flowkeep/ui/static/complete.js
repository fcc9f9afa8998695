// Completion of the filters: the server knows columns, addresses, names; this shows them below the field.
"use strict";
Object.assign(fk, (() => {
  const list = Object.assign(document.createElement("ul"), { id: "fk-complete", className: "fk-complete fk-mono", hidden: true });
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Completions");
  let field = null, from = 0, at = -1, turn = 0, timer = 0;

  const close = () => {
    turn++;
    clearTimeout(timer);
    list.hidden = true;
    if (field) { field.setAttribute("aria-expanded", "false"); field.removeAttribute("aria-activedescendant"); }
    at = -1;
  };
  const mark = (to) => {
    at = to;
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === at)));
    if (at >= 0) { field.setAttribute("aria-activedescendant", list.children[at].id); list.children[at].scrollIntoView({ block: "nearest" }); }
  };
  const take = (item) => {
    const caret = field.selectionStart, text = item.dataset.text;
    close();
    field.value = field.value.slice(0, from) + text + field.value.slice(caret);
    field.setSelectionRange(from + text.length, from + text.length);
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  };
  const offer = async (input) => {
    const mine = ++turn, kind = input.id.slice(3), text = input.value.slice(0, input.selectionStart);
    const answer = await fk.ask(`/api/complete?${new URLSearchParams({ field: kind, text })}`).catch(() => null);
    if (mine !== turn || document.activeElement !== input) return;
    if (!answer || !answer.items.length) { close(); return; }
    from = answer.begin;
    list.replaceChildren(...answer.items.map((each, i) => {
      const item = Object.assign(document.createElement("li"), { id: `fk-complete-${i}` });
      item.dataset.text = each.text;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", "false");
      item.append(Object.assign(document.createElement("span"), { textContent: each.shown }),
                  Object.assign(document.createElement("span"), { className: "fk-note", textContent: each.note }));
      return item;
    }));
    const place = input.closest(".q-field").getBoundingClientRect();
    Object.assign(list.style, { left: `${place.left}px`, top: `${place.bottom + 2}px`, minWidth: `${Math.min(place.width, 520)}px` });
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    at = -1;
  };
  const ours = (target) => target instanceof HTMLInputElement && /^fk-(filter|where|keyword)$/.test(target.id);

  document.addEventListener("input", (e) => {
    if (!ours(e.target)) return;
    field = e.target;
    field.setAttribute("role", "combobox");
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-controls", list.id);
    clearTimeout(timer);
    timer = setTimeout(() => offer(e.target), 80);
  });
  // Before anybody else, so that Return takes a completion instead of applying the filter.
  document.addEventListener("keydown", (e) => {
    if (!ours(e.target)) return;
    if (e.key === "Enter" && (list.hidden || at < 0)) { close(); return; }
    if (list.hidden) return;
    const n = list.children.length;
    if (e.key === "ArrowDown") mark((at + 1) % n);
    else if (e.key === "ArrowUp") mark((at + n - (at < 0 ? 0 : 1)) % n);
    else if (e.key === "Escape") close();
    else if ((e.key === "Enter" || e.key === "Tab") && at >= 0) take(list.children[at]);
    else return;
    e.preventDefault();
    e.stopPropagation();
  }, true);
  document.addEventListener("focusout", (e) => { if (ours(e.target)) close(); });
  list.addEventListener("mousedown", (e) => { e.preventDefault(); const item = e.target.closest("li"); if (item) take(item); });
  document.addEventListener("DOMContentLoaded", () => document.body.append(list));
  return {};
})());
