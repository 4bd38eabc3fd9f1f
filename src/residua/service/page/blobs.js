// Pictures as blobs and as addresses that live no longer than they are looked at.

/**
 * Decode a data URL.
 *
 * A batch keeps three pictures for each of hundreds of results; as blobs they weigh three quarters
 * and lie outside the script's memory.
 *
 * @param {?string} text
 * @returns {?Blob} null: there is none, or it is no data URL of a picture in base64.
 */
export function blobOf(text) {
  const found = /^data:(image\/[\w.+-]+);base64,/.exec(text ?? "");
  if (!found) return null;
  try {
    const raw = atob(text.slice(found[0].length));
    const content = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) content[i] = raw.charCodeAt(i);
    return new Blob([content], { type: found[1] });
  } catch {
    return null;
  }
}

/** Addresses of blobs, given back all at once. */
export function createAddresses() {
  const given = [];
  return {
    /** @param {Blob} blob @returns {string} */
    of(blob) {
      const address = URL.createObjectURL(blob);
      given.push(address);
      return address;
    },
    revoke() {
      for (const address of given.splice(0)) URL.revokeObjectURL(address);
    },
  };
}

/** Hand a file to the person. */
export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // The browser takes the content up after the click.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
