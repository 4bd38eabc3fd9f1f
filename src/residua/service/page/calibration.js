// What the scores of held-out normal pictures tell of a limit.

/** @typedef {import("./records.js").Calibration} Calibration */

/** Share of calibration pictures that score at most `value`, from their quantiles; 0 to 1. */
export function shareUpTo(calibration, value) {
  const { quantiles } = calibration;
  const last = quantiles.length - 1;
  if (last < 1 || value < quantiles[0]) return 0;
  if (value >= quantiles[last]) return 1;
  let low = 0, high = last;
  // The last quantile that is no higher than the value: equal scores all count.
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (quantiles[middle] <= value) low = middle;
    else high = middle;
  }
  const step = quantiles[low + 1] - quantiles[low];
  return (low + (step > 0 ? (value - quantiles[low]) / step : 1)) / last;
}

/** Share of calibration pictures that limits would flag; 0 to 1. */
export function shareFlagged(calibration, upper, lower) {
  const above = 1 - shareUpTo(calibration, upper);
  return Math.min(1, above + (lower === null ? 0 : shareUpTo(calibration, lower)));
}
