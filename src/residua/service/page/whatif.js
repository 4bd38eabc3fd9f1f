// The threshold that can be moved: how many would be flagged. Nothing of it reaches the service.

import { axisOf } from "./axis.js";
import { shareFlagged } from "./calibration.js";
import { button, fill, make } from "./dom.js";
import { histogram } from "./histogram.js";
import { count, counted, isFlagged, number, percent } from "./words.js";

const STEPS = 1000;

/** Verdict that a result would have; null: it has no score. */
export function verdictAt(result, upper) {
  if (!result || result.score === null) return null;
  return isFlagged(result.score, upper, result.lower) ? "anomalous" : "normal";
}

/**
 * @param {Object} needs
 * @param {() => import("./records.js").PictureResult[]} needs.results The scored results of the
 *   batch.
 * @param {(upper: ?number) => void} needs.moved The threshold that is tried; null: the model's own.
 */
export function createWhatIf({ results, moved }) {
  let model = null, axis = null, tried = null;
  const drawing = make("div", { class: "whatif-drawing" });
  const slider = make(
    "input",
    {
      type: "range",
      min: 0,
      max: STEPS,
      id: "whatif-slide",
      "aria-label": "Threshold to try",
      "aria-describedby": "whatif-said",
      oninput: () => move(Number(axis.value(slider.value / STEPS).toPrecision(5))),
    },
  );
  const exact = make(
    "input",
    {
      type: "number",
      step: "any",
      inputmode: "decimal",
      "aria-label": "Threshold to try, as a number",
      onchange: () => (Number.isFinite(exact.valueAsNumber) ? move(exact.valueAsNumber) : show()),
    },
  );
  const reset = button("Back to the model's own", () => move(null));
  const said = make("p", { class: "said", id: "whatif-said", role: "status" });
  const element = make(
    "details", { class: "panel whatif", ontoggle: () => show() },
    make("summary", {}, make("h3", {}, "What if the threshold were another?")),
    make(
      "p", { class: "small" },
      "To look only: it changes nothing on the service and no verdict.",
    ),
    drawing, slider,
    make("div", { class: "choices start" }, exact, reset),
    said,
  );

  function move(upper) {
    tried = upper;
    show();
    moved(upper);
  }

  function sentence(upper) {
    const all = results();
    const at = all.map((result) => verdictAt(result, upper));
    const flagged = at.filter((verdict) => verdict === "anomalous").length;
    const changed = all.filter((result, k) => result.verdict !== at[k]).length;
    const share = shareFlagged(model.calibration, upper, model.threshold.lower);
    const change = changed
      ? `${counted(changed, "verdict")} would change.`
      : "No verdict would change.";
    return `At ${number(upper)}, ${count(flagged)} of ${count(all.length)} pictures here and about `
      + `${percent(share)} of the calibration pictures would be flagged. ${change}`;
  }

  function show() {
    element.hidden = model === null || results().length === 0;
    if (element.hidden || !element.open) return;
    const upper = tried ?? model.threshold.upper;
    const scores = results().map((result) => result.score);
    axis = axisOf([...model.calibration.edges, model.threshold.upper, ...scores, upper]);
    fill(
      drawing,
      histogram({ calibration: model.calibration, upper, lower: model.threshold.lower, axis }),
    );
    slider.value = String(Math.round(axis.share(upper) * STEPS));
    slider.setAttribute("aria-valuetext", number(upper));
    // What is being typed stays, whatever results come in meanwhile.
    if (document.activeElement !== exact) exact.value = String(upper);
    reset.disabled = tried === null;
    said.textContent = sentence(upper);
  }

  return {
    element,
    tried: () => tried,
    /** Follow the batch; `model` is the one that scored it. */
    update(of) {
      if (of?.name !== model?.name || of?.revision !== model?.revision) tried = null;
      model = of;
      show();
    },
  };
}
