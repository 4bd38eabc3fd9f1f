// What the judgements say of the model: precision and recall with their intervals, and the export.

import { download } from "./blobs.js";
import { Refusal } from "./api.js";
import { fill, make } from "./dom.js";
import { bytes, count, counted, percent } from "./words.js";

const SOON = 400;

function rate(name, meaning, value) {
  const rows = [make("dt", {}, name, make("span", { class: "small" }, meaning))];
  if (value === null)
    return make("div", {}, rows, make("dd", { class: "unknown" }, "cannot be told yet"));
  const bar = make(
    "span", { class: "interval-bar", "aria-hidden": "true" },
    make("i", { class: "range" }),
    make("i", { class: "point" }),
  );
  const [range, point] = bar.children;
  range.style.left = `${100 * value.low}%`;
  range.style.width = `${100 * (value.high - value.low)}%`;
  point.style.left = `${100 * value.value}%`;
  return make(
    "div", {},
    rows,
    make(
      "dd", {},
      make("strong", {}, percent(value.value)),
      make(
        "span", { class: "small" },
        `${Math.round(100 * value.level)}\u00a0% interval: ${percent(value.low)} to `
          + `${percent(value.high)}`,
      ),
      bar,
    ),
  );
}

function block(title, quality) {
  const reviewed = quality.true_positives + quality.false_positives
    + quality.true_negatives + quality.false_negatives;
  const cell = (n, wrong) => make("td", { class: wrong ? "wrong" : "" }, count(n));
  return make(
    "section", { class: "quality" },
    make("h4", {}, title), make("p", { class: "small" }, `${counted(reviewed, "judged picture")}.`),
    make(
      "dl", { class: "rates" },
      rate("Precision", "flagged that are anomalous", quality.precision),
      rate("Recall", "anomalous that are flagged", quality.recall),
    ),
    reviewed > 0 && make(
      "table",
      { class: "confusion" },
      make("caption", { class: "spoken" }, `${title}: judged pictures by truth and verdict`),
      make(
        "thead", {},
        make(
          "tr", {},
          make("td"),
          make("th", { scope: "col" }, "passed"),
          make("th", { scope: "col" }, "flagged"),
        ),
      ),
      make("tbody", {},
        make(
          "tr", {},
          make("th", { scope: "row" }, "normal"),
          cell(quality.true_negatives),
          cell(quality.false_positives, true),
        ),
        make(
          "tr", {},
          make("th", { scope: "row" }, "anomalous"),
          cell(quality.false_negatives, true),
          cell(quality.true_positives),
        )),
    ),
    quality.caveat && make("p", { class: "note caveat" }, quality.caveat),
  );
}

/** @param {Pick<import("./main.js").Context, "api"|"state"|"speak">} context */
export function createFigures({ api, state, speak }) {
  const body = make("div", {});
  const trouble = make("p", { class: "trouble", role: "alert" });
  const said = make("p", { class: "small export-said" });
  const link = make(
    "a", { class: "button", onclick: fetchExport },
    "Export the judged pictures (ZIP)",
  );
  const element = make(
    "section", { class: "panel", "aria-label": "What the judgements say" },
    make("h3", {}, "What the judgements say"),
    body,
    make("p", {}, link),
    said,
    trouble,
  );
  let turn = 0, timer = 0;

  async function load() {
    const { chosen } = state.now();
    if (!chosen) return;
    const mine = ++turn;
    link.href = api.exportAddress(chosen);
    try {
      const summary = await api.summary(chosen);
      if (mine !== turn) return;
      fill(
        body,
        make(
          "p", { class: "small" },
          `${counted(summary.kept, "picture")} kept (${bytes(summary.size)}), `
            + `${count(summary.flagged)} of them flagged; ${count(summary.waiting)} not judged.`,
        ),
        summary.full && make(
          "p", { class: "note" },
          "The store is full: judged pictures alone reach its limit, and nothing more is kept. "
            + "Export them, then have the limit raised or pictures deleted.",
        ),
        block("Fair sample: judged in random order", summary.random),
        block("All that were judged", summary.all),
      );
    } catch (error) {
      if (mine === turn)
        fill(
          body,
          make(
            "p", { class: "trouble" },
            error instanceof Refusal
              ? error.message
              : `The figures cannot be shown: ${error.message}`,
          ),
        );
    }
  }

  async function fetchExport(event) {
    trouble.textContent = "";
    // Without a token the browser fetches it by itself, piece by piece onto the disk.
    if (!api.hasToken()) {
      link.download = "";
      return;
    }
    event.preventDefault();
    if (link.getAttribute("aria-busy") === "true") return;
    link.setAttribute("aria-busy", "true");
    const { chosen } = state.now();
    try {
      said.textContent = "The service packs them …";
      const pack = await api.exported(chosen, (size) => {
        said.textContent = `${bytes(size)} fetched …`;
      });
      download(pack, `reviews-${chosen}.zip`);
      said.textContent = `The export is there: ${bytes(pack.size)}.`;
      speak("The export is there.");
    } catch (error) {
      said.textContent = "";
      trouble.textContent = `Not exported: ${error.message}`;
    } finally {
      link.removeAttribute("aria-busy");
    }
  }

  return {
    element,
    load,
    /** Load when nothing more is said for a moment. */
    soon() {
      clearTimeout(timer);
      timer = setTimeout(load, SOON);
    },
  };
}
