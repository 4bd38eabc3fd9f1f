// The view of the model that is worked with: its card, its calibration, and whether scores drift.

import { button, confirmed, fill, foreign, make } from "./dom.js";
import { histogram } from "./histogram.js";
import { alarmShape, shape } from "./shapes.js";
import { count, moment, number, percent } from "./words.js";

function limits({ threshold }) {
  const { upper, lower, rule, n_normal: n, promised_rate: promised } = threshold;
  const said = lower === null
    ? `Scores above ${number(upper)} are anomalous`
    : `Scores above ${number(upper)} or below ${number(lower)} are anomalous`;
  const rate = promised === null
    ? ""
    : `; it means to flag ${percent(promised)} of normal pictures`;
  return `${said}. The rule ${rule} set this from ${count(n)} held-out normal pictures${rate}.`;
}

/**
 * @param {HTMLElement} element
 * @param {import("./main.js").Context} context
 */
export function createModel(element, { api, state, speak, refresh }) {
  const title = make("h2", { class: "model-name" });
  const subject = make("p", { class: "subject" });
  const notes = make("div", { class: "notes" });
  const dial = make("section", { class: "panel", "aria-label": "Calibration" });
  const drift = make("section", { class: "panel", "aria-label": "Drift" });
  const facts = make("dl", { class: "facts wide" });
  const work = make(
    "div", { class: "model-work" },
    make("div", {}, dial, drift),
    make("section", { class: "panel", "aria-label": "Card" }, make("h3", {}, "Card"), facts),
  );
  element.append(make("div", { class: "model-head" }, title, subject), notes, work);

  function drawDrift(model, isAdmin) {
    const { drift: found } = model;
    const word = found.alarm
      ? "The scores have drifted"
      : found.distance === null ? "Too few scores to tell yet" : "No drift seen";
    const kind = found.alarm ? "anomalous" : found.distance === null ? "none" : "normal";
    const rows = [
      ["Scores seen", count(found.watched)],
      ["Compared at a time", count(found.window)],
      ["Looks taken", count(found.looks)],
      found.distance !== null && ["Distance, 0 to 1", number(found.distance)],
      found.p_value !== null && ["Comes by chance with p", number(found.p_value)],
      found.level !== null && ["Alarm below p", number(found.level)],
      found.alarm && found.since !== null && ["Alarm since", moment(found.since)],
    ];
    fill(
      drift, make("h3", {}, "Drift"),
      make(
        "p", { class: `readout ${kind}` },
        make(
          "span", { class: `verdict ${kind}` },
          found.alarm ? alarmShape() : shape(kind),
          make("span", {}, word),
        ),
      ),
      make("p", {}, found.words),
      make(
        "dl", { class: "facts" },
        rows.filter(Boolean).map(([name, value]) => make(
          "div", {},
          make("dt", {}, name),
          make("dd", {}, value),
        )),
      ),
      isAdmin && button("Start the watch anew …", () => reset(model.name)),
    );
  }

  async function reset(name) {
    const sure = await confirmed({
      title: "Start the watch for drift anew?",
      text: `The alarm of ${name}, if there is one, is taken down, and the scores seen so far are `
        + "forgotten. Do so when the cause is found.",
      act: "Start anew",
    });
    if (!sure) return;
    try {
      const model = await api.resetDrift(name);
      if (state.now().chosen === name) state.set({ model });
      refresh();
      speak("The watch for drift starts anew.");
    } catch (error) {
      notes.prepend(
        make("p", { class: "note trouble", role: "alert" }, `Nothing was changed. ${error.message}`)
      );
    }
  }

  function draw({ model, chosen, session }) {
    notes.hidden = work.hidden = !model;
    if (!model) {
      fill(title, foreign(chosen ?? "No model"));
      subject.textContent = chosen ? "Fetching its card …" : "";
      return;
    }
    fill(title, foreign(model.name));
    const { width, height, channels, resize } = model.input;
    const colours = { 1: "grey", 3: "RGB" }[channels] ?? `${channels} channels`;
    subject.textContent = `Revision ${model.revision}, in service since ${moment(model.loaded)}. `
      + `Pictures are brought to ${width} × ${height}, ${colours} (${resize}).`;
    fill(
      notes,
      model.reload_failed && make(
        "p", { class: "note trouble" },
        "The bundle that now lies on disk is not served; this revision still is. ",
        model.reload_failed,
      ),
      model.warnings.map((warning) => make("p", { class: "note" }, warning)),
    );
    fill(
      dial, make("h3", {}, "Calibration"), make("p", {}, limits(model)),
      histogram({
        calibration: model.calibration,
        upper: model.threshold.upper,
        lower: model.threshold.lower,
      }),
    );
    drawDrift(model, session?.role === "admin");
    fill(
      facts,
      model.facts.map(({ name, value }) => make(
        "div", {},
        make("dt", {}, name),
        make("dd", {}, foreign(value)),
      )),
    );
  }

  state.follow((now, before) => {
    if (
      now.model !== before.model
      || now.chosen !== before.chosen
      || now.session !== before.session
    )
      draw(now);
  });
}
