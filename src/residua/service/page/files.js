// Files from what a person drops, pastes or picks.

/** Read every entry of a folder; a reader gives only some at a time. */
async function entriesOf(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return found;
    found.push(...some);
  }
}

async function filesIn(entry) {
  if (entry.isFile) return [await new Promise((done, failed) => entry.file(done, failed))];
  const inside = [];
  for (const one of await entriesOf(entry)) inside.push(...(await filesIn(one)));
  return inside;
}

/**
 * The files of a drop, those of dropped folders among them.
 *
 * @param {DataTransfer} transfer
 * @returns {Promise<File[]>}
 */
export async function dropped(transfer) {
  // The list is emptied when the event is over: everything is taken from it before the first wait.
  const plain = [...transfer.files];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  if (!entries.some((entry) => entry?.isDirectory)) return plain;
  const found = [];
  for (const entry of entries) if (entry) found.push(...(await filesIn(entry)));
  return found.filter((file) => !file.name.startsWith("."));
}

/**
 * The pictures of a paste; a copied picture without a file gets a name of its own.
 *
 * @param {?DataTransfer} transfer
 * @returns {File[]}
 */
export function pasted(transfer) {
  const stamp = timestamp();
  return [...(transfer?.files ?? [])].map((file, k) => (
    /^image\.\w+$/.test(file.name)
      ? new File([file], `pasted-${stamp}${k ? `-${k + 1}` : ""}.${file.name.split(".")[1]}`, {
        type: file.type,
      })
      : file
  ));
}

/** This moment as part of a file's name. */
export function timestamp() {
  return new Date().toISOString().slice(0, 23).replace(/[:.]/g, "-");
}
