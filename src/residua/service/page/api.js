// The service as the page asks it: one function a resource, and refusals in words.

import { sentence } from "./words.js";

const PLACE = "residua.token";
const TRIES = 12;
const LONGEST_WAIT = 60;

/** Why the service did not do what it was asked. `status` 0: it could not be reached. */
export class Refusal extends Error {
  /**
   * @param {{status: number, title: string, detail: string, after?: ?number}} why
   *   `after`: seconds after which it may be asked again.
   */
  constructor({ status, title, detail, after = null }) {
    super(detail);
    this.name = "Refusal";
    this.status = status;
    this.title = title;
    this.after = after;
  }
}

/**
 * @typedef {(seconds: number) => void} OnWait Told before the page waits for a service at its
 *   limit.
 */

function keptToken() {
  try {
    return sessionStorage.getItem(PLACE);
  } catch {
    return null; // The browser keeps nothing; the token lives as long as the page.
  }
}

function keepToken(token) {
  try {
    if (token === null) sessionStorage.removeItem(PLACE);
    else sessionStorage.setItem(PLACE, token);
  } catch { /* As above. */ }
}

function secondsAfter(header) {
  if (header === null) return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, (date - Date.now()) / 1000);
}

async function refusalOf(response) {
  let problem = {};
  try {
    problem = (await response.json()) ?? {};
  } catch { /* A proxy in between answers in its own way. */ }
  const text = (value) => (typeof value === "string" && value ? value : null);
  const detail = text(problem.detail);
  const name = `${response.status} ${response.statusText}`.trim();
  return new Refusal({
    status: response.status,
    title: text(problem.title) ?? name,
    detail: detail ? sentence(detail) : `The service answered ${name} and said no more.`,
    after: secondsAfter(response.headers.get("Retry-After")),
  });
}

/** The content of an answer, which tells how much of it has come. */
async function blobFrom(response, onBytes) {
  const parts = [];
  let bytes = 0;
  try {
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return new Blob(parts, { type: response.headers.get("Content-Type") ?? "" });
      parts.push(value);
      bytes += value.length;
      onBytes(bytes);
    }
  } catch {
    throw new Refusal({
      status: 0, title: "No connection",
      detail: "The service's answer broke off. See whether it runs, then try again.",
    });
  }
}

/** Wait; an abort ends it at once. @returns {Promise<void>} */
export function pause(seconds, signal) {
  return new Promise((done, failed) => {
    signal?.throwIfAborted();
    const stop = () => { clearTimeout(timer); failed(signal.reason); };
    const timer = setTimeout(
      () => { signal?.removeEventListener("abort", stop); done(); },
      1000 * seconds,
    );
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/**
 * @param {() => void} onTokenWanted Told when the service wants a token, or another one.
 */
export function createApi(onTokenWanted) {
  let token = keptToken();

  async function once(path, { method = "GET", json, body, signal } = {}) {
    const headers = { Accept: "application/json, */*" };
    if (token !== null) headers.Authorization = `Bearer ${token}`;
    if (json !== undefined) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(new URL(`v1/${path}`, document.baseURI), {
        method, headers, signal, cache: "no-store", credentials: "same-origin",
        body: json === undefined ? body : JSON.stringify(json),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Refusal({
        status: 0, title: "No connection",
        detail: `The service at ${location.host} cannot be reached. See whether it runs and `
          + "whether this device is connected, then try again.",
      });
    }
    if (response.ok) return response;
    if (response.status === 401) onTokenWanted();
    throw await refusalOf(response);
  }

  /** Ask; where the service is at its limit, tell `onWait`, wait as long as it says, ask again. */
  async function patiently(path, { onWait, ...how } = {}) {
    for (let left = TRIES; ; left--) {
      try {
        return await once(path, how);
      } catch (error) {
        const busy = error instanceof Refusal && (error.status === 429 || error.status === 503);
        if (!busy || !onWait || left <= 1) throw error;
        const seconds = Math.min(error.after ?? 2, LONGEST_WAIT);
        onWait(seconds);
        await pause(seconds, how.signal);
      }
    }
  }

  async function record(path, how) {
    const response = await patiently(path, how);
    try {
      return await response.json();
    } catch (error) {
      if (how?.signal?.aborted) throw error;
      throw new Refusal({
        status: response.status, title: "Not an answer",
        detail: "The service's answer broke off or is not JSON. Try again; if it stays so, "
          + "something between this page and the service changes its answers.",
      });
    }
  }

  const query = (values) => {
    const given = Object.entries(values).flatMap(
      ([name, value]) => [value].flat().map((one) => [name, one])
    );
    return new URLSearchParams(
      given.filter(([, value]) => value !== null && value !== undefined)
    ).toString();
  };
  const at = encodeURIComponent;

  return {
    hasToken: () => token !== null,
    /** @param {?string} given null: forget it. */
    useToken(given) {
      token = given;
      keepToken(given);
    },
    /** @returns {Promise<import("./records.js").Session>} */
    session: () => record("session"),
    /** @returns {Promise<import("./records.js").ModelList>} */
    models: () => record("models"),
    /** @returns {Promise<import("./records.js").ModelDetail>} */
    model: (name) => record(`models/${at(name)}`),
    /** @returns {Promise<import("./records.js").ScoreResponse>} */
    score(name, pictures, { include, signal, onWait }) {
      const body = new FormData();
      for (const { file, name: called } of pictures) body.append("images", file, called);
      const how = { method: "POST", body, signal, onWait };
      return record(`models/${at(name)}/score?${query({ include })}`, how);
    },
    /** @returns {Promise<import("./records.js").ReviewQueue>} */
    queue: (model, order, limit) => record(`reviews/queue?${query({ model, order, limit })}`),
    /** @returns {Promise<import("./records.js").PictureResult>} */
    views: (id, include, signal) =>
      record(`reviews/${id}/views?${query({ include })}`, { signal, onWait: () => {} }),
    /** @returns {Promise<Blob>} */
    picture: async (id, signal) => (await once(`reviews/${id}/picture`, { signal })).blob(),
    /** @returns {Promise<import("./records.js").KeptPicture>} */
    judge: (id, judgement, onWait) =>
      record(`reviews/${id}/judgement`, { method: "PUT", json: judgement, onWait }),
    /** @returns {Promise<import("./records.js").KeptPicture>} */
    withdraw: (id) => record(`reviews/${id}/judgement`, { method: "DELETE" }),
    remove: (id) => once(`reviews/${id}`, { method: "DELETE" }),
    /** @returns {Promise<import("./records.js").ReviewSummary>} */
    summary: (model) => record(`reviews/summary?${query({ model })}`),
    exportAddress: (model) =>
      new URL(`v1/reviews/export?${query({ model })}`, document.baseURI).href,
    /**
     * @param {(bytes: number) => void} onBytes Told how many have come.
     * @returns {Promise<Blob>}
     */
    async exported(model, onBytes) {
      const response = await once(`reviews/export?${query({ model })}`);
      return blobFrom(response, onBytes);
    },
    /** @returns {Promise<import("./records.js").RecalibrationPreview>} */
    preview: (name, request) =>
      record(`models/${at(name)}/recalibration/preview`, { method: "POST", json: request }),
    /** @returns {Promise<import("./records.js").ModelDetail>} */
    recalibrate: (name, confirmation) =>
      record(`models/${at(name)}/recalibration`, { method: "POST", json: { confirmation } }),
    /** @returns {Promise<import("./records.js").ModelDetail>} */
    resetDrift: (name) => record(`models/${at(name)}/drift/reset`, { method: "POST" }),
  };
}

/** @typedef {ReturnType<typeof createApi>} Api */
