// The gallery: filtered, sorted, marked as the threshold moves, and opened large.

const list = byId("gallery-cards"), tools = byId("gallery-tools");
const AT_FIRST = 48;
let room = AT_FIRST, shown = [], opened = 0;

const cards = list === null ? [] : [...list.children].map((element, k) => {
  const button = element.firstElementChild, image = button.querySelector("img");
  return { ...data.cards[k], k, element, button, image, picture: image.src, mark: button.querySelector(".mark") };
});

function verdict(card) {
  const flagged = isFlagged(card.score, threshold);
  if (card.truth === null) return flagged ? "flagged" : "passed";
  return card.truth ? (flagged ? "found" : "missed") : flagged ? "false alarm" : "passed";
}

const isWrong = (word) => word === "missed" || word === "false alarm";

function wanted(card) {
  const which = tools.elements.which.value;
  const flagged = isFlagged(card.score, threshold);
  if (which === "flagged" ? !flagged : which === "passed" ? flagged
    : which === "wrong" ? !isWrong(card.word) : which !== "all" && card.word !== which) return false;
  const label = tools.elements.label;
  if (label && label.value && card.label !== label.value) return false;
  const text = tools.elements.text.value.trim().toLowerCase();
  return !text || card.id.toLowerCase().includes(text);
}

const ORDERS = {
  outside: (a, b) => a.k - b.k,
  high: (a, b) => b.score - a.score || a.k - b.k,
  low: (a, b) => a.score - b.score || a.k - b.k,
  label: (a, b) => a.label.localeCompare(b.label, "en", { numeric: true }) || a.k - b.k,
  id: (a, b) => a.id.localeCompare(b.id, "en", { numeric: true }) || a.k - b.k,
};

function markCards() {
  for (const card of cards) {
    const word = verdict(card);
    if (card.word === word) continue;
    card.word = word;
    const flagged = isFlagged(card.score, threshold);
    card.mark.textContent = `${flagged ? "▲" : "○"} ${word}`;
    card.button.classList.toggle("flagged", flagged);
    card.button.classList.toggle("wrong", isWrong(word));
  }
}

function listCards() {
  const kept = cards.filter(wanted).sort(ORDERS[tools.elements.order.value]);
  const before = shown;
  shown = kept.slice(0, room);
  if (shown.length !== before.length || shown.some((card, i) => card !== before[i])) {
    const hasFocus = list.contains(document.activeElement);
    const keep = new Set(shown);
    for (const card of cards) card.element.hidden = !keep.has(card);
    list.append(...shown.map((card) => card.element));
    reachable(shown.find((card) => card.button.tabIndex === 0) || shown[0], hasFocus);
  }
  const more = kept.length - shown.length;
  byId("gallery-shown").textContent = kept.length
    ? `${grouped(shown.length)} of ${grouped(kept.length)} shown` : "No picture of the gallery is of this kind.";
  byId("gallery-more").hidden = more === 0;
  byId("gallery-more").textContent = `Show ${Math.min(more, AT_FIRST)} more`;
}

// One card takes part in the tab order; the arrow keys go to the others.
function reachable(card, focus) {
  for (const other of cards) other.button.tabIndex = other === card ? 0 : -1;
  if (card && focus) card.button.focus();
}

function neighbourCard(card, key) {
  const place = shown.indexOf(card);
  if (key === "Home") return shown[0];
  if (key === "End") return shown[shown.length - 1];
  if (key === "ArrowLeft" || key === "ArrowRight") return shown[place + (key === "ArrowRight" ? 1 : -1)];
  const top = shown[0].element.offsetTop;
  const inRow = shown.findIndex((other) => other.element.offsetTop !== top);
  const perRow = inRow < 0 ? shown.length : inRow;
  return shown[place + (key === "ArrowDown" ? perRow : -perRow)];
}

function viewAs(kind) {
  for (const card of cards) card.image.src = card[kind];
}

function fact(name, value) {
  const term = document.createElement("dt"), said = document.createElement("dd"), text = document.createElement("bdi");
  term.textContent = name;
  text.textContent = value;
  said.append(text);
  byId("large-facts").append(term, said);
}

function open(card) {
  opened = Math.max(0, shown.indexOf(card));
  const title = document.createElement("bdi");
  title.textContent = card.id;
  byId("large-title").replaceChildren(title);
  for (const kind of ["picture", "rebuilt", "heat"]) byId(`large-${kind}`).src = card[kind];
  byId("large-facts").replaceChildren();
  if (card.label) fact("class", card.label);
  if (card.truth !== null) fact("truth", card.truth ? "anomalous" : "normal");
  fact("verdict", card.word);
  fact("score", `${Number(card.score.toPrecision(6))}, threshold ${Number(threshold.toPrecision(6))}`);
  fact("p, held-out normal pictures as high", percent(card.p));
  byId("large-place").textContent = `${opened + 1} of ${shown.length}`;
  byId("large-back").disabled = opened === 0;
  byId("large-on").disabled = opened === shown.length - 1;
  if (!byId("large").open) byId("large").showModal();
}

function turn(direction) {
  const card = shown[opened + direction];
  if (card) open(card);
}

function startGallery() {
  if (list === null) return;
  tools.hidden = byId("gallery-hint").hidden = false;
  for (const card of cards) card.button.addEventListener("click", () => open(card));
  list.addEventListener("keydown", (event) => {
    const card = shown.find((one) => one.button === event.target);
    if (!card || !/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(event.key)) return;
    event.preventDefault();
    const next = neighbourCard(card, event.key);
    if (next) reachable(next, true);
  });
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.addEventListener("input", (event) => {
    if (event.target.name === "view") return viewAs(event.target.value);
    room = AT_FIRST;
    listCards();
  });
  byId("gallery-more").addEventListener("click", () => { room += AT_FIRST; listCards(); });
  const large = byId("large");
  byId("large-close").addEventListener("click", () => large.close());
  byId("large-back").addEventListener("click", () => turn(-1));
  byId("large-on").addEventListener("click", () => turn(1));
  large.addEventListener("click", (event) => { if (event.target === large) large.close(); });
  large.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") turn(-1);
    if (event.key === "ArrowRight") turn(1);
  });
  large.addEventListener("close", () => reachable(shown[opened], true));
  onThreshold.push(() => { markCards(); listCards(); });
}
