// The head of the page: which model, whether it drifts, and who is asking.

import { button, fill, foreign, make } from "./dom.js";
import { alarmShape } from "./shapes.js";

const PLACE = "residua.model";

/** The model to begin with: the one of last time, if it is still served. */
export function remembered(models) {
  let last = null;
  try {
    last = localStorage.getItem(PLACE);
  } catch { /* Nothing is kept: the first. */ }
  return models.find(({ name }) => name === last)?.name ?? models[0]?.name ?? null;
}

function remember(name) {
  try {
    localStorage.setItem(PLACE, name);
  } catch { /* It is asked again next time. */ }
}

/**
 * @param {HTMLElement} element
 * @param {Pick<import("./main.js").Context, "api"|"state"|"keys">} context
 * @param {() => void} leave Forget the token.
 */
export function createStation(element, { api, state, keys }, leave) {
  const chooser = make(
    "select",
    {
      id: "chooser",
      onchange: () => { remember(chooser.value); state.set({ chosen: chooser.value }); },
    },
  );
  const single = make("span", { class: "single" });
  const model = make(
    "div", { class: "model-choice" },
    make("label", { for: "chooser" }, "Model"),
    chooser,
    single,
  );
  const badge = make(
    "a", { class: "badge", href: "#/model", hidden: true },
    alarmShape(),
    make("span", {}, "Drift"),
  );
  const role = make("span", { class: "role" });
  const out = button("Sign out", leave, { class: "quiet", hidden: true });
  const help = button("?", () => keys.show(), {
    class: "help",
    "aria-label": "Keys",
    title: "Keys",
  });
  fill(element, model, badge, role, out, help);

  function draw({ session, models, chosen }) {
    model.hidden = models.length === 0;
    chooser.hidden = models.length < 2;
    single.hidden = models.length !== 1;
    fill(single, models.length === 1 && foreign(models[0].name));
    const names = models.map(({ name }) => name);
    if (JSON.stringify(names) !== JSON.stringify([...chooser.options].map(({ value }) => value)))
      fill(chooser, names.map((name) => make("option", { value: name }, name)));
    if (chosen) chooser.value = chosen;
    const drifting = models.filter(({ drift }) => drift.alarm).map(({ name }) => name);
    badge.hidden = !drifting.includes(chosen);
    badge.setAttribute("aria-label", `Drift alarm: the scores of ${chosen} have drifted`);
    role.hidden = help.hidden = !session;
    role.textContent = session
      ? (session.name ? `${session.name} (${session.role})` : session.role)
      : "";
    out.hidden = !session || !api.hasToken();
  }

  state.follow(draw);
  draw(state.now());
}
