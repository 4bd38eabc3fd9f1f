// What the whole page knows, in one place: read it, change it, follow it.

/** @typedef {import("./records.js").Session} Session */
/** @typedef {import("./records.js").ModelSummary} ModelSummary */
/** @typedef {import("./records.js").ModelDetail} ModelDetail */

/** @typedef {Object} Known
 * @property {?Session} session What the caller may do; null until the service has said so.
 * @property {ModelSummary[]} models All models that are served.
 * @property {?string} chosen Name of the model that is worked with.
 * @property {?ModelDetail} model The chosen model with its card; null until it is fetched.
 * @property {?string} route The view that is shown.
 * @property {boolean} away Whether the service could not be reached when it was last looked at.
 */

/** @typedef {Object} State
 * @property {() => Readonly<Known>} now
 * @property {(change: Partial<Known>) => void} set Followers are told at once, in order.
 * @property {(follower: (now: Readonly<Known>, before: Readonly<Known>) => void) => void} follow
 */

/** @returns {State} */
export function createState() {
  /** @type {Readonly<Known>} */
  let known = Object.freeze({
    session: null,
    models: [],
    chosen: null,
    model: null,
    route: null,
    away: false,
  });
  const followers = [];
  return {
    now: () => known,
    set(change) {
      const before = known;
      known = Object.freeze({ ...known, ...change });
      for (const follower of followers) follower(known, before);
    },
    follow(follower) {
      followers.push(follower);
    },
  };
}
