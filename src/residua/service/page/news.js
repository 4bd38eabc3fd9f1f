// What changes on the service while the page is open, said in a quiet line.

import { button, fill, foreign, make } from "./dom.js";
import { number } from "./words.js";

/** What is news of the model that is worked with; null: nothing. */
function newsOf(now, before) {
  const was = before.models.find(({ name }) => name === before.chosen);
  if (!was || !now.session) return null;
  const is = now.models.find(({ name }) => name === before.chosen);
  if (!is) return [foreign(was.name), " is no longer served."];
  // What was done from this page is said where it was done: then its card is here already.
  if (is.revision === was.revision || is.revision === now.model?.revision) return null;
  const { upper } = is.threshold;
  const limit = upper === was.threshold.upper
    ? "its threshold is the same"
    : `its threshold is ${number(upper)}, before ${number(was.threshold.upper)}`;
  return [foreign(is.name), ` was replaced: revision ${is.revision} is served now; ${limit}.`];
}

/**
 * @param {HTMLElement} element
 * @param {Pick<import("./main.js").Context, "state">} context
 */
export function createNews(element, { state }) {
  let news = null;

  function draw({ away, session }) {
    const said = away && session
      ? `The service at ${location.host} cannot be reached. It is looked for every few seconds.`
      : news;
    element.hidden = said === null;
    element.classList.toggle("away", Boolean(away));
    if (said === null) return fill(element);
    const dismiss = () => { news = null; draw(state.now()); };
    fill(
      element,
      make("span", {}, said),
      said === news && button("Dismiss", dismiss, { class: "quiet" }),
    );
  }

  state.follow((now, before) => {
    const found = newsOf(now, before);
    const elsewhere = now.chosen !== before.chosen || now.session !== before.session;
    if (found) news = found;
    else if (elsewhere) news = null;
    if (found || elsewhere || now.away !== before.away) draw(now);
  });
}
