// Numbers as people read them.

/** A score or a limit, to four digits. */
export function number(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}

/** A count, with its thousands apart. */
export const count = (value) => value.toLocaleString("en-US");

/** A count with its thing: "1 picture", "2 pictures". */
export const counted = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** A share in percent. */
export function percent(share) {
  const digits = share > 0 && share < 0.01 ? 2 : share === 1 || share === 0 ? 0 : 1;
  return `${(100 * share).toFixed(digits)}\u00a0%`;
}

/**
 * What a p-value means.
 *
 * @param {number} p Share of held-out normal pictures that score as high, in (0, 1].
 * @param {?number} n How many held-out normal pictures there were; null: not known.
 */
export function pInWords(p, n = null) {
  // With n pictures p is at least 1 / (n + 1): then not one of them scored as high.
  if (n && p <= 1.0001 / (n + 1))
    return `None of the ${count(n)} held-out normal pictures scores as high`;
  if (p > 0.95) return "Nearly every normal picture scores as high";
  if (p > 0.35) return `${Math.round(10 * p)} in 10 normal pictures score as high`;
  return `1 in ${count(Math.round(1 / p))} normal pictures scores as high`;
}

/** What the service says, as a sentence; a name that it begins with stays as it is. */
export function sentence(text) {
  const begun = text.replace(/^[a-z]+(?= )/, (word) => word[0].toUpperCase() + word.slice(1));
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/** Bytes in the unit that suits. */
export function bytes(n) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 999.5 && unit < units.length - 1) { n /= 1000; unit++; }
  return `${unit ? Number(n.toPrecision(3)) : n} ${units[unit]}`;
}

/** A moment of the service's, in this device's time. */
export function moment(text) {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return text;
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" }).format(date);
}

/** Whether a score lies beyond the limits. */
export const isFlagged = (score, upper, lower) =>
  score > upper || (lower !== null && score < lower);
