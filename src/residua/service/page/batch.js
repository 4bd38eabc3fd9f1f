// The pictures of a batch and what is known of each: added, sent, scored, sorted.

import { blobOf } from "./blobs.js";
import { sentence } from "./words.js";

/** @typedef {import("./records.js").PictureResult} PictureResult */

/** @typedef {Object} Item
 * @property {number} id
 * @property {File} file
 * @property {string} name
 * @property {"file"|"camera"} source
 * @property {"waiting"|"sending"|"done"|"stopped"} state `stopped`: it has no answer and can be
 *   sent again.
 * @property {?PictureResult} result
 * @property {?string} model By which it was scored.
 * @property {?string} revision
 * @property {?Blob} heatmap
 * @property {?Blob} reconstruction
 * @property {?Blob} input
 * @property {?string} trouble Why there is no score, in words.
 * @property {?string} troubleTitle The same in short.
 */

// A camera that scores by itself must not fill the device.
const MOST_FROM_CAMERA = 200;

const ORDERS = {
  score: (a, b) => (b.result?.score ?? -Infinity) - (a.result?.score ?? -Infinity),
  name: (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }),
  p: (a, b) => (a.result?.p_value ?? Infinity) - (b.result?.p_value ?? Infinity),
};

/** @typedef {"score"|"name"|"p"} OrderName */

const blank = {
  result: null,
  model: null,
  revision: null,
  heatmap: null,
  reconstruction: null,
  input: null,
  trouble: null,
  troubleTitle: null,
};

export const isScored = (item) => item.result !== null && item.result.score !== null;
export const isAnomalous = (item) => item.result?.verdict === "anomalous";

export function createBatch() {
  /** @type {Item[]} */
  let items = [];
  let next = 1;
  return {
    /** @returns {readonly Item[]} In the order in which they came. */
    items: () => items,
    /** @param {File[]} files @returns {Item[]} The new ones. */
    add(files, source = "file") {
      const added = files.map((file) => {
        const id = next++;
        return { id, file, name: file.name || `picture ${id}`, source, state: "waiting", ...blank };
      });
      items = [...items, ...added];
      const shot = items.filter((item) => item.source === "camera" && item.state !== "sending");
      const over = new Set(shot.slice(0, Math.max(0, shot.length - MOST_FROM_CAMERA)));
      if (over.size) items = items.filter((item) => !over.has(item));
      return added;
    },
    clear() {
      items = [];
    },
    /** Take an answer in. @param {Item} item @param {PictureResult} result */
    answer(item, result, model, revision) {
      const { heatmap, reconstruction, input, ...kept } = result;
      Object.assign(item, {
        state: "done", model, revision,
        result: {
          ...kept,
          score: kept.score ?? null,
          lower: kept.lower ?? null,
          p_value: kept.p_value ?? null,
        },
        heatmap: blobOf(heatmap), reconstruction: blobOf(reconstruction), input: blobOf(input),
        troubleTitle: result.error?.title ?? null,
        trouble: result.error ? sentence(result.error.detail) : null,
      });
    },
    /** Leave an item without an answer. @param {boolean} again Whether it may be sent again. */
    giveUp(item, title, detail, again = true) {
      Object.assign(item, blank, {
        state: again ? "stopped" : "done",
        troubleTitle: title,
        trouble: detail,
      });
    },
    /** Have everything wait for being scored anew, as by another model. */
    forgetResults() {
      for (const item of items) Object.assign(item, blank, { state: "waiting" });
    },
    /** Have those that were stopped wait again. */
    resume() {
      for (const item of items)
        if (item.state === "stopped") Object.assign(item, blank, { state: "waiting" });
    },
    counts() {
      const n = { all: items.length, scored: 0, anomalous: 0, failed: 0, open: 0, stopped: 0 };
      for (const item of items) {
        if (isScored(item)) n.scored++;
        if (isAnomalous(item)) n.anomalous++;
        if (item.state === "done" && !isScored(item)) n.failed++;
        if (item.state === "stopped") n.stopped++;
        if (item.state === "waiting" || item.state === "sending") n.open++;
      }
      return n;
    },
    /**
     * @param {{order: OrderName, reversed: boolean, flaggedOnly: boolean}} how `reversed`: the
     *   other way round.
     * @returns {Item[]}
     */
    listed({ order, reversed, flaggedOnly }) {
      const kept = flaggedOnly ? items.filter(isAnomalous) : [...items];
      const sign = reversed ? -1 : 1;
      // What has no score stays at the end whichever way the others are turned.
      const without = (item) => order !== "name" && !isScored(item);
      const compared = (a, b) => sign * ORDERS[order](a, b) || a.id - b.id;
      return kept.sort((a, b) => without(a) - without(b) || compared(a, b));
    },
  };
}

/** @typedef {ReturnType<typeof createBatch>} Batch */
