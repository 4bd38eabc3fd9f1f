// The batch as a table: sorted, filtered, walked through with the arrow keys.

import { isAnomalous, isScored } from "./batch.js";
import { fill, foreign, make } from "./dom.js";
import { verdictMark } from "./shapes.js";
import { verdictAt } from "./whatif.js";
import { number } from "./words.js";

/** @typedef {import("./batch.js").Item} Item */
/** @typedef {{order: import("./batch.js").OrderName, reversed: boolean}} Sorting */

const COLUMNS = [["name", "Picture"], [null, "Verdict"], ["score", "Score"], ["p", "p-value"]];
const STATES = {
  waiting: "waits",
  sending: "is being scored",
  stopped: "not scored",
  done: "no verdict",
};

/**
 * @param {Object} needs
 * @param {(item: Item) => void} needs.opened A row was chosen.
 * @param {(sorting: Sorting) => void} needs.sorted Another order was asked for.
 * @param {import("./thumbs.js").Thumbs} needs.thumbs
 */
export function createTable({ opened, sorted, thumbs }) {
  /** @type {Map<Item, ReturnType<typeof rowOf>>} */
  const rows = new Map();
  let shown = [], selected = null, reached = null, sorting = { order: "score", reversed: false };

  const heads = COLUMNS.map(([order, label]) => {
    const head = make(
      "th", { scope: "col", role: "columnheader", class: `c-${order ?? "verdict"}` },
    );
    if (order)
      head.append(
        make(
          "button",
          {
            type: "button",
            class: "sort",
            onclick: () =>
              sorted({ order, reversed: sorting.order === order && !sorting.reversed }),
          },
          label,
          make("span", { class: "arrow", "aria-hidden": "true" }),
        )
      );
    else head.append(label);
    return { order, head };
  });
  // Roles are named since rows are laid out as grids, which lets the browser pass over those out of
  // sight; it does not do so for rows of a table.
  const body = make("tbody", { role: "rowgroup", onkeydown: walk, onclick: choose });
  const element = make(
    "div", { class: "scroll batch-scroll", tabindex: -1 },
    make(
      "table", { class: "batch", role: "table" },
      make(
        "caption", { class: "spoken" },
        "Results of the batch. The arrow keys go from row to row.",
      ),
      make(
        "thead", { role: "rowgroup" },
        make("tr", { role: "row" }, heads.map(({ head }) => head)),
      ),
      body,
    ),
  );

  function rowOf(item) {
    const image = make("img", { alt: "", width: 44, height: 44 });
    const open = make(
      "button", { type: "button", class: "name", tabindex: -1 },
      image,
      make("span", { class: "text" }, foreign(item.name)),
    );
    const cell = (kind) => make("td", { role: "cell", class: kind });
    const verdict = cell("c-verdict"), score = cell("number c-score"), p = cell("number c-p");
    const row = {
      element: make(
        "tr", { role: "row" },
        make("th", { scope: "row", role: "rowheader", class: "c-name" }, open),
        verdict,
        score,
        p,
      ),
      image,
      open,
      verdict,
      score,
      p,
      said: "",
      item,
    };
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
    const mark = isScored(item)
      ? verdictMark(item.result.verdict)
      : verdictMark(null, STATES[item.state]);
    fill(row.verdict, mark, changes && make("span", { class: "would" }, `would be ${would}`));
    row.verdict.classList.toggle("pending", item.state === "waiting" || item.state === "sending");
    row.score.textContent = isScored(item) ? number(item.result.score) : "–";
    row.p.textContent = item.result?.p_value ? number(item.result.p_value) : "–";
    row.element.classList.toggle("flagged", isAnomalous(item));
  }

  /** Bring rows into an order, moving only those that are out of it. */
  function arrange(elements) {
    let place = body.firstElementChild;
    for (const row of elements) {
      if (row === place) place = place.nextElementSibling;
      else body.insertBefore(row, place);
    }
  }

  // One row takes part in the tab order; the arrow keys go to the others.
  function reach(item, focus) {
    const row = rows.get(item) ?? null;
    if (reached !== row) {
      if (reached) {
        reached.open.tabIndex = -1;
        reached.element.removeAttribute("aria-current");
      }
      if (row) {
        row.open.tabIndex = 0;
        row.element.setAttribute("aria-current", "true");
      }
      reached = row;
    }
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
    const step = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: 10,
      PageUp: -10,
      Home: -Infinity,
      End: Infinity,
    }[event.key];
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
    /**
     * @param {Item[]} items In order.
     * @param {?number} tried A threshold to try.
     * @param {?Item} chosen
     * @param {Sorting} by
     */
    show(items, tried, chosen, by) {
      sorting = by;
      for (const { order, head } of heads)
        if (order)
          head.setAttribute(
            "aria-sort",
            order !== by.order
              ? "none"
              : (order === "score") === by.reversed
              ? "ascending"
              : "descending",
          );
      const keep = new Set(items);
      for (const [item, row] of rows) {
        if (keep.has(item)) continue;
        thumbs.forget(row.image);
        row.element.remove();
        rows.delete(item);
      }
      for (const item of items) {
        if (!rows.has(item)) rows.set(item, rowOf(item));
        write(rows.get(item), tried);
      }
      if (items.length !== shown.length || items.some((item, k) => item !== shown[k])) {
        const hadFocus = element.contains(document.activeElement)
          && document.activeElement.closest("tr[data-item]");
        arrange(items.map((item) => rows.get(item).element));
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
