// The page itself: light or dark, what the address holds, and where the reader is.

const theme = byId("theme");

function readAddress() {
  const text = location.hash.slice(1);
  return new URLSearchParams(text.includes("=") ? text : "");
}

function keepInAddress(key, value) {
  const kept = readAddress();
  if (value === null) kept.delete(key);
  else kept.set(key, value);
  const text = kept.toString();
  try {
    if (text || location.hash.includes("=")) history.replaceState(null, "", text ? `#${text}` : "#verdict");
  } catch { /* Some viewers of attachments have no address to change. */ }
}

const isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  theme.textContent = isDark() ? "Light" : "Dark";
  theme.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
}

function followAddress() {
  const kept = readAddress();
  if (["light", "dark"].includes(kept.get("theme"))) setTheme(kept.get("theme"));
  const asked = Number(kept.get("threshold"));
  if (kept.get("threshold") && Number.isFinite(asked)) move(asked, "hash");
}

function followReading() {
  const links = new Map([...document.querySelectorAll(".toc a")].map((a) => [a.hash.slice(1), a]));
  const visible = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) visible[entry.isIntersecting ? "add" : "delete"](entry.target.id);
    const here = [...links.keys()].find((id) => visible.has(id));
    for (const [id, link] of links) {
      if (id === here) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-10% 0px -60% 0px" });
  for (const id of links.keys()) observer.observe(byId(id));
}

theme.hidden = false;
setTheme("");
theme.addEventListener("click", () => {
  setTheme(isDark() ? "light" : "dark");
  keepInAddress("theme", document.documentElement.dataset.theme);
});
startGallery();
startThreshold();
followAddress();
followReading();
addEventListener("hashchange", followAddress);
document.documentElement.dataset.ready = "true";
