// One result in full: the verdict, what it rests on, and where the picture is suspect.

import { createAddresses } from "./blobs.js";
import { fill, foreign, make } from "./dom.js";
import { histogram } from "./histogram.js";
import { createOverlay } from "./overlay.js";
import { verdictMark } from "./shapes.js";
import { isFlagged, number, pInWords } from "./words.js";

/** @typedef {import("./batch.js").Item} Item */
/** @typedef {import("./records.js").ModelDetail} ModelDetail */

/** The verdict in a sentence, as it is spoken and shown. @param {Item} item */
export function verdictInWords(item) {
  const { result } = item;
  if (!result || result.score === null)
    return `${item.name}: no verdict. ${item.trouble ?? ""}`.trim();
  const side = result.score > result.threshold
    ? `score ${number(result.score)} is above the threshold ${number(result.threshold)}`
    : isFlagged(result.score, result.threshold, result.lower)
      ? `score ${number(result.score)} is below the lower limit ${number(result.lower)}`
      : `score ${number(result.score)} is within the limits`;
  return `${item.name}: ${result.verdict}; ${side}.`;
}

function reasoning({ result }, calibration) {
  const { score, threshold, lower, p_value: p } = result;
  const times = score > threshold && threshold > 0
    ? ` (${Number((score / threshold).toPrecision(2))} times as high)`
    : "";
  const side = score > threshold
    ? `Its score lies above the threshold${times}.`
    : lower !== null && score < lower
      ? "Its score lies below the lower limit: it is rebuilt better than normal pictures are."
      : lower === null
        ? "Its score does not pass the threshold."
        : "Its score lies between the limits.";
  return [
    make("p", { class: "meaning" }, side),
    p !== null && make(
      "p", { class: "meaning" },
      `${pInWords(p, calibration?.n)} `,
      make("span", { class: "small-inline" }, `(p = ${number(p)})`),
      ".",
    ),
  ];
}

function figure(address, caption, alt, small) {
  return make(
    "figure", { class: small ? "pixels" : "" },
    make("img", { src: address, alt, decoding: "async" }),
    make("figcaption", {}, caption),
  );
}

function asides(item, model) {
  const { result } = item;
  const size = result.width && result.height ? `${result.width} × ${result.height} pixels` : null;
  const limits = result.lower === null
    ? number(result.threshold)
    : `${number(result.lower)} to ${number(result.threshold)}`;
  const kept = result.keeping_failed
    ? make("span", { class: "trouble" }, `not kept: ${result.keeping_failed}`)
    : result.kept !== null && result.kept !== undefined ? `under number ${result.kept}` : null;
  const rows = [
    ["Score", number(result.score)],
    [result.lower === null ? "Threshold" : "Limits", limits],
    ["Size", size],
    ["Model", model ? foreign(`${item.model}, ${item.revision}`) : null], ["Kept for review", kept],
  ];
  return make(
    "dl", { class: "facts" },
    rows.filter(([, value]) => value).map(([name, value]) => make(
      "div", {},
      make("dt", {}, name),
      make("dd", {}, value),
    )),
  );
}

/**
 * The panel on which one result at a time is shown.
 *
 * @param {{turn: (step: number) => void}} asked `turn`: go to the result before (-1) or after (1).
 */
export function createResultPanel({ turn }) {
  const addresses = createAddresses();
  const overlay = createOverlay();
  const title = make("h2", { id: "result-title" });
  const place = make("span", { class: "place" });
  const back = make(
    "button",
    { type: "button", class: "step", "aria-label": "Previous result", onclick: () => turn(-1) },
    "‹",
  );
  const on = make(
    "button",
    { type: "button", class: "step", "aria-label": "Next result", onclick: () => turn(1) },
    "›",
  );
  const body = make("div", { class: "result-body" });
  const element = make(
    "section", { class: "panel result", "aria-labelledby": "result-title", hidden: true },
    make("div", { class: "result-top" }, title, make("div", { class: "steps" }, place, back, on)),
    body,
  );

  function pictures(item, model) {
    const { result } = item;
    const own = item.file && addresses.of(item.file);
    const addressOf = (blob) => blob && addresses.of(blob);
    const seen = addressOf(item.input), rebuilt = addressOf(item.reconstruction);
    overlay.show({
      picture: own,
      seen,
      heat: item.heatmap,
      alt: `The picture ${item.name}`,
      input: model?.input,
      width: result?.width,
      height: result?.height,
      why: result?.score === null || !result ? "" : "There is no heat map for this picture.",
    });
    const small = model && Math.max(model.input.width, model.input.height) <= 128;
    return make(
      "div", { class: "pictures" },
      make("div", { class: "main-picture" }, overlay.element),
      (seen || rebuilt) && make(
        "div", { class: "beside" },
        seen && figure(seen, "What the model saw", `What the model saw of ${item.name}`, small),
        rebuilt && figure(
          rebuilt,
          "What it rebuilt",
          `What the model rebuilt of ${item.name}`,
          small,
        ),
        model && !model.rebuilds_pixels && make(
          "p", { class: "small" },
          "This model rebuilds features, not pixels: there is no reconstruction to look at.",
        ),
      ),
    );
  }

  return {
    element,
    /** Where the result stands among those that are listed. */
    stand(index, of) {
      place.textContent = `${index + 1} of ${of}`;
      back.disabled = index <= 0;
      on.disabled = index >= of - 1;
    },
    /**
     * @param {?Item} item null: nothing is selected.
     * @param {?ModelDetail} model The model that scored it.
     */
    show(item, model) {
      addresses.revoke();
      element.hidden = item === null;
      if (item === null) return overlay.clear();
      const { result } = item;
      fill(title, foreign(item.name));
      if (result && result.score !== null) {
        fill(
          body,
          make(
            "div", { class: `readout ${result.verdict}` },
            verdictMark(result.verdict),
            make("div", {}, reasoning(item, model?.calibration)),
          ),
          model && histogram({
            calibration: model.calibration,
            upper: result.threshold,
            lower: result.lower,
            score: result.score,
          }),
          pictures(item, model),
          asides(item, model),
        );
      } else {
        fill(
          body,
          make(
            "div", { class: "readout none" },
            verdictMark(null),
            make(
              "div", {},
              make("p", { class: "meaning" }, item.troubleTitle ?? "It was not scored yet."),
              item.trouble && make("p", { class: "meaning" }, item.trouble),
            ),
          ),
          pictures(item, model),
        );
      }
    },
  };
}
