// The threshold that can be moved: histogram, slider, number, rules, and the counts beside them.

const byId = (id) => document.getElementById(id);
const slide = byId("live-slide"), exact = byId("live-exact"), strip = byId("live-strip");
const outputs = document.querySelectorAll("[data-count]");
const bars = document.querySelectorAll("[data-bar]");
const LONG = 1000, HIGH = 150, BINS = 80;
let threshold = live.threshold;
const onThreshold = [];

// The axis: logarithmic where scores are positive, span more than a factor of 20 and are no
// logarithms already.
const axis = (() => {
  const marks = [live.threshold, ...live.rules.map((rule) => rule.threshold)];
  const logarithmic = !live.linear && steps[0] > 0 && steps[steps.length - 1] / steps[0] > 20;
  const to = logarithmic ? Math.log : (x) => x;
  const from = logarithmic ? Math.exp : (x) => x;
  const usable = [steps[0], steps[steps.length - 1], ...marks].filter((x) => !logarithmic || x > 0);
  let low = to(Math.min(...usable)), high = to(Math.max(...usable));
  const margin = (high - low) * 0.02 || Math.abs(high) * 0.1 || 1;
  low -= margin;
  high += margin;
  return {
    logarithmic,
    share: (x) => (logarithmic && x <= 0 ? 0 : Math.min(1, Math.max(0, (to(x) - low) / (high - low)))),
    value: (share) => from(low + share * (high - low)),
  };
})();

const short = (x) => String(Number(x.toPrecision(4)));
const grouped = (n) => n.toLocaleString("en-US");

function svg(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  strip.append(element);
  return element;
}

function binned(cumulated) {
  const upTo = (x) => { const k = stepsUpTo(x, true); return k ? cumulated[k - 1] : 0; };
  const counts = [];
  for (let bin = 0; bin < BINS; bin++)
    counts.push(upTo(axis.value((bin + 1) / BINS)) - upTo(axis.value(bin / BINS)));
  return counts;
}

function area(base, counts, top) {
  const wide = LONG / BINS, y = (n) => HIGH - (n / top) * (HIGH - 12);
  const up = counts.map((n, i) => `L${i * wide} ${y(base[i] + n)}H${(i + 1) * wide}`).join("");
  const down = base.map((n, i) => `L${(i + 1) * wide} ${y(n)}H${i * wide}`).reverse().join("");
  return `M0 ${HIGH}${up}${down}Z`;
}

function drawStrip() {
  const all = binned(atMost), top = Math.max(1, ...all), none = all.map(() => 0);
  svg("rect", { class: "beyond", y: 0, height: HIGH });
  if (live.lower !== null)
    svg("rect", { class: "too-low", x: 0, y: 0, height: HIGH, width: axis.share(live.lower) * LONG });
  if (badAtMost) {
    const bad = binned(badAtMost), good = all.map((n, i) => n - bad[i]);
    svg("path", { class: "good", d: area(none, good, top) });
    svg("path", { class: "bad", d: area(good, bad, top) });
  } else svg("path", { class: "unknown", d: area(none, all, top) });
  svg("line", { class: "base", x1: 0, x2: LONG, y1: HIGH, y2: HIGH });
  svg("line", { class: "fitted", y1: 0, y2: HIGH, x1: axis.share(live.threshold) * LONG, x2: axis.share(live.threshold) * LONG });
  svg("line", { class: "now", y1: 0, y2: HIGH });
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const tick = document.createElement("span");
    tick.textContent = String(Number(axis.value(share).toPrecision(2)));
    byId("live-ticks").append(tick);
  }
}

function drawRules() {
  const kinds = [["fitted", ""], ["percentile", " percentile"], ["mean + ", " s"], ["median", ""], ["best F1", ""]];
  const all = [{ name: "fitted", rule: live.rule, threshold: live.threshold }, ...live.rules];
  for (const [kind] of kinds) {
    const group = document.createElement("span");
    group.className = "group";
    const members = all.filter((rule) => rule.name.includes(kind));
    const several = members.length > 1;
    if (several) group.append(kind === "percentile" ? "percentile " : "mean + s × ");
    for (const rule of members) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = several ? rule.name.replace(/[^\d.]/g, "") : rule.name;
      button.setAttribute("aria-label", `${rule.name}: ${short(rule.threshold)}`);
      button.title = `${rule.rule === "labels" ? "chosen with the labels" : rule.rule}: ${short(rule.threshold)}`;
      button.dataset.threshold = rule.threshold;
      button.addEventListener("click", () => move(rule.threshold));
      group.append(button);
    }
    if (members.length) byId("live-rules").append(group);
  }
}

