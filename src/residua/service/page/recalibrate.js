// The threshold fitted anew from confirmed pictures: first what it would change, then the act.

import { button, confirmed, fill, make } from "./dom.js";
import { count, counted, number, percent } from "./words.js";

const SAMPLES = {
  random: "judged in random order (a fair sample)",
  all: "all that were confirmed normal",
};

function comparison(preview) {
  const { before, after, pictures, reviewed } = preview;
  const limit = (value) => (value === null ? "none" : number(value));
  const rate = (value) => (value === null ? "not named" : percent(value));
  const rows = [
    ["Threshold", limit(before.upper), limit(after.upper)],
    (before.lower !== null || after.lower !== null) && [
      "Lower limit",
      limit(before.lower),
      limit(after.lower),
    ],
    ["Rule", before.rule, after.rule],
    ["Normal pictures it rests on", count(before.n_normal), count(after.n_normal)],
    ["Normal pictures meant to be flagged", rate(before.promised_rate), rate(after.promised_rate)],
    [
      `Flagged of these ${count(pictures)}`,
      count(preview.flagged_before),
      count(preview.flagged_after),
    ],
    [
      `Judged right of all ${count(reviewed)} reviewed`,
      count(preview.reviewed_right_before),
      count(preview.reviewed_right_after),
    ],
  ];
  return make(
    "div", { class: "scroll" },
    make(
      "table",
      { class: "comparison" },
      make("caption", { class: "spoken" }, "What the new threshold would change"),
      make(
        "thead", {},
        make(
          "tr", {},
          make("td"),
          make("th", { scope: "col" }, "now"),
          make("th", { scope: "col" }, "then"),
        ),
      ),
      make(
        "tbody", {},
        rows.filter(Boolean).map(([name, now, then]) => make(
          "tr", { class: now === then ? "" : "differs" },
          make("th", { scope: "row" }, name),
          make("td", {}, now),
          make("td", {}, then),
        )),
      ),
    ),
  );
}

/** @param {Pick<import("./main.js").Context, "api"|"state"|"speak"|"refresh">} context */
export function createRecalibration({ api, state, speak, refresh }) {
  const sample = make(
    "select", { id: "recalibrate-sample", onchange: outdate },
    Object.entries(SAMPLES).map(([name, label]) => make("option", { value: name }, label)),
  );
  const rule = make(
    "input",
    {
      type: "text",
      id: "recalibrate-rule",
      maxlength: 100,
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "the rule of the fit",
      "aria-describedby": "rule-example",
      oninput: outdate,
    },
  );
  const look = button("Show what it would change", preview);
  const shown = make(
    "div", { class: "preview", role: "region", "aria-label": "What it would change" },
  );
  const said = make("p", { class: "trouble", role: "alert" });
  const element = make(
    "details", { class: "panel recalibration" },
    make("summary", {}, make("h3", {}, "Recalibrate from confirmed normal pictures")),
    make(
      "p", { class: "small" },
      "The network stays as it is; its threshold and p-values are fitted anew. First you see what "
        + "it would change.",
    ),
    make(
      "div", { class: "field" },
      make("label", { for: "recalibrate-sample" }, "Pictures"),
      sample,
    ),
    make(
      "div", { class: "field" },
      make("label", { for: "recalibrate-rule" }, "Threshold rule"),
      rule,
      make("span", { class: "small", id: "rule-example" }, "such as conformal(0.01)"),
    ),
    look, said, shown,
  );
  let of = null, turn = 0;

  function outdate() {
    turn++;
    fill(shown);
    said.textContent = "";
    look.disabled = false;
  }

  async function preview() {
    const mine = ++turn, name = state.now().chosen;
    fill(shown, make("p", { class: "small" }, "Computing …"));
    said.textContent = "";
    look.disabled = true;
    try {
      const found = await api.preview(name, {
        sample: sample.value,
        threshold: rule.value.trim() || null,
      });
      if (mine !== turn) return;
      fill(
        shown,
        make("p", {}, `From ${counted(found.pictures, "confirmed normal picture")}:`),
        comparison(found),
        found.warnings.map((warning) => make("p", { class: "note" }, warning)),
        button(`Serve ${name} with the new threshold …`, () => act(name, found), {
          class: "strong",
        }),
      );
      speak(
        `The threshold would go from ${number(found.before.upper)} to ${number(found.after.upper)}.`
      );
    } catch (error) {
      if (mine !== turn) return;
      fill(shown);
      said.textContent = error.message;
    } finally {
      if (mine === turn) look.disabled = false;
    }
  }

  async function act(name, found) {
    const sure = await confirmed({
      title: `Serve ${name} with another threshold?`,
      text: `The threshold goes from ${number(found.before.upper)} to `
        + `${number(found.after.upper)}, for everyone who scores with this model, from now `
        + `on.${found.warnings.length ? ` Against it speaks: ${found.warnings.join(" ")}` : ""}`,
      act: "Serve the new threshold",
    });
    if (!sure) return;
    const mine = ++turn;
    try {
      const model = await api.recalibrate(name, found.confirmation);
      if (state.now().chosen === name) state.set({ model });
      refresh();
      if (mine !== turn) return;
      fill(
        shown,
        make(
          "p", { class: "done" },
          `Done: ${name} is served with the threshold ${number(model.threshold.upper)}, as `
            + `revision ${model.revision}.`,
        ),
      );
      speak("The new threshold is served.");
    } catch (error) {
      if (mine !== turn) return;
      fill(shown);
      said.textContent = `Nothing was changed. ${error.message}`;
    }
  }

  return {
    element,
    draw() {
      const { session, chosen } = state.now();
      element.hidden = session?.role !== "admin";
      if (chosen !== of) outdate();
      of = chosen;
    },
  };
}
