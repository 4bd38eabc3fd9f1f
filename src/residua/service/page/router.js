// Views by the address, and the tabs that lead to them.

/** @typedef {Object} Tab
 * @property {string} route
 * @property {string} label
 * @property {HTMLButtonElement} button
 * @property {HTMLElement} panel
 */

/**
 * @param {Object} needs
 * @param {HTMLElement} needs.list The list of tabs.
 * @param {Tab[]} needs.tabs
 * @param {(route: string) => boolean} needs.isOpen Whether a view is there for this caller.
 * @param {(route: string) => void} needs.shown
 */
export function createRouter({ list, tabs, isOpen, shown }) {
  let now = null;
  const open = () => tabs.filter(({ route }) => isOpen(route));
  const asked = () => location.hash.replace(/^#\/?/, "");

  function go(route) {
    location.hash = `#/${route}`;
  }

  /** Show what the address says, or the first view that is open. */
  function follow() {
    const there = open();
    const tab = there.find(({ route }) => route === asked()) ?? there[0];
    for (const one of tabs) {
      const here = one === tab;
      one.button.hidden = !there.includes(one);
      one.button.setAttribute("aria-selected", String(here));
      one.button.tabIndex = here ? 0 : -1;
      one.panel.hidden = !here;
    }
    document.title = `${tab.label} · Residua`;
    if (tab.route === now) return;
    now = tab.route;
    shown(tab.route);
  }

  for (const { button, route } of tabs) button.addEventListener("click", () => go(route));
  list.addEventListener("keydown", (event) => {
    const there = open();
    const here = there.findIndex(({ button }) => button === event.target);
    const to = {
      ArrowLeft: here - 1,
      ArrowRight: here + 1,
      Home: 0,
      End: there.length - 1,
    }[event.key];
    if (here < 0 || to === undefined) return;
    event.preventDefault();
    const next = there.at(to % there.length);
    go(next.route);
    next.button.focus();
  });
  window.addEventListener("hashchange", () => { if (now !== null) follow(); });
  return {
    follow,
    /** Show no view, as while the service is not to be asked. */
    close() {
      now = null;
      for (const { panel } of tabs) panel.hidden = true;
    },
  };
}
