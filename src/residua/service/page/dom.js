// Elements from values. Text goes in as text and never as markup, whatever a name or a server says.

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node|string|number|null|undefined|false} Child */

/**
 * Make an element.
 *
 * @param {string} tag
 * @param {Object<string, unknown>} [given] Attributes; functions are listeners ("onclick"); true is
 *   an attribute without value; null and false are left out.
 * @param {...(Child|Child[])} children Strings and numbers become text.
 * @returns {any} The element.
 */
export function make(tag, given = {}, ...children) {
  return dress(document.createElement(tag), given, children);
}

/** Make an element of SVG, as `make`. @returns {any} */
export function svg(tag, given = {}, ...children) {
  return dress(document.createElementNS(SVG, tag), given, children);
}

function dress(element, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, String(value));
  }
  element.append(...present(children));
  return element;
}

function present(children) {
  return children.flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

/** Have an element hold these children and no others. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
}

/** A text of someone else's making, kept from turning the direction of what stands around it. */
export const foreign = (text) => make("bdi", {}, text);

/** A button that does one thing. */
export function button(label, act, given = {}) {
  return make("button", { type: "button", onclick: act, ...given }, label);
}

/**
 * Text for those who listen: said once, when the speaker is free.
 *
 * @returns {(text: string) => void}
 */
export function createSpeaker(element) {
  let last = "";
  return (text) => {
    // The same text twice is no change, and would not be said.
    last = text === last ? `${text}\u00a0` : text;
    element.textContent = last;
  };
}

/** Ask in a dialog before something that cannot be taken back. @returns {Promise<boolean>} */
export function confirmed({ title, text, act }) {
  return new Promise((answer) => {
    const dialog = make(
      "dialog",
      {
        class: "ask",
        "aria-labelledby": "ask-title",
        onclose: () => { dialog.remove(); answer(dialog.returnValue === "yes"); },
      },
      make("h2", { id: "ask-title" }, title),
      make("p", {}, text),
      make(
        "div",
        { class: "choices" },
        button("Leave it as it is", () => dialog.close("no")),
        button(act, () => dialog.close("yes"), { class: "strong" }),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}
