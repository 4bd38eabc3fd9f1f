// Pictures from the device's camera, one at a time or every few seconds.

import { button, make } from "./dom.js";
import { timestamp } from "./files.js";

const REASONS = {
  NotAllowedError: "The browser may not use the camera. Allow it for this page (usually at the "
    + "lock beside the address), then start again.",
  NotFoundError: "No camera was found. Connect one, then start again.",
  NotReadableError: "The camera cannot be read: most likely another program uses it. Close that, "
    + "then start again.",
  OverconstrainedError: "No camera of this device suits. Connect another one, then start again.",
};

/** Why there can be no camera here; null: there can. */
function obstacle() {
  if (!window.isSecureContext)
    return "Browsers give the camera only to pages on https or localhost, and this one is at "
      + `${location.origin}. Open the page over https.`;
  return navigator.mediaDevices?.getUserMedia ? null : "This browser has no access to cameras.";
}

/**
 * @param {Object} needs
 * @param {(file: File) => void} needs.taken
 * @param {() => boolean} needs.isFree Whether the last picture has its verdict.
 */
export function createCamera({ taken, isFree }) {
  let stream = null, timer = 0, opening = 0;
  const video = make(
    "video", { playsinline: true, muted: true, "aria-label": "What the camera sees" },
  );
  video.muted = true;
  const said = make("p", { class: "said", role: "status" });
  const capture = button("Capture and score", shoot, { class: "strong", "aria-keyshortcuts": "C" });
  const every = make("input", { type: "checkbox", role: "switch", onchange: schedule });
  const seconds = make(
    "input",
    {
      type: "number",
      min: 1,
      max: 3600,
      step: 1,
      value: 5,
      class: "seconds",
      "aria-label": "Seconds between pictures",
      onchange: schedule,
    },
  );
  const stopping = button("Stop the camera", stop);
  const element = make(
    "section", { class: "panel camera", "aria-label": "Camera", hidden: true },
    video,
    make(
      "div", { class: "camera-side" },
      make("div", { class: "choices start" }, capture, stopping),
      make(
        "div", { class: "interval" },
        make("label", { class: "check" }, every, "Score every"),
        seconds,
        make("span", {}, "s"),
      ),
      said,
    ),
  );

  function running(is) {
    capture.disabled = stopping.disabled = every.disabled = !is;
    video.hidden = !is;
  }
  running(false);

  async function start() {
    element.hidden = false;
    const why = obstacle();
    if (why) {
      said.textContent = why;
      return;
    }
    if (stream) return;
    const mine = ++opening;
    said.textContent = "Waiting for the camera …";
    try {
      const opened = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } },
      });
      if (mine !== opening) {
        for (const track of opened.getTracks()) track.stop();
        return;
      }
      stream = opened;
      for (const track of stream.getTracks())
        track.addEventListener(
          "ended",
          () => stop("The camera is gone. Connect it, then start again."),
        );
      video.srcObject = stream;
      await video.play();
      running(true);
      said.textContent = "The camera runs.";
      capture.focus();
    } catch (error) {
      stop(REASONS[error.name] ?? `The camera does not start: ${error.message}`);
    }
  }

  function stop(why) {
    opening++;
    clearTimeout(timer);
    every.checked = false;
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
    video.srcObject = null;
    running(false);
    said.textContent = typeof why === "string" ? why : "The camera is off.";
    if (typeof why !== "string") element.hidden = true;
  }

  // As PNG, since the traces of a lossy format are something a model may not rebuild.
  async function shoot() {
    if (!stream || !video.videoWidth) return;
    const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
    if (blob) taken(new File([blob], `camera-${timestamp()}.png`, { type: "image/png" }));
    else said.textContent = "The browser could not keep the picture. Capture again.";
  }

  function schedule() {
    clearTimeout(timer);
    if (!every.checked) {
      said.textContent = stream ? "The camera runs." : said.textContent;
      return;
    }
    const pause = Math.min(3600, Math.max(1, seconds.valueAsNumber || 5));
    seconds.value = String(pause);
    said.textContent = `A picture is scored every ${pause} s.`;
    const tick = async () => {
      if (isFree()) {
        await shoot();
        said.textContent = `A picture is scored every ${pause} s.`;
      } else said.textContent = "The last picture has no verdict yet; this one was left out.";
      if (stream && every.checked) timer = setTimeout(tick, 1000 * pause);
    };
    timer = setTimeout(tick, 1000 * pause);
  }

  window.addEventListener("pagehide", () => stop());
  return {
    element,
    start,
    stop: () => { if (stream || opening) stop(); },
    isRunning: () => stream !== null,
    shoot,
  };
}
