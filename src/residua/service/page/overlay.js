// A picture with its heat map over it, as faint or strong as the slider says.

import { make } from "./dom.js";

/**
 * Where the model's input lies on the picture, in shares of the picture's own sides.
 *
 * @param {{width: number, height: number, resize: "stretch"|"pad"|"crop"}} input
 * @param {number} width Of the picture, in pixels.
 * @param {number} height
 */
export function placeOfInput(input, width, height) {
  if (input.resize === "stretch") return { left: 0, top: 0, width: 1, height: 1 };
  const ratios = [input.width / width, input.height / height];
  const scale = input.resize === "pad" ? Math.min(...ratios) : Math.max(...ratios);
  const wide = input.width / scale / width, tall = input.height / scale / height;
  return { left: (1 - wide) / 2, top: (1 - tall) / 2, width: wide, height: tall };
}

const EVERYWHERE = { left: 0, top: 0, width: 1, height: 1 };

/**
 * @param {{strength?: number}} [given] `strength`: of the heat map at first, 0 to 1.
 */
export function createOverlay({ strength = 0.6 } = {}) {
  const picture = make("img", { class: "below", alt: "", decoding: "async" });
  const heat = make("img", { class: "heat", alt: "", decoding: "async" });
  const stage = make("div", { class: "stage" }, picture, heat);
  const missing = make("p", { class: "small", hidden: true });
  const slider = make("input", {
    type: "range", min: 0, max: 100, value: Math.round(100 * strength), "aria-label": "Strength of the heat map",
    oninput: () => follow(),
  });
  const sliding = make("label", { class: "strength" }, make("span", { "aria-hidden": "true" }, "Picture"), slider, make("span", { "aria-hidden": "true" }, "Heat map"));
  const element = make("div", { class: "overlay" }, stage, sliding, missing);

  function follow() {
    heat.style.opacity = String(slider.value / 100);
    slider.setAttribute("aria-valuetext", `${slider.value} %`);
  }
  follow();

  let turn = 0;
  return {
    element,
    /**
     * Show a picture; where this browser cannot draw it, what the model saw of it instead.
     *
     * @param {{picture: ?string, seen: ?string, heat: ?string, alt: string, why?: string,
     *   input?: import("./records.js").InputSize, width?: ?number, height?: ?number}} what
     *   `seen` is the model's input, of the heat map's size; `why`: what to say without a heat map.
     */
    show({ picture: own, seen, heat: map, alt, why = "", input, width, height }) {
      const mine = ++turn;
      const lay = (address, place) => {
        stage.hidden = false;
        picture.src = address;
        picture.alt = alt;
        for (const [side, share] of Object.entries(place)) heat.style[side] = `${100 * share}%`;
      };
      heat.hidden = sliding.hidden = !map;
      if (map) heat.src = map;
      else heat.removeAttribute("src");
      missing.hidden = Boolean(map) || !why;
      missing.textContent = why;
      const withSeen = () => {
        if (mine !== turn) return;
        picture.onerror = null;
        if (seen) lay(seen, EVERYWHERE);
        else {
          stage.hidden = true;
          missing.hidden = false;
          missing.textContent = "This browser cannot draw this kind of picture.";
        }
      };
      const small = Boolean(width && height && Math.max(width, height) <= 128);
      stage.classList.toggle("pixels", small);
      picture.onerror = withSeen;
      if (own) lay(own, input && width && height ? placeOfInput(input, width, height) : EVERYWHERE);
      else withSeen();
    },
    clear() {
      turn++;
      picture.onerror = null;
      picture.removeAttribute("src");
      heat.removeAttribute("src");
      heat.hidden = true;
    },
  };
}
