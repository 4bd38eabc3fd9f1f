// The batch as a table: sorted, filtered, walked through with the arrow keys.

import { isAnomalous, isScored } from "./batch.js";
import { fill, foreign, make } from "./dom.js";
import { verdictMark } from "./shapes.js";
import { verdictAt } from "./whatif.js";
import { number } from "./words.js";

/** @typedef {import("./batch.js").Item} Item */
/** @typedef {{order: import("./batch.js").OrderName, reversed: boolean}} Sorting */

const COLUMNS = [["name", "Picture"], [null, "Verdict"], ["score", "Score"], ["p", "p-value"]];
const STATES = { waiting: "waits", sending: "is being scored", stopped: "not scored", done: "no verdict" };

/**
 * @param {Object} needs
 * @param {(item: Item) => void} needs.opened A row was chosen.
 * @param {(sorting: Sorting) => void} needs.sorted Another order was asked for.
 * @param {import("./thumbs.js").Thumbs} needs.thumbs
 */
export function createTable({ opened, sorted, thumbs }) {
  /** @type {Map<Item, ReturnType<typeof rowOf>>} */
  const rows = new Map();
  let shown = [], selected = null, sorting = { order: "score", reversed: false };

  const heads = COLUMNS.map(([order, label]) => {
    const head = make("th", { scope: "col", class: `c-${order ?? "verdict"}` });
    if (order) head.append(make("button", { type: "button", class: "sort", onclick: () => sorted({ order, reversed: sorting.order === order && !sorting.reversed }) }, label, make("span", { class: "arrow", "aria-hidden": "true" })));
    else head.append(label);
    return { order, head };
  });
  const body = make("tbody", { onkeydown: walk, onclick: choose });
  const element = make(
    "div", { class: "scroll batch-scroll", tabindex: -1 },
    make("table", { class: "batch" }, make("caption", { class: "spoken" }, "Results of the batch. The arrow keys go from row to row."), make("thead", {}, make("tr", {}, heads.map(({ head }) => head))), body),
  );

  function rowOf(item) {
    const image = make("img", { alt: "", width: 44, height: 44 });
    const open = make("button", { type: "button", class: "name", tabindex: -1 }, image, make("span", { class: "text" }, foreign(item.name)));
    const verdict = make("td", { class: "c-verdict" }), score = make("td", { class: "number c-score" }), p = make("td", { class: "number c-p" });
    const row = { element: make("tr", {}, make("th", { scope: "row", class: "c-name" }, open), verdict, score, p), image, open, verdict, score, p, said: "", item };
    row.element.dataset.item = item.id;
    thumbs.watch(image, () => [item.file, item.input]);
    return row;
  }

  // A row is touched only where it says something else than before: with hundreds of rows every
  // change of the document counts.
  function write(row, tried) {
    const { item } = row;
    const would = tried === null ? null : verdictAt(item.result, tried);
    const changes = would !== null && would !== item.result.verdict;
    const said = `${item.state}|${item.result?.score}|${item.result?.verdict}|${changes}`;
    if (said === row.said) return;
    row.said = said;
    row.element.className = changes ? "would-change" : "";
    const mark = isScored(item) ? verdictMark(item.result.verdict) : verdictMark(null, STATES[item.state]);
    fill(row.verdict, mark, changes && make("span", { class: "would" }, `would be ${would}`));
    row.verdict.classList.toggle("pending", item.state === "waiting" || item.state === "sending");
    row.score.textContent = isScored(item) ? number(item.result.score) : "–";
    row.p.textContent = item.result?.p_value ? number(item.result.p_value) : "–";
    row.element.classList.toggle("flagged", isAnomalous(item));
  }

  function reach(item, focus) {
    for (const [other, row] of rows) {
      const here = other === item;
      if (row.open.tabIndex !== (here ? 0 : -1)) row.open.tabIndex = here ? 0 : -1;
      if (here) row.element.setAttribute("aria-current", "true");
      else if (row.element.hasAttribute("aria-current")) row.element.removeAttribute("aria-current");
    }
    const row = rows.get(item);
    if (focus && row) row.open.focus();
  }

  function itemAt(target) {
    const element = target.closest("tr[data-item]");
    return shown.find((item) => String(item.id) === element?.dataset.item) ?? null;
  }

  function choose(event) {
    const item = itemAt(event.target);
    if (item) opened(item);
  }

  function walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    const item = itemAt(event.target);
    if (!step || !item) return;
    event.preventDefault();
    const place = Math.min(shown.length - 1, Math.max(0, shown.indexOf(item) + step));
    opened(shown[place]);
    reach(shown[place], true);
  }

  return {
    element,
    shown: () => shown,
    /** @param {Item[]} items In order. @param {?number} tried A threshold to try. @param {?Item} chosen */
    show(items, tried, chosen, by) {
      sorting = by;
      for (const { order, head } of heads)
        if (order) head.setAttribute("aria-sort", order !== by.order ? "none" : (order === "score") === by.reversed ? "ascending" : "descending");
      const keep = new Set(items);
      for (const [item, row] of rows) {
        if (keep.has(item)) continue;
        thumbs.forget(row.image);
        rows.delete(item);
      }
      for (const item of items) {
        if (!rows.has(item)) rows.set(item, rowOf(item));
        write(rows.get(item), tried);
      }
      if (items.length !== shown.length || items.some((item, k) => item !== shown[k])) {
        const hadFocus = element.contains(document.activeElement) && document.activeElement.closest("tr[data-item]");
        body.replaceChildren(...items.map((item) => rows.get(item).element));
        if (hadFocus && keep.has(selected)) rows.get(selected).open.focus({ preventScroll: true });
      }
      shown = items;
      selected = chosen && keep.has(chosen) ? chosen : items[0] ?? null;
      reach(selected, false);
    },
    /** Bring the row of an item into sight within the table. */
    scrollTo(item) {
      rows.get(item)?.element.scrollIntoView({ block: "nearest" });
    },
  };
}
