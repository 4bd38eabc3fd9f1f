// The pictures that wait for a person, and what became of each judgement.
//
// The next picture appears before the service has answered; until it has, nothing counts as saved,
// and what it refuses comes up again.

import { Refusal } from "./api.js";

/** @typedef {import("./records.js").KeptPicture} KeptPicture */
/** @typedef {import("./records.js").Order} Order */

/** @typedef {Object} Waiting
 * @property {KeptPicture} picture
 * @property {Order} order In which it came up.
 */

/** @typedef {Object} Judged
 * @property {Waiting} waiting
 * @property {boolean} correct
 * @property {"saving"|"saved"|"refused"|"withdrawing"} state
 * @property {?string} reason Why it was refused.
 * @property {Promise<void>} settled
 */

const FETCHED = 20;
const MOST_FETCHED = 100;
const LOW = 5;
const REMEMBERED = 50;

const reasonOf = (error) => (
  error instanceof Refusal ? error.message : `This page failed at it: ${error.message}`
);

/**
 * @param {Object} needs
 * @param {import("./api.js").Api} needs.api
 * @param {() => void} needs.changed
 * @param {(words: string) => void} needs.trouble What the person has to know.
 * @param {() => void} needs.saved Something was saved or withdrawn.
 */
export function createReviewing({ api, changed, trouble, saved }) {
  /** @type {Waiting[]} */
  let items = [];
  /** @type {Judged[]} The latest first. */
  let judged = [];
  const skipped = new Set(), gone = new Set();
  let model = null, order = "uncertain", waiting = null, failure = null;
  let turn = 0, loading = false, undoing = false;

  async function load() {
    const mine = ++turn;
    loading = true;
    changed();
    try {
      const pending = judged.filter(({ state }) => state === "saving").length;
      const queue = await api.queue(
        model,
        order,
        Math.min(MOST_FETCHED, FETCHED + skipped.size + pending),
      );
      if (mine !== turn) return;
      failure = null;
      waiting = queue.waiting;
      const known = new Set([
        ...items.map((item) => item.picture.id),
        ...judged.filter(({ state }) => state !== "refused").map((one) => one.waiting.picture.id),
      ]);
      const fresh = queue.items.filter(
        ({ id }) => !known.has(id)
        && !skipped.has(id)
        && !gone.has(id)
      );
      items = [...items, ...fresh.map((picture) => ({ picture, order }))];
    } catch (error) {
      if (mine === turn) failure = reasonOf(error);
    } finally {
      if (mine === turn) loading = false;
      changed();
    }
  }

  function refill() {
    if (
      !loading
      && items.length < LOW
      && (waiting === null || waiting > items.length + skipped.size)
    )
      load();
  }

  async function save(one) {
    const { id } = one.waiting.picture;
    try {
      await api.judge(id, { correct: one.correct, order: one.waiting.order }, () => {});
      one.state = "saved";
      if (waiting !== null) waiting = Math.max(0, waiting - 1);
      saved();
    } catch (error) {
      one.state = "refused";
      one.reason = reasonOf(error);
      const name = one.waiting.picture.name;
      if (error instanceof Refusal && (error.status === 404 || error.status === 410)) {
        gone.add(id);
        trouble(`Not saved: ${name} is no longer kept. ${one.reason}`);
      } else if (one.waiting.picture.model !== model) {
        trouble(
          `Not saved: ${name}. ${one.reason} Choose ${one.waiting.picture.model} again to judge it.`
        );
      } else {
        // After the one in sight, for a finger may already be on its way to a key.
        items.splice(Math.min(1, items.length), 0, one.waiting);
        trouble(`Not saved: ${name}. ${one.reason} It comes up again.`);
      }
    }
    changed();
  }

  const latest = () => judged.find(({ state, waiting: { picture } }) => picture.model === model && (
    state === "saving" || state === "saved"
  ));

  return {
    now: () => ({
      current: items[0] ?? null,
      next: items.slice(1, 3),
      judged,
      order,
      waiting,
      failure,
      loading,
      undoing,
      skipped: skipped.size,
    }),
    /** Whether something is on its way that is not yet acknowledged. */
    isSaving: () => judged.some(({ state }) => state === "saving" || state === "withdrawing"),
    /** Begin anew, with another model or order. */
    begin(of, by) {
      model = of;
      order = by;
      items = [];
      skipped.clear();
      waiting = null;
      loading = false;
      load();
    },
    load,
    judge(correct) {
      if (!items.length || undoing) return null;
      const [first] = items.splice(0, 1);
      const one = {
        waiting: first,
        correct,
        state: "saving",
        reason: null,
        settled: Promise.resolve(),
      };
      judged = [one, ...judged].slice(0, REMEMBERED);
      one.settled = save(one);
      refill();
      changed();
      return one;
    },
    skip() {
      if (!items.length || undoing) return;
      skipped.add(items.shift().picture.id);
      refill();
      changed();
    },
    /** Have those that were skipped come up again. */
    unskip() {
      skipped.clear();
      load();
    },
    canUndo: () => !undoing && latest() !== undefined,
    /** Take the latest judgement back; the picture is the next one to judge. */
    async undo() {
      const one = latest();
      if (!one || undoing) return;
      undoing = true;
      changed();
      await one.settled;
      if (one.state === "saved") {
        one.state = "withdrawing";
        changed();
        try {
          await api.withdraw(one.waiting.picture.id);
          judged = judged.filter((other) => other !== one);
          items = [one.waiting, ...items];
          if (waiting !== null) waiting++;
          saved();
        } catch (error) {
          one.state = "saved";
          trouble(`Not taken back: ${one.waiting.picture.name}. ${reasonOf(error)}`);
        }
      }
      undoing = false;
      changed();
    },
    /** Remove the picture in sight from the store for good. */
    async remove() {
      const [first] = items;
      if (!first) return;
      try {
        await api.remove(first.picture.id);
        items = items.filter((item) => item !== first);
        gone.add(first.picture.id);
        if (waiting !== null) waiting = Math.max(0, waiting - 1);
        saved();
        refill();
      } catch (error) {
        trouble(`Not deleted: ${first.picture.name}. ${reasonOf(error)}`);
      }
      changed();
    },
  };
}
