// The view in which a person says whether verdicts are right: one picture, one key.

import { createAddresses } from "./blobs.js";
import { button, confirmed, fill, foreign, make } from "./dom.js";
import { histogram } from "./histogram.js";
import { createOverlay } from "./overlay.js";
import { createRecalibration } from "./recalibrate.js";
import { createFigures } from "./review_figures.js";
import { createReviewing } from "./reviewing.js";
import { verdictMark } from "./shapes.js";
import { createTrail } from "./trail.js";
import { createViews } from "./views.js";
import { count, counted, moment, number, pInWords } from "./words.js";

const ORDERS = {
  uncertain: [
    "most uncertain first",
    "Those nearest to the threshold come first: a person's word helps there most. They are no fair "
      + "sample: precision and recall cannot be read from them.",
  ],
  random: [
    "random",
    "Chance picks: only in this order do the judged pictures stand fairly for all that were kept, "
      + "and only from them precision and recall can be told.",
  ],
  latest: [
    "latest first",
    "What came in last comes first. It is no fair sample of all that were kept.",
  ],
};
const cardOf = (model) => model && `${model.name} ${model.revision}`;
const OPPOSITE = { normal: "anomalous", anomalous: "normal" };

/**
 * @param {HTMLElement} element
 * @param {import("./main.js").Context} context
 */
