// Verdicts by shape, colour and word at once, so that none of the three has to be seen.

import { make, svg } from "./dom.js";

const PATHS = {
  anomalous: "M8 1.2 15.4 14.4H.6Z",
  normal: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Z",
  none: "M2 2h12v12H2Z",
};

/** @param {"anomalous"|"normal"|"none"} kind Triangle, disc or empty square. */
export function shape(kind) {
  return svg(
    "svg", { class: `shape ${kind}`, viewBox: "0 0 16 16", "aria-hidden": "true" },
    svg("path", { d: PATHS[kind] }),
  );
}

/**
 * The verdict as a mark with its word.
 *
 * @param {?("normal"|"anomalous")} verdict null: there is none.
 */
export function verdictMark(verdict, word = verdict) {
  const kind = verdict ?? "none";
  return make(
    "span", { class: `verdict ${kind}` },
    shape(kind),
    make("span", {}, word ?? "no verdict"),
  );
}

/** An alarm: a triangle with a bar in it. */
export function alarmShape() {
  return svg(
    "svg", { class: "shape alarm", viewBox: "0 0 16 16", "aria-hidden": "true" },
    svg("path", { d: PATHS.anomalous }), svg("path", { class: "bar", d: "M8 5.4v4.4M8 11.6v1.3" }),
  );
}
