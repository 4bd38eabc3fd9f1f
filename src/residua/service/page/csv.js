// The results of a batch as a table for a spreadsheet.

const COLUMNS = [
  "name", "verdict", "score", "threshold", "lower", "p_value", "width", "height", "kept", "model",
  "revision", "error",
];

// A spreadsheet takes a cell that begins with one of these for a formula.
const FORMULA = /^[=+\-@\t\r]/;

function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function row({ name, result, model, revision, trouble, troubleTitle }) {
  const error = trouble && `${troubleTitle}: ${trouble}`;
  const values = { ...result, name, model, revision, error };
  return COLUMNS.map((column) => cell(values[column])).join(",");
}

/**
 * @param {readonly import("./batch.js").Item[]} items
 * @returns {Blob} UTF-8 with a byte-order mark, by which spreadsheets know it; CRLF as RFC 4180 has
 *   it.
 */
export function csvOf(items) {
  const lines = [COLUMNS.join(","), ...items.map(row)];
  return new Blob([`\ufeff${lines.join("\r\n")}\r\n`], { type: "text/csv;charset=utf-8" });
}
