// The view in which a person says whether verdicts are right: one picture, one key.

import { Refusal } from "./api.js";
import { blobOf, createAddresses } from "./blobs.js";
import { button, confirmed, fill, foreign, make } from "./dom.js";
import { histogram } from "./histogram.js";
import { createOverlay } from "./overlay.js";
import { createRecalibration } from "./recalibrate.js";
import { createFigures } from "./review_figures.js";
import { createReviewing } from "./reviewing.js";
import { verdictMark } from "./shapes.js";
import { count, counted, moment, number, pInWords } from "./words.js";

const ORDERS = {
  uncertain: ["most uncertain first", "Those nearest to the threshold come first: a person's word helps there most. They are no fair sample, so precision and recall of them look worse than they are."],
  random: ["random", "Chance picks: only in this order do the judged pictures stand fairly for all that were kept, and only from them precision and recall can be told."],
  latest: ["latest first", "What came in last comes first. It is no fair sample of all that were kept."],
};
const STATES = { saving: "saving …", saved: "saved", refused: "not saved", withdrawing: "taking back …" };
const OPPOSITE = { normal: "anomalous", anomalous: "normal" };

/** Pictures and maps fetched before they are needed. */
function createViews(api) {
  /** @type {Map<number, {stop: AbortController, views: Promise<Object>}>} */
  const fetched = new Map();
  const reasonOf = (error) => (error instanceof Refusal ? error.message : "It could not be read.");

  async function fetchAll(id, signal) {
    const [views, picture] = await Promise.allSettled([api.views(id, ["heatmap", "input"], signal), api.picture(id, signal)]);
    const result = views.value ?? null;
    return {
      picture: picture.value ?? null, heat: blobOf(result?.heatmap), seen: blobOf(result?.input), revision: result?.revision ?? null,
      why: result ? result.error?.detail ?? "There is no heat map for this picture." : `There is no heat map: ${reasonOf(views.reason)}`,
    };
  }

  return {
    /** @param {number[]} ids Those that are needed; others are let go. */
    keep(ids) {
      for (const [id, { stop }] of fetched) {
        if (ids.includes(id)) continue;
        stop.abort();
        fetched.delete(id);
      }
      for (const id of ids) {
        if (fetched.has(id)) continue;
        const stop = new AbortController();
        fetched.set(id, { stop, views: fetchAll(id, stop.signal) });
      }
    },
    of: (id) => fetched.get(id).views,
  };
}

/**
 * @param {HTMLElement} element
 * @param {import("./main.js").Context} context
 */
