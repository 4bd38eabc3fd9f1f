// What stands in place of the views while the service does not answer or wants a token.

import { button, fill, make } from "./dom.js";

// What a header can carry and RFC 6750 calls a token.
const TOKEN = /^[\x21-\x7e]+$/;

/**
 * Ask for the token.
 *
 * @param {HTMLElement} element
 * @param {{why: string, given: (token: string) => void}} needs `why`: what the service said.
 */
export function askForToken(element, { why, given }) {
  const field = make(
    "input",
    {
      type: "password",
      id: "token",
      autocomplete: "current-password",
      required: true,
      spellcheck: "false",
      "aria-describedby": "token-why",
    },
  );
  const said = make("p", { class: "trouble", id: "token-why", role: "alert" }, why);
  const form = make(
    "form", {
      class: "panel signin",
      onsubmit: (event) => {
        event.preventDefault();
        const token = field.value.trim();
        if (TOKEN.test(token)) given(token);
        else said.textContent = "A token consists of letters, digits and signs without spaces. "
          + "Copy it whole.";
      },
    },
    make("h1", {}, "Token"),
    make(
      "p", {},
      "This station asks who is there. Whoever runs it has given you a token; it stays in this tab "
        + "until you close it.",
    ),
    make("div", { class: "field" }, make("label", { for: "token" }, "Token"), field),
    said, make("button", { type: "submit", class: "strong" }, "Go on"),
  );
  fill(element, form);
  field.focus();
}

/** Say why there is nothing to see, with a way to try again. */
export function showTrouble(element, { title, detail, again }) {
  fill(
    element,
    make(
      "section", { class: "panel signin", role: "alert" },
      make("h1", {}, title),
      make("p", {}, detail),
      button("Try again", again, { class: "strong" }),
    ),
  );
}
