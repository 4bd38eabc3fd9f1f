// The axis on which scores are laid: logarithmic where they are positive and span more than a
// factor of 20, else linear.

/** @typedef {Object} Axis
 * @property {(value: number) => number} share Place of a value, 0 to 1; beyond the ends: the end.
 * @property {(share: number) => number} value The value at a place.
 * @property {number} low
 * @property {number} high
 */

/** @param {number[]} values What has to find room on it. @returns {Axis} */
export function axisOf(values) {
  const finite = values.filter(Number.isFinite);
  let low = Math.min(...finite), high = Math.max(...finite);
  const logarithmic = low > 0 && high / low > 20;
  const to = logarithmic ? Math.log : (x) => x;
  const from = logarithmic ? Math.exp : (x) => x;
  low = to(low);
  high = to(high);
  const margin = (high - low) * 0.03 || Math.abs(high) * 0.1 || 1;
  low -= margin;
  high += margin;
  const within = (share) => Math.min(1, Math.max(0, share));
  return {
    share: (value) => (logarithmic && value <= 0 ? 0 : within((to(value) - low) / (high - low))),
    value: (share) => from(low + share * (high - low)),
    low: from(low),
    high: from(high),
  };
}