export function createReview(element, { api, state, keys, speak, refresh }) {
  const views = createViews(api);
  const addresses = createAddresses();
  const overlay = createOverlay();
  const figures = createFigures({ api, state, speak });
  const recalibration = createRecalibration({
    api,
    state,
    speak,
    refresh: () => { refresh(); figures.load(); },
  });
  let shownId = null, begun = null;

  const order = make(
    "select", { id: "review-order", onchange: () => begin(order.value) },
    Object.entries(ORDERS).map(([name, [label]]) => make("option", { value: name }, label)),
  );
  const why = make("p", { class: "small why-order", id: "why-order" });
  const waiting = make("p", { class: "waiting-count" });
  const trouble = make("div", { class: "trouble-box", role: "alert" });
  const title = make("h2", { class: "review-name" });
  const verdict = make("div", { class: "readout" });
  const facts = make("p", { class: "small" });
  const dial = make("div", {});
  const seenImage = make("img", { alt: "", decoding: "async" });
  const seen = make(
    "figure", { class: "seen" },
    seenImage,
    make("figcaption", {}, "What the model saw"),
  );
  const wrong = judgement("Wrong", false, "W", "←"), right = judgement("Right", true, "R", "→");
  const undo = button("Undo", () => reviewing.undo(), { "aria-keyshortcuts": "U" });
  const skip = button("Skip", () => reviewing.skip(), { "aria-keyshortcuts": "S" });
  const remove = button("Delete this picture", askRemove, { class: "quiet" });
  const card = make(
    "article", { class: "panel judge", "aria-labelledby": "review-name" },
    make("div", { class: "judge-top" }, title, verdict),
    make("div", { class: "judge-pictures" }, overlay.element, seen),
    make("div", { class: "judge-buttons" }, wrong.element, right.element),
    make("div", { class: "choices start" }, undo, skip, remove),
    dial, facts,
  );
  title.id = "review-name";
  const nothing = make("div", { class: "panel nothing", hidden: true });
  const trail = createTrail();
  element.append(
    make(
      "div", { class: "review-head" },
      make("div", { class: "field" }, make("label", { for: "review-order" }, "Order"), order),
      waiting,
    ),
    why, trouble,
    make(
      "div", { class: "review-work" },
      make("div", { class: "left" }, card, nothing, trail.element),
      make("div", { class: "right" }, figures.element, recalibration.element),
    ),
  );

  const reviewing = createReviewing({
    api, changed: draw, saved: () => figures.soon(),
    trouble(words) { fill(trouble, make("p", {}, words), button("Dismiss", () => fill(trouble))); },
  });

  function judgement(word, correct, letter, arrow) {
    const meaning = make("span", { class: "meaning" });
    const control = make(
      "button",
      {
        type: "button",
        class: `big ${correct ? "right" : "wrong"}`,
        "aria-keyshortcuts": `${letter} ${correct ? "ArrowRight" : "ArrowLeft"}`,
        onclick: () => judge(correct),
      },
      make("span", { class: "word" }, word),
      meaning,
      make(
        "span", { class: "hint", "aria-hidden": "true" },
        make("kbd", {}, letter),
        " ",
        make("kbd", {}, arrow),
      ),
    );
    return { element: control, meaning };
  }

  function judge(correct) {
    const one = reviewing.judge(correct);
    if (!one) return;
    const { current } = reviewing.now();
    const next = current
      ? `Next: ${current.picture.name}, ${current.picture.verdict}.`
      : "No more pictures.";
    speak(`${one.waiting.picture.name}: ${correct ? "right" : "wrong"}. ${next}`);
  }

  async function askRemove() {
    const { current } = reviewing.now();
    if (!current) return;
    const sure = await confirmed({
      title: "Delete this picture?",
      text: `${current.picture.name} is removed from the store for good, with all that was said of `
        + "it.",
      act: "Delete it",
    });
    if (sure && reviewing.now().current === current) reviewing.remove();
  }

  function begin(by) {
    begun = `${state.now().chosen} ${by}`;
    why.textContent = ORDERS[by][1];
    reviewing.begin(state.now().chosen, by);
  }

  function drawNothing({ failure, loading, skipped, current }) {
    nothing.hidden = current !== null;
    card.hidden = current === null;
    if (current) return;
    if (failure)
      fill(
        nothing,
        make("h2", {}, "The pictures could not be fetched"),
        make("p", {}, failure),
        button("Try again", () => reviewing.load()),
      );
    else if (loading) fill(nothing, make("p", {}, "Fetching …"));
    else if (skipped)
      fill(
        nothing,
        make("h2", {}, "Only skipped pictures are left"),
        make("p", {}, `${counted(skipped, "picture was", "pictures were")} skipped.`),
        button("Show them again", () => reviewing.unskip(), { class: "strong" }),
      );
    else fill(
      nothing,
      make("h2", {}, "Nothing waits"),
      make(
        "p", {},
        "Every kept picture of this model is judged. New ones appear as pictures are scored.",
      ),
      button("Look again", () => reviewing.load()),
    );
  }

  function draw() {
    const now = reviewing.now();
    waiting.textContent = now.waiting === null
      ? ""
      : `${count(now.waiting)} ${now.waiting === 1 ? "waits" : "wait"}`;
    trail.show(now.judged);
    drawNothing(now);
    undo.disabled = !reviewing.canUndo();
    wrong.element.disabled = right.element.disabled = skip.disabled = now.undoing;
    remove.hidden = state.now().session?.role !== "admin";
    views.keep([now.current, ...now.next].filter(Boolean).map(({ picture }) => picture.id));
    const id = now.current?.picture.id ?? null;
    if (id === shownId) return;
    shownId = id;
    addresses.revoke();
    overlay.clear();
    seen.hidden = true;
    if (now.current) show(now.current.picture);
  }

  function show(picture) {
    fill(title, foreign(picture.name));
    verdict.className = `readout ${picture.verdict}`;
    const { model } = state.now();
    fill(
      verdict,
      verdictMark(picture.verdict),
      make(
        "p", { class: "meaning" },
        `Score ${number(picture.score)}. ${pInWords(picture.p_value, model?.calibration.n)}.`,
      ),
    );
    right.meaning.textContent = `it is ${picture.verdict}`;
    wrong.meaning.textContent = `it is ${OPPOSITE[picture.verdict]}`;
    facts.textContent = `Number ${picture.id}, scored ${moment(picture.created)} by revision `
      + `${picture.revision}.`;
    if (model)
      fill(
        dial,
        histogram({
          calibration: model.calibration,
          upper: picture.threshold,
          lower: picture.lower,
          score: picture.score,
        }),
      );
    else fill(dial);
    views.of(picture.id).then((fetched) => {
      if (picture.id === shownId) showViews(picture, fetched);
    });
  }

  function showViews(picture, { picture: own, heat, seen: input, why: missing }) {
    const { model } = state.now();
    const seenAddress = input && addresses.of(input);
    overlay.show({
      picture: own && addresses.of(own),
      seen: seenAddress,
      heat,
      alt: `The picture ${picture.name}`,
      why: missing,
      input: model?.input, width: picture.width, height: picture.height,
    });
    seen.hidden = !seenAddress;
    seen.classList.toggle(
      "pixels",
      Boolean(model && Math.max(model.input.width, model.input.height) <= 128),
    );
    if (seenAddress) {
      seenImage.src = seenAddress;
      seenImage.alt = `What the model saw of ${picture.name}`;
    }
  }

  const isHere = () => state.now().route === "review";
  const isJudging = () => isHere() && reviewing.now().current !== null;
  keys.bind(
    {
      group: "Review", keys: ["r", "ArrowRight"], words: "the verdict is right", when: isJudging,
      act: () => judge(true),
    },
    {
      group: "Review", keys: ["w", "ArrowLeft"], words: "the verdict is wrong", when: isJudging,
      act: () => judge(false),
    },
    {
      group: "Review", keys: ["u"], words: "take the last judgement back", when: isHere,
      act: () => reviewing.undo(),
    },
    {
      group: "Review", keys: ["s"], words: "skip this picture", when: isJudging,
      act: () => reviewing.skip(),
    },
  );
  window.addEventListener("beforeunload", (event) => {
    if (reviewing.isSaving()) event.preventDefault();
  });
  state.follow((now, before) => {
    if (now.route !== "review" || !now.chosen) return;
    const entered = before.route !== "review" || before.session !== now.session;
    if (begun !== `${now.chosen} ${order.value}`) begin(order.value);
    else if (entered && !reviewing.now().current) reviewing.load();
    if (entered || now.chosen !== before.chosen) figures.load();
    // News of its drift changes nothing here; another card draws the picture in sight anew.
    if (cardOf(now.model) !== cardOf(before.model) && shownId !== null) {
      shownId = null;
      draw();
    }
    recalibration.draw();
  });
}
