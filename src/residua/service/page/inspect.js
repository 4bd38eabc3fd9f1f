// The view in which pictures are scored: what comes in, how far it is, and what came of it.

import { createBatch, isScored } from "./batch.js";
import { download } from "./blobs.js";
import { createCamera } from "./camera.js";
import { csvOf } from "./csv.js";
import { button, make } from "./dom.js";
import { dropped, pasted, timestamp } from "./files.js";
import { createResultPanel, verdictInWords } from "./result.js";
import { createTable } from "./table.js";
import { createThumbs } from "./thumbs.js";
import { createUpload } from "./upload.js";
import { createWhatIf } from "./whatif.js";
import { count, counted } from "./words.js";

const ACCEPT = "image/*,.tif,.tiff,.bmp,.png,.jpg,.jpeg,.webp,.gif,.pgm,.ppm";

function progressInWords(n) {
  const parts = [
    `${count(n.scored)} of ${counted(n.all, "picture")} scored`,
    `${count(n.anomalous)} anomalous`,
  ];
  if (n.failed) parts.push(`${count(n.failed)} without verdict`);
  if (n.stopped) parts.push(`${count(n.stopped)} not scored`);
  return parts.join(", ");
}

/**
 * @param {HTMLElement} element
 * @param {import("./main.js").Context} context
 */
