// The latest judgements and what became of each.

import { fill, foreign, make } from "./dom.js";

const LISTED = 6;
const STATES = {
  saving: "saving …",
  saved: "saved",
  refused: "not saved",
  withdrawing: "taking back …",
};

/** @param {import("./reviewing.js").Judged} judged */
function line({ waiting: { picture }, correct, state, reason }) {
  return make(
    "li", { class: state },
    make("span", { class: "trail-name" }, foreign(picture.name)),
    make("span", {}, `${picture.verdict} is ${correct ? "right" : "wrong"}`),
    make("span", { class: "trail-state" }, STATES[state], reason && `: ${reason}`),
  );
}

export function createTrail() {
  const list = make("ol", { class: "trail" });
  const element = make(
    "section", { class: "panel", "aria-label": "Just judged" },
    make("h3", {}, "Just judged"),
    list,
  );
  return {
    element,
    /** @param {import("./reviewing.js").Judged[]} judged The latest first. */
    show(judged) {
      element.hidden = judged.length === 0;
      fill(list, judged.slice(0, LISTED).map(line));
    },
  };
}