export function createReview(element, { api, state, keys, speak, refresh }) {
  const views = createViews(api);
  const addresses = createAddresses();
  const overlay = createOverlay();
  const figures = createFigures({ api, state, speak });
  const recalibration = createRecalibration({ api, state, speak, refresh: () => { refresh(); figures.load(); } });
  let shownId = null, begun = null;

  const order = make("select", { id: "review-order", onchange: () => begin(order.value) }, Object.entries(ORDERS).map(([name, [label]]) => make("option", { value: name }, label)));
  const why = make("p", { class: "small why-order", id: "why-order" });
  const waiting = make("p", { class: "waiting-count" });
  const trouble = make("div", { class: "trouble-box", role: "alert" });
  const title = make("h2", { class: "review-name" });
  const verdict = make("div", { class: "readout" });
  const facts = make("p", { class: "small" });
  const dial = make("div", {});
  const seenImage = make("img", { alt: "", decoding: "async" });
  const seen = make("figure", { class: "seen" }, seenImage, make("figcaption", {}, "What the model saw"));
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
  const trail = make("ol", { class: "trail" });
  const trailBox = make("section", { class: "panel", "aria-label": "Just judged" }, make("h3", {}, "Just judged"), trail);
  element.append(
    make("div", { class: "review-head" }, make("div", { class: "field" }, make("label", { for: "review-order" }, "Order"), order), waiting),
    why, trouble,
    make("div", { class: "review-work" }, make("div", { class: "left" }, card, nothing, trailBox), make("div", { class: "right" }, figures.element, recalibration.element)),
  );

  const reviewing = createReviewing({
    api, changed: draw, saved: () => figures.soon(),
    trouble(words) { fill(trouble, make("p", {}, words), button("Dismiss", () => fill(trouble))); },
  });

  function judgement(word, correct, letter, arrow) {
    const meaning = make("span", { class: "meaning" });
    const control = make(
      "button", { type: "button", class: `big ${correct ? "right" : "wrong"}`, "aria-keyshortcuts": `${letter} ${correct ? "ArrowRight" : "ArrowLeft"}`, onclick: () => judge(correct) },
      make("span", { class: "word" }, word), meaning, make("span", { class: "hint", "aria-hidden": "true" }, make("kbd", {}, letter), " ", make("kbd", {}, arrow)),
    );
    return { element: control, meaning };
  }

  function judge(correct) {
    const one = reviewing.judge(correct);
    if (!one) return;
    const { current } = reviewing.now();
    speak(`${one.waiting.picture.name}: ${correct ? "right" : "wrong"}. ${current ? `Next: ${current.picture.name}, ${current.picture.verdict}.` : "No more pictures."}`);
  }

  async function askRemove() {
    const { current } = reviewing.now();
    if (!current) return;
    const sure = await confirmed({ title: "Delete this picture?", text: `${current.picture.name} is removed from the store for good, with all that was said of it.`, act: "Delete it" });
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
    if (failure) fill(nothing, make("h2", {}, "The pictures could not be fetched"), make("p", {}, failure), button("Try again", () => reviewing.load()));
    else if (loading) fill(nothing, make("p", {}, "Fetching …"));
    else if (skipped) fill(nothing, make("h2", {}, "Only skipped pictures are left"), make("p", {}, `${counted(skipped, "picture was", "pictures were")} skipped.`), button("Show them again", () => reviewing.unskip(), { class: "strong" }));
    else fill(nothing, make("h2", {}, "Nothing waits"), make("p", {}, "Every kept picture of this model is judged. New ones appear as pictures are scored."), button("Look again", () => reviewing.load()));
  }

  function drawTrail(judged) {
    trailBox.hidden = judged.length === 0;
    fill(trail, judged.slice(0, 6).map(({ waiting: { picture }, correct, state: at, reason }) => make(
      "li", { class: at }, make("span", { class: "trail-name" }, foreign(picture.name)),
      make("span", {}, `${picture.verdict} is ${correct ? "right" : "wrong"}`), make("span", { class: "trail-state" }, STATES[at], reason && `: ${reason}`),
    )));
  }

  function draw() {
    const now = reviewing.now();
    waiting.textContent = now.waiting === null ? "" : `${count(now.waiting)} ${now.waiting === 1 ? "waits" : "wait"}`;
    drawTrail(now.judged);
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
    fill(verdict, verdictMark(picture.verdict), make("p", { class: "meaning" }, `Score ${number(picture.score)}. ${pInWords(picture.p_value, model?.calibration.n)}.`));
    right.meaning.textContent = `it is ${picture.verdict}`;
    wrong.meaning.textContent = `it is ${OPPOSITE[picture.verdict]}`;
    facts.textContent = `Number ${picture.id}, scored ${moment(picture.created)} by revision ${picture.revision}.`;
    if (model) fill(dial, histogram({ calibration: model.calibration, upper: picture.threshold, lower: picture.lower, score: picture.score }));
    else fill(dial);
    views.of(picture.id).then((fetched) => { if (picture.id === shownId) showViews(picture, fetched); });
  }

  function showViews(picture, { picture: own, heat, seen: input, why: missing }) {
    const { model } = state.now();
    const seenAddress = input && addresses.of(input);
    overlay.show({
      picture: own && addresses.of(own), seen: seenAddress, heat, alt: `The picture ${picture.name}`, why: missing,
      input: model?.input, width: picture.width, height: picture.height,
    });
    seen.hidden = !seenAddress;
    seen.classList.toggle("pixels", Boolean(model && Math.max(model.input.width, model.input.height) <= 128));
    if (seenAddress) {
      seenImage.src = seenAddress;
      seenImage.alt = `What the model saw of ${picture.name}`;
    }
  }

  const isHere = () => state.now().route === "review";
  const isJudging = () => isHere() && reviewing.now().current !== null;
  keys.bind(
    { group: "Review", keys: ["r", "ArrowRight"], words: "the verdict is right", when: isJudging, act: () => judge(true) },
    { group: "Review", keys: ["w", "ArrowLeft"], words: "the verdict is wrong", when: isJudging, act: () => judge(false) },
    { group: "Review", keys: ["u"], words: "take the last judgement back", when: isHere, act: () => reviewing.undo() },
    { group: "Review", keys: ["s"], words: "skip this picture", when: isJudging, act: () => reviewing.skip() },
  );
  window.addEventListener("beforeunload", (event) => { if (reviewing.isSaving()) event.preventDefault(); });
  state.follow((now, before) => {
    if (now.route !== "review" || !now.chosen) return;
    const entered = before.route !== "review" || before.session !== now.session;
    if (begun !== `${now.chosen} ${order.value}`) begin(order.value);
    else if (entered && !reviewing.now().current) reviewing.load();
    if (entered || now.chosen !== before.chosen) figures.load();
    if (now.model !== before.model && shownId !== null) {
      shownId = null;
      draw();
    }
    recalibration.draw();
  });
}
