// A score on the histogram of the scores of held-out normal pictures, with the limits.

import { axisOf } from "./axis.js";
import { make, svg } from "./dom.js";
import { count, number } from "./words.js";

const WIDE = 1000, HIGH = 100;
// A score further out than this many spans of the calibration is drawn at the edge.
const FAR = 3;

/** @typedef {Object} Reading
 * @property {import("./records.js").Calibration} calibration
 * @property {number} upper
 * @property {?number} lower
 * @property {?number} [score] The score that is read; none: the calibration alone.
 * @property {import("./axis.js").Axis} [axis] An axis to share with something else.
 */

function axisFor({ calibration, upper, lower, score }) {
  const known = [...calibration.edges, upper, lower].filter((x) => x !== null);
  const low = Math.min(...known), high = Math.max(...known);
  const room = FAR * (high - low);
  const reached = score === null || score === undefined
    ? []
    : [Math.min(Math.max(score, low - room), high + room)];
  return axisOf([...known, ...reached]);
}

function bars({ calibration }, axis) {
  const boxes = calibration.counts.map((n, bin) => {
    const from = axis.share(calibration.edges[bin]), to = axis.share(calibration.edges[bin + 1]);
    // Equal areas are equal shares of the pictures, whatever the widths on this axis.
    return { n, from, wide: Math.max(to - from, 1e-4) };
  });
  const top = Math.max(...boxes.map(({ n, wide }) => n / wide), 1e-9);
  return boxes.filter(({ n }) => n > 0).map(({ n, from, wide }) => {
    const tall = Math.max((n / wide / top) * (HIGH - 6), 1);
    const gap = wide * WIDE > 8 ? 1.5 : 0;
    return svg(
      "rect",
      { class: "bar", x: from * WIDE, y: HIGH - tall, width: wide * WIDE - gap, height: tall },
    );
  });
}

function whereabouts(score, upper, lower) {
  if (score > upper) return "above the threshold";
  if (lower !== null && score < lower) return "below the lower limit";
  return lower === null ? "not above the threshold" : "between the limits";
}

function sentence({ calibration, upper, lower, score }) {
  const limits = lower === null
    ? `the threshold ${number(upper)}`
    : `the limits ${number(lower)} and ${number(upper)}`;
  const whole =
    `Histogram of the scores of ${count(calibration.n)} held-out normal pictures with ${limits}`;
  return score === null
    ? `${whole}.`
    : `${whole}; the score ${number(score)} lies ${whereabouts(score, upper, lower)}.`;
}

/** A label at a place of the axis, turned inwards where it would leave the figure. */
function label(share, kind, ...text) {
  const element = make("span", { class: `at ${kind}${share > 0.72 ? " leftwards" : ""}` }, ...text);
  element.style.left = `${100 * share}%`;
  return element;
}

/** @param {Reading} reading @returns {HTMLElement} */
export function histogram(reading) {
  const { calibration, upper, lower, score = null } = reading;
  const axis = reading.axis ?? axisFor(reading);
  const x = (value) => axis.share(value) * WIDE;
  const line = (value, kind) =>
    svg("line", { class: kind, x1: x(value), x2: x(value), y1: 0, y2: HIGH });
  const drawing = svg(
    "svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "beyond", x: x(upper), y: 0, width: WIDE - x(upper), height: HIGH }),
    lower !== null && svg("rect", { class: "beyond", x: 0, y: 0, width: x(lower), height: HIGH }),
    bars(reading, axis),
    svg("line", { class: "base", x1: 0, x2: WIDE, y1: HIGH, y2: HIGH }),
    line(upper, "limit"), lower !== null && line(lower, "limit"),
    score !== null && line(score, "score"),
  );
  const outside = score !== null && (score > axis.high || score < axis.low);
  const beyond = score !== null && (score > upper || (lower !== null && score < lower));
  return make(
    "figure",
    {
      class: "histogram",
      role: "img",
      "aria-label": sentence({ calibration, upper, lower, score }),
    },
    make(
      "div", { class: "limits", "aria-hidden": "true" },
      lower !== null && label(axis.share(lower), "limit", `lower ${number(lower)}`),
      label(
        axis.share(upper),
        `limit${lower !== null && axis.share(upper) - axis.share(lower) < 0.4 ? " raised" : ""}`,
        `threshold ${number(upper)}`,
      ),
    ),
    drawing,
    make(
      "div", { class: "readings", "aria-hidden": "true" },
      score === null
        ? [label(axis.share(calibration.edges[0]), "end", number(calibration.edges[0])),
          label(axis.share(calibration.edges.at(-1)), "end last", number(calibration.edges.at(-1)))]
        : label(
          axis.share(score),
          `score ${beyond ? "anomalous" : "normal"}`,
          `${outside && score > axis.high ? "further out: " : ""}score ${number(score)}`,
        ),
    ),
  );
}
