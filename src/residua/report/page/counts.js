"use strict";
// What any threshold would have said of the pictures: counts looked up in sorted arrays.

const data = JSON.parse(document.getElementById("data").textContent);
const live = data.live;

function unpack(text, bytes, read) {
  const raw = atob(text);
  const buffer = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) buffer[i] = raw.charCodeAt(i);
  const view = new DataView(buffer.buffer);
  return Array.from({ length: raw.length / bytes }, (_, i) => view[read](i * bytes, true));
}

const steps = unpack(live.steps, 8, "getFloat64");
const atMost = unpack(live.at_most, 4, "getUint32");
const badAtMost = live.anomalous_at_most && unpack(live.anomalous_at_most, 4, "getUint32");

// How many of the steps lie below the value, or at it too.
function stepsUpTo(value, including) {
  let low = 0, high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] < value || (including && steps[middle] === value)) low = middle + 1;
    else high = middle;
  }
  return low;
}

const belowLower = live.lower === null ? 0 : stepsUpTo(live.lower, false);

function flaggedOf(cumulated, total, threshold) {
  if (live.lower !== null && threshold < live.lower) return total;
  const upTo = (k) => (k > 0 ? cumulated[k - 1] : 0);
  return total - upTo(stepsUpTo(threshold, true)) + upTo(belowLower);
}

const share = (part, whole) => (whole > 0 ? part / whole : null);

// The numbers at a threshold; null: not defined there, or the truth is not known.
function at(threshold) {
  const flagged = flaggedOf(atMost, live.n, threshold);
  const numbers = { threshold, flagged, passed: live.n - flagged };
  if (live.n_anomalous === null) return numbers;
  const bad = live.n_anomalous, good = live.n - bad;
  const tp = flaggedOf(badAtMost, bad, threshold), fp = flagged - tp;
  const tpr = share(tp, bad), fpr = share(fp, good);
  return Object.assign(numbers, {
    true_positives: tp,
    false_negatives: bad - tp,
    false_positives: fp,
    true_negatives: good - fp,
    tpr,
    fpr,
    // With one kind alone these would only repeat how many of it are flagged.
    precision: bad > 0 && good > 0 ? share(tp, tp + fp) : null,
    f1: bad > 0 && good > 0 ? (2 * tp) / (tp + fp + bad) : null,
    accuracy: bad > 0 && good > 0 ? share(tp + good - fp, live.n) : null,
    balanced_accuracy: tpr === null || fpr === null ? null : (tpr + 1 - fpr) / 2,
  });
}

const isFlagged = (score, threshold) =>
  score > threshold || (live.lower !== null && score < live.lower);

window.residua = { at };
