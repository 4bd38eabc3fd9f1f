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

// Share of its strength that the map keeps where there is no error at all.
const FAINTEST = 0.1;
// Red from which on it is at full strength.
const BRIGHTEST = 230;

/**
 * Draw a heat map sheer where the error is small, so that it hides the picture only where it has
 * something to say.
 *
 * @param {Blob} map Coloured from black over red to light yellow: red rises with the error.
 * @param {HTMLCanvasElement} canvas Takes its size.
 * @param {() => boolean} isWanted Whether it is still this map that is to be seen.
 */
async function drawSheer(map, canvas, isWanted) {
  const bitmap = await createImageBitmap(map);
  if (!isWanted()) return;
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(bitmap, 0, 0);
  bitmap.close();
  const drawn = pen.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < drawn.data.length; i += 4)
    drawn.data[i + 3] *= FAINTEST + (1 - FAINTEST) * Math.min(1, drawn.data[i] / BRIGHTEST);
  pen.putImageData(drawn, 0, 0);
}

const EVERYWHERE = { left: 0, top: 0, width: 1, height: 1 };

/**
 * @param {{strength?: number}} [given] `strength`: of the heat map at first, 0 to 1.
 */
export function createOverlay({ strength = 0.85 } = {}) {
  const picture = make("img", { class: "below", alt: "", decoding: "async" });
  const heat = make("canvas", { class: "heat", "aria-hidden": "true" });
  const stage = make("div", { class: "stage" }, picture, heat);
  const missing = make("p", { class: "small", hidden: true });
  const slider = make("input", {
    type: "range",
    min: 0,
    max: 100,
    value: Math.round(100 * strength),
    "aria-label": "Strength of the heat map",
    oninput: () => follow(),
  });
  const sliding = make(
    "label", { class: "strength" },
    make("span", { "aria-hidden": "true" }, "Picture"),
    slider,
    make("span", { "aria-hidden": "true" }, "Heat map"),
  );
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
     * @param {{picture: ?string, seen: ?string, heat: ?Blob, alt: string, why?: string,
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
      if (map) drawSheer(map, heat, () => mine === turn).catch(() => { heat.hidden = true; });
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
      heat.hidden = true;
    },
  };
}
