// Small pictures in a long list: made when they come into sight, given back when they leave it.

const SIDE = 112;
const AT_ONCE = 2;

async function shrunk(blob) {
  const whole = await createImageBitmap(blob);
  const scale = Math.min(1, SIDE / Math.max(whole.width, whole.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(whole.width * scale));
  canvas.height = Math.max(1, Math.round(whole.height * scale));
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(whole, 0, 0, canvas.width, canvas.height);
  whole.close();
  return new Promise((done) => canvas.toBlob(done));
}

/** The first of these that this browser can draw, made small; null: none. */
async function firstDrawn(blobs) {
  for (const blob of blobs) {
    try {
      const small = blob && (await shrunk(blob));
      if (small) return small;
    } catch { /* Of a kind that this browser does not draw: the next one. */ }
  }
  return null;
}

/** @typedef {Object} Thumbs
 * @property {(image: HTMLImageElement, blobs: () => (?Blob)[]) => void} watch Fill `image` whenever
 *   it is in sight, from the first of `blobs` that can be drawn.
 * @property {(image: HTMLImageElement) => void} forget
 */

/** @returns {Thumbs} */
export function createThumbs() {
  /**
   * @type {Map<Element,
   *   {blobs: () => (?Blob)[], small: ?Blob, inSight: boolean, address: ?string}>}
   */
  const watched = new Map();
  const queue = [];
  let busy = 0;

  function show(image, entry) {
    if (!entry.small || entry.address) return;
    entry.address = URL.createObjectURL(entry.small);
    image.src = entry.address;
  }

  function hide(image, entry) {
    if (!entry.address) return;
    URL.revokeObjectURL(entry.address);
    entry.address = null;
    image.removeAttribute("src");
  }

  async function work() {
    if (busy >= AT_ONCE) return;
    busy++;
    // The latest first: it is what the person looks at.
    for (let image = queue.pop(); image; image = queue.pop()) {
      const entry = watched.get(image);
      if (!entry?.inSight || entry.small) continue;
      entry.small = await firstDrawn(entry.blobs());
      if (entry.inSight && watched.get(image) === entry) show(image, entry);
    }
    busy--;
  }

  const sight = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      const entry = watched.get(target);
      if (!entry) continue;
      entry.inSight = isIntersecting;
      if (!isIntersecting) hide(target, entry);
      else if (entry.small) show(target, entry);
      else queue.push(target);
    }
    for (let k = busy; k < AT_ONCE && queue.length; k++) work();
  }, { rootMargin: "200px" });

  return {
    watch(image, blobs) {
      watched.set(image, { blobs, small: null, inSight: false, address: null });
      sight.observe(image);
    },
    forget(image) {
      const entry = watched.get(image);
      if (!entry) return;
      sight.unobserve(image);
      hide(image, entry);
      entry.inSight = false;
      watched.delete(image);
    },
  };
}