function sentence(n) {
  const where = threshold === live.threshold ? `the fitted threshold (${live.rule})` : short(threshold);
  let said = `At ${where}, ${grouped(n.flagged)} of ${grouped(live.n)} are flagged`;
  if (live.n_anomalous === null) return `${said}.`;
  const good = live.n - live.n_anomalous;
  if (live.n_anomalous) said += `; ${grouped(n.true_positives)} of ${grouped(live.n_anomalous)} anomalous found`;
  if (good) said += `, ${grouped(n.false_positives)} of ${grouped(good)} normal flagged by mistake`;
  return `${said}.`;
}

let speaking = 0, addressing = 0;
function show() {
  const numbers = at(threshold), x = axis.share(threshold) * LONG;
  for (const output of outputs) {
    const value = numbers[output.dataset.count];
    output.dataset.value = value === null ? "" : String(value);
    output.textContent = value === null ? "–" : Number.isInteger(value) && !isRate(output) ? grouped(value) : percent(value);
  }
  for (const bar of bars) bar.style.width = `${100 * (numbers[bar.dataset.bar] || 0)}%`;
  for (const line of strip.querySelectorAll(".now")) { line.setAttribute("x1", x); line.setAttribute("x2", x); }
  const beyond = strip.querySelector(".beyond");
  beyond.setAttribute("x", x);
  beyond.setAttribute("width", LONG - x);
  for (const button of byId("live-rules").querySelectorAll("button"))
    button.setAttribute("aria-pressed", String(Number(button.dataset.threshold) === threshold));
  slide.setAttribute("aria-valuetext", `${short(threshold)}, ${grouped(numbers.flagged)} flagged`);
  // A reader of the screen hears where the slider came to rest, not every step.
  clearTimeout(speaking);
  const speak = () => { byId("live-said").textContent = sentence(numbers); };
  if (byId("live-said").textContent) speaking = setTimeout(speak, 150);
  else speak();
}

const RATES = new Set(["tpr", "fpr", "precision", "f1", "accuracy", "balanced_accuracy"]);
const isRate = (output) => RATES.has(output.dataset.count);
const percent = (x) => `${(100 * x).toFixed(x > 0 && x < 0.01 ? 2 : 1)} %`;

function move(value, from) {
  if (!Number.isFinite(value)) return;
  threshold = value;
  if (from !== slide) slide.value = Math.round(axis.share(value) * slide.max);
  if (from !== exact) exact.value = String(value);
  show();
  for (const listener of onThreshold) listener(value);
  if (from === "hash") return;
  // Browsers refuse an address that changes many times a second.
  clearTimeout(addressing);
  addressing = setTimeout(keepInAddress, 200, "threshold", value === live.threshold ? null : String(value));
}

// The score next to the threshold on either side; a threshold at a score passes that score.
function neighbour(direction) {
  const k = stepsUpTo(threshold, true);
  if (direction > 0) return k < steps.length ? steps[k] : threshold;
  const here = k > 0 && steps[k - 1] === threshold ? k - 2 : k - 1;
  return here >= 0 ? steps[here] : steps[0] - Math.abs(steps[0]) * 1e-9 - Number.MIN_VALUE;
}

function startThreshold() {
  byId("live-board").hidden = false;
  drawStrip();
  drawRules();
  slide.addEventListener("input", () =>
    move(Number(axis.value(slide.value / slide.max).toPrecision(6)), slide));
  slide.addEventListener("keydown", (event) => {
    const direction = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!direction) return;
    event.preventDefault();
    move(neighbour(direction));
  });
  exact.addEventListener("change", () => move(exact.valueAsNumber, exact));
  const drag = (event) => {
    const box = strip.getBoundingClientRect();
    move(Number(axis.value((event.clientX - box.left) / box.width).toPrecision(6)));
  };
  strip.addEventListener("pointerdown", (event) => { strip.setPointerCapture(event.pointerId); drag(event); });
  strip.addEventListener("pointermove", (event) => { if (event.buttons) drag(event); });
  move(threshold, "hash");
}