export function createInspect(element, { api, state, keys, speak, refresh }) {
  const batch = createBatch();
  const seen = new Map();
  let chosen = null, drawn = "", frame = 0;
  let sorting = { order: "score", reversed: false };

  const picker = make(
    "input",
    {
      type: "file",
      multiple: true,
      accept: ACCEPT,
      class: "spoken",
      tabindex: -1,
      "aria-label": "Pictures to score",
      onchange: () => { add([...picker.files]); picker.value = ""; },
    },
  );
  const pick = button("Choose pictures", () => picker.click(), {
    class: "strong",
    "aria-keyshortcuts": "O",
  });
  const camera = createCamera({
    taken: (file) => add([file], "camera"),
    isFree: () => !upload.isRunning(),
  });
  const intake = make(
    "section", { class: "intake", "aria-label": "Pictures to score" },
    make("p", { class: "invitation" }, make("strong", {}, "Drop pictures here"), " or paste them"),
    make("div", { class: "choices" }, pick, button("Use the camera", () => camera.start()), picker),
  );
  const meter = make("progress", { max: 1, value: 0, "aria-label": "Pictures scored" });
  const progress = make("p", { class: "progress-said" });
  const waiting = make("p", { class: "waiting", role: "status" });
  const cancel = button("Cancel", () => upload.cancel());
  const again = button("", () => { batch.resume(); upload.start(); });
  const save = button(
    "Results as CSV",
    () => download(csvOf(batch.items()), `residua-${timestamp()}.csv`),
  );
  const clear = button("Clear", empty);
  const way = make(
    "div", { class: "way", hidden: true },
    make("div", { class: "way-said" }, meter, progress, waiting),
    make("div", { class: "choices" }, cancel, again, save, clear),
  );
  const flaggedOnly = make("input", { type: "checkbox", onchange: () => draw() });
  const none = make(
    "p", { class: "small none-flagged", hidden: true },
    "No picture of this batch is flagged.",
  );
  const byWhich = make("span", {});
  const revisions = make(
    "div", { class: "note revisions", hidden: true },
    byWhich,
    button("Score all again", () => { batch.forgetResults(); upload.start(); render(); }),
  );
  const thumbs = createThumbs();
  const table = createTable({ thumbs, opened: open, sorted: (by) => { sorting = by; draw(); } });
  const whatIf = createWhatIf({
    results: () => batch.items().filter(isScored).map((item) => item.result),
    moved: render,
  });
  const panel = createResultPanel({ turn });
  const list = make(
    "section", { class: "panel list", "aria-label": "The batch" },
    make("div", { class: "tools" }, make("label", { class: "check" }, flaggedOnly, "Flagged only")),
    revisions,
    table.element,
    none,
  );
  const work = make(
    "div", { class: "work", hidden: true },
    make("div", { class: "left" }, panel.element),
    make("div", { class: "right" }, list, whatIf.element),
  );
  element.append(intake, camera.element, way, work);

  const upload = createUpload({
    api, batch,
    target() {
      const { chosen: name, session } = state.now();
      return name && session && {
        name,
        max_pictures: session.max_pictures,
        max_bytes: session.max_bytes,
      };
    },
    changed(answered) {
      const strange = answered.some((item) => item.revision && !modelOf(item));
      if (strange) refresh();
      render();
    },
    waiting(words) { waiting.textContent = words; },
    finished() {
      announce();
      refresh();
      render();
    },
  });

  function announce() {
    const n = batch.counts();
    if (!n.all) return;
    const last = batch.items().at(-1);
    const single = n.all === 1 || last.source === "camera";
    speak(single ? verdictInWords(last) : `${progressInWords(n)}.`);
  }

  function add(files, source = "file") {
    if (!files.length) return;
    if (!state.now().chosen) {
      speak("No model is served: there is nothing to score with.");
      return;
    }
    const added = batch.add(files, source);
    chosen = added.length === 1 ? added[0] : null;
    upload.start();
    render();
  }

  function empty() {
    upload.cancel();
    batch.clear();
    chosen = null;
    flaggedOnly.checked = false;
    render();
    pick.focus();
  }

  const listed = () => batch.listed({ ...sorting, flaggedOnly: flaggedOnly.checked });

  function open(item) {
    chosen = item;
    draw();
    // Where the result stands above the list, it has to be brought into sight.
    if (
      matchMedia("(max-width: 899px)").matches
      && !document.activeElement?.matches("tr *:focus-visible")
    )
      panel.element.scrollIntoView({ block: "start" });
  }

  function turn(step) {
    const items = table.shown();
    const item = items[items.indexOf(current(items)) + step];
    if (!item) return;
    chosen = item;
    draw();
    table.scrollTo(item);
  }

  const current = (items) => (items.includes(chosen) ? chosen : items[0] ?? null);
  const modelOf = (item) => seen.get(`${item.model} ${item.revision}`) ?? null;

  /** That verdicts are not by the revision now served; null: they are, or are about to be. */
  function revisionsInWords(scored) {
    const { model } = state.now();
    if (new Set(scored.map((item) => item.revision)).size > 1)
      return "The model was replaced meanwhile: not all verdicts are by the same revision.";
    const last = scored.at(-1);
    // A revision whose card is not here yet is newer than the one whose card is.
    const outdated = last && model?.name === last.model && model.revision !== last.revision;
    return outdated && modelOf(last)
      ? `The model was replaced since: these verdicts are by its revision ${last.revision}.`
      : null;
  }

  function render() {
    if (frame) return;
    frame = requestAnimationFrame(() => { frame = 0; draw(); });
  }

  function draw() {
    const n = batch.counts(), busy = upload.isRunning();
    way.hidden = work.hidden = n.all === 0;
    meter.max = Math.max(1, n.all);
    meter.value = n.all - n.open;
    meter.hidden = !busy;
    progress.textContent = `${progressInWords(n)}.`;
    cancel.hidden = !busy;
    const open_ = n.stopped + (busy ? 0 : n.open);
    again.hidden = busy || open_ === 0;
    again.textContent = `Score the ${counted(open_, "picture")} without verdict`;
    save.disabled = n.scored + n.failed === 0;
    const scored = batch.items().filter(isScored);
    const notice = revisionsInWords(scored);
    revisions.hidden = busy || notice === null;
    byWhich.textContent = notice;
    whatIf.update(scored.length ? modelOf(scored.at(-1)) : null);
    const items = listed(), item = current(items);
    none.hidden = items.length > 0;
    table.show(items, whatIf.tried(), item, sorting);
    const model = item && modelOf(item);
    // The panel is made anew only where it would say something else: its pictures would flicker.
    const now = JSON.stringify([
      item?.id,
      item?.state,
      item?.result?.score,
      item?.trouble,
      model?.revision,
      model?.name,
    ]);
    if (now !== drawn) panel.show(item, model);
    drawn = now;
    panel.stand(items.indexOf(item), items.length);
  }

  const isHere = () => state.now().route === "inspect";
  const allowDrop = (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    intake.classList.toggle("over", isHere() && event.type === "dragover");
  };
  document.addEventListener("dragover", allowDrop);
  document.addEventListener("dragleave", allowDrop);
  document.addEventListener("drop", async (event) => {
    allowDrop(event);
    intake.classList.remove("over");
    if (isHere()) add(await dropped(event.dataTransfer));
  });
  document.addEventListener("paste", (event) => {
    if (!isHere() || document.querySelector("dialog[open]")) return;
    const files = pasted(event.clipboardData);
    if (!files.length) return;
    event.preventDefault();
    add(files);
  });
  keys.bind(
    {
      group: "Inspect", keys: ["o"], words: "choose pictures", when: isHere,
      act: () => picker.click(),
    },
    {
      group: "Inspect", keys: ["j", "ArrowRight"], words: "next result",
      when: () => isHere() && !work.hidden,
      act: () => turn(1),
    },
    {
      group: "Inspect", keys: ["k", "ArrowLeft"], words: "previous result",
      when: () => isHere() && !work.hidden,
      act: () => turn(-1),
    },
    {
      group: "Inspect", keys: ["f"], words: "show only flagged pictures, or all",
      when: () => isHere() && !work.hidden,
      act: () => { flaggedOnly.checked = !flaggedOnly.checked; draw(); },
    },
    {
      group: "Inspect", keys: ["c"], words: "capture and score, when the camera runs",
      when: () => isHere() && camera.isRunning(),
      act: () => camera.shoot(),
    },
  );
  state.follow((now, before) => {
    if (now.model) seen.set(`${now.model.name} ${now.model.revision}`, now.model);
    if (now.route !== "inspect" && before.route === "inspect") camera.stop();
    if (now.chosen !== before.chosen && before.chosen !== null && batch.items().length) {
      // Verdicts of another model would stand under this one's name.
      upload.cancel();
      batch.forgetResults();
    }
    if (now.model !== before.model || now.chosen !== before.chosen) render();
  });
}
