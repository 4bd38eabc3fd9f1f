// Pictures on their way: in small requests, one after the other, with waiting, stopping and words
// for what went wrong.

import { Refusal } from "./api.js";
import { bytes } from "./words.js";

// Small enough that the progress moves and an answer with its maps stays small.
const PICTURES_A_REQUEST = 8;
// Bytes that a multipart body adds for each picture, besides its name.
const FRAME = 512;

// No connection, no token, not allowed, no such model, at its limit for long.
const ENDING = new Set([0, 401, 403, 404, 429, 503]);
const VIEWS = ["heatmap", "reconstruction", "input"];

/** Bytes that a picture takes in a request, at most. @param {{file: File, name: string}} item */
const weight = ({ file, name }) => file.size + FRAME + 9 * name.length;

/**
 * Take from the front of those that wait as many as one request may carry, one at least.
 *
 * @param {import("./batch.js").Item[]} waiting
 * @param {{max_pictures: number, max_bytes: number}} limits
 */
export function nextRequest(waiting, { max_pictures: most, max_bytes: room }) {
  const taken = waiting.slice(0, 1);
  let bytes = taken.reduce((sum, item) => sum + weight(item), 0);
  for (const item of waiting.slice(1, Math.min(PICTURES_A_REQUEST, most))) {
    bytes += weight(item);
    if (bytes > room) break;
    taken.push(item);
  }
  return taken;
}

function agree(answer, sent) {
  const results = answer?.results;
  const whole = Array.isArray(results) && results.length === sent.length
    && results.every((one) => one && typeof one === "object" && (
      typeof one.score === "number" ? typeof one.threshold === "number" : Boolean(one.error)
    ));
  if (!whole)
    throw new Refusal({
      status: 200, title: "Not an answer",
      detail: `The service's answer does not hold a result for each of the ${sent.length} pictures `
        + "sent. This page and the service may be of different versions: load the page again.",
    });
}

/**
 * @param {Object} needs
 * @param {import("./api.js").Api} needs.api
 * @param {import("./batch.js").Batch} needs.batch
 * @param {() => ?{name: string, max_pictures: number, max_bytes: number}} needs.target Model and
 *   limits.
 * @param {(answered: import("./batch.js").Item[]) => void} needs.changed Some items have news.
 * @param {(words: string) => void} needs.waiting Why nothing moves just now; empty: it does.
 * @param {() => void} needs.finished Nothing is on its way any more.
 */
export function createUpload({ api, batch, target, changed, waiting, finished }) {
  /** @type {?AbortController} */
  let running = null;
  let most = Infinity;

  async function send(items, { name }, signal) {
    for (const item of items) item.state = "sending";
    changed([]);
    try {
      const answer = await api.score(name, items, {
        include: VIEWS, signal,
        onWait: (seconds) => waiting(
          `The service is at its limit; trying again in ${Math.max(1, Math.ceil(seconds))} s.`
        ),
      });
      signal.throwIfAborted();
      agree(answer, items);
      const { model, revision } = answer;
      answer.results.forEach((result, k) => batch.answer(items[k], result, model, revision));
    } catch (error) {
      if (signal.aborted || !(error instanceof Refusal)) throw error;
      if (error.status === 413 && items.length > 1) {
        // Something in between takes less than the service does: send fewer at once.
        most = Math.ceil(items.length / 2);
        for (const item of items) item.state = "waiting";
        return;
      }
      for (const item of items) batch.giveUp(item, error.title, error.message);
      // Whatever stopped this request stops the next one too.
      if (ENDING.has(error.status)) throw error;
    }
    waiting("");
    changed(items);
  }

  function refuseHeavy(open, { max_bytes: room }) {
    const heavy = open.filter((item) => weight(item) > room);
    for (const item of heavy)
      batch.giveUp(
        item,
        "Too large",
        `The file has ${bytes(item.file.size)} and the service takes ${bytes(room)} in a request. `
          + "Send a smaller file, or have the limit raised.",
        false,
      );
    if (heavy.length) changed(heavy);
    return open.filter((item) => weight(item) <= room);
  }

  /** End what runs; whatever has no answer says why. */
  function end(title, words) {
    running = null;
    const open = batch.items().filter(({ state }) => state === "sending" || state === "waiting");
    for (const item of open) batch.giveUp(item, title, words);
    waiting("");
    changed(open);
    finished();
  }

  async function run({ signal }) {
    try {
      for (;;) {
        const to = target();
        const open = batch.items().filter((item) => item.state === "waiting");
        if (!open.length || !to) break;
        const fit = refuseHeavy(open, to);
        if (fit.length)
          await send(
            nextRequest(fit, { ...to, max_pictures: Math.min(most, to.max_pictures) }),
            to,
            signal,
          );
      }
      end("Not sent", "No model is chosen to score it with.");
    } catch (error) {
      if (signal.aborted) return;
      const known = error instanceof Refusal;
      if (!known) console.error(error);
      const title = known ? error.title : "Not sent";
      const words = known ? error.message : `This page failed at it: ${error.message}`;
      end(title, words);
      waiting(`${title}. ${words}`);
    }
  }

  return {
    isRunning: () => running !== null,
    /** Send what waits, unless that is being done. */
    start() {
      if (running !== null || !target()) return;
      running = new AbortController();
      waiting("");
      run(running);
    },
    cancel() {
      if (running === null) return;
      running.abort();
      end("Cancelled", "It was not scored: the batch was cancelled.");
    },
  };
}
