// The pictures and maps of those that wait for review, fetched before they are needed.

import { Refusal } from "./api.js";
import { blobOf } from "./blobs.js";

/** @typedef {Object} Views
 * @property {?Blob} picture
 * @property {?Blob} heat
 * @property {?Blob} seen What the model saw of it.
 * @property {string} why What to say where there is no heat map.
 */

/** @param {import("./api.js").Api} api */
export function createViews(api) {
  /** @type {Map<number, {stop: AbortController, views: Promise<Views>}>} */
  const fetched = new Map();
  const reasonOf = (error) => (error instanceof Refusal ? error.message : "It could not be read.");

  async function fetchAll(id, signal) {
    const [views, picture] = await Promise.allSettled([
      api.views(id, ["heatmap", "input"], signal),
      api.picture(id, signal),
    ]);
    const result = views.value ?? null;
    return {
      picture: picture.value ?? null,
      heat: blobOf(result?.heatmap),
      seen: blobOf(result?.input),
      why: result
        ? result.error?.detail ?? "There is no heat map for this picture."
        : `There is no heat map: ${reasonOf(views.reason)}`,
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
    /** @returns {Promise<Views>} */
    of: (id) => fetched.get(id).views,
  };
}
