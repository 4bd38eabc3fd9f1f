// Keys that do something, and the dialog that lists them.

import { button, fill, make } from "./dom.js";

const PLACE = "residua.keys";
const ARROWS = /^Arrow/;

/** @typedef {Object} Binding
 * @property {string[]} keys As `KeyboardEvent.key` names them; letters in lower case.
 * @property {string} words What it does.
 * @property {string} group Where.
 * @property {() => boolean} when Whether it means anything just now.
 * @property {() => void} act
 */

const NAMES = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
const nameOf = (key) => NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key);

function isWriting(target) {
  const tag = target.tagName;
  return tag === "TEXTAREA" || tag === "SELECT" || target.isContentEditable
    || (tag === "INPUT" && !["checkbox", "radio", "range", "button", "file"].includes(target.type));
}

/** Whether the arrow keys belong to the element in focus. */
const usesArrows = (target) =>
  Boolean(target.closest('input, [role="tab"], tr[data-item], video, [data-arrows]'));

/** @param {HTMLDialogElement} dialog In which the keys are listed. */
export function createKeys(dialog) {
  /** @type {Binding[]} */
  const bindings = [];
  let on = true;
  try {
    on = localStorage.getItem(PLACE) !== "off";
  } catch { /* Nothing is kept: they are on. */ }

  function press(event) {
    const { key, target } = event;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat)
      return;
    if (!(target instanceof Element) || isWriting(target) || document.querySelector("dialog[open]"))
      return;
    if (key === "?") {
      event.preventDefault();
      return show();
    }
    // Who speaks to the device instead of typing can turn single letters off.
    if (!on || (ARROWS.test(key) && usesArrows(target))) return;
    const pressed = key.length === 1 ? key.toLowerCase() : key;
    const found = bindings.find(({ keys, when }) => keys.includes(pressed) && when());
    if (!found) return;
    event.preventDefault();
    found.act();
  }

  function setOn(wanted) {
    on = wanted;
    try {
      localStorage.setItem(PLACE, on ? "on" : "off");
    } catch { /* It holds until the page is left. */ }
  }

  function show() {
    const groups = new Map([["Everywhere", [
      { keys: ["?"], words: "show these keys" },
      { keys: ["Tab"], words: "go from control to control" },
      { keys: ["ArrowLeft", "ArrowRight"], words: "go from view to view, when a tab is in focus" },
      { keys: ["Ctrl+V"], words: "paste a picture to inspect" },
    ]]]);
    for (const binding of bindings)
      groups.set(binding.group, [...(groups.get(binding.group) ?? []), binding]);
    const sections = [...groups].map(([group, members]) => make(
      "section", {}, make("h3", {}, group),
      make("dl", {}, members.map(({ keys, words }) => make(
        "div",
        {},
        make("dt", {}, keys.map((key, k) => [k > 0 && " or ", make("kbd", {}, nameOf(key))])),
        make("dd", {}, words),
      ))),
    ));
    const check = make("input", { type: "checkbox", onchange: () => setOn(check.checked) });
    check.checked = on;
    fill(
      dialog,
      make(
        "div", { class: "dialog-top" },
        make("h2", { id: "keys-title" }, "Keys"),
        button("Close", () => dialog.close()),
      ),
      make("div", { class: "key-groups" }, sections),
      make("label", { class: "check" }, check, "Single keys act (turn this off for speech input)"),
    );
    dialog.showModal();
  }

  document.addEventListener("keydown", press);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  return {
    show,
    /** @param {...Binding} given */
    bind: (...given) => { bindings.push(...given); },
  };
}

/** @typedef {ReturnType<typeof createKeys>} Keys */
