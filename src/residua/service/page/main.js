// The page: it asks who is there and what is served, then the views work by themselves.

import { createApi, Refusal } from "./api.js";
import { createSpeaker, fill } from "./dom.js";
import { createInspect } from "./inspect.js";
import { createKeys } from "./keys.js";
import { createModel } from "./model.js";
import { createNews } from "./news.js";
import { createReview } from "./review.js";
import { createRouter } from "./router.js";
import { askForToken, showTrouble } from "./signin.js";
import { createState } from "./state.js";
import { createStation, remembered } from "./station.js";

const LOOK_EVERY = 5_000;

/** Whether a card says what the summary says. */
function agrees(model, summary) {
  const same = ([name, value]) => JSON.stringify(value) === JSON.stringify(model[name]);
  return model !== null && Object.entries(summary).every(same);
}

/** @typedef {Object} Context What the views share.
 * @property {import("./api.js").Api} api
 * @property {import("./state.js").State} state
 * @property {import("./keys.js").Keys} keys
 * @property {(text: string) => void} speak
 * @property {() => Promise<void>} refresh Ask anew what is served.
 */

function start() {
  const byId = (id) => document.getElementById(id);
  const notice = byId("notice"), tabList = byId("tabs");
  const state = createState();
  const api = createApi(() => state.set({ session: null }));
  const keys = createKeys(byId("keys"));
  let fetching = 0;

  async function fetchModel() {
    const { chosen, models } = state.now();
    const summary = models.find(({ name }) => name === chosen);
    // Another model's card must not stand under this one's name meanwhile.
    if (state.now().model && state.now().model.name !== summary?.name) state.set({ model: null });
    if (!summary) return;
    const mine = ++fetching;
    const model = await api.model(chosen);
    if (mine === fetching) state.set({ model });
  }

  async function look() {
    const { models } = await api.models();
    const { chosen } = state.now();
    const summary = models.find(({ name }) => name === chosen);
    state.set({ models, chosen: summary ? chosen : remembered(models) });
    if (summary && !agrees(state.now().model, summary)) await fetchModel();
  }

  /** Fetch what is shown anyway: what the service refuses now it may give at the next look. */
  async function refetch(fetch) {
    try {
      await fetch();
      state.set({ away: false });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.status === 0) state.set({ away: true });
    }
  }

  async function refresh() {
    if (state.now().session) await refetch(look);
  }

  async function begin() {
    fill(notice);
    try {
      const session = await api.session();
      const { models } = await api.models();
      state.set({ models, chosen: remembered(models) });
      state.set({ session });
      if (!models.length)
        showTrouble(notice, {
          title: "No model is served",
          detail: "The service runs, but there is no model to score with. Give it one, then try "
            + "again.",
          again: begin,
        });
    } catch (error) {
      router.close();
      tabList.hidden = true;
      if (!(error instanceof Refusal)) throw error;
      if (error.status === 401)
        askForToken(notice, {
          why: api.hasToken() ? error.message : "",
          given: (token) => { api.useToken(token); begin(); },
        });
      else showTrouble(notice, { title: error.title, detail: error.message, again: begin });
    }
  }

  function leave() {
    api.useToken(null);
    state.set({ session: null });
  }

  const context = { api, state, keys, refresh, speak: createSpeaker(byId("spoken")) };
  const router = createRouter({
    list: tabList,
    tabs: ["Inspect", "Review", "Model"].map((label) => {
      const route = label.toLowerCase();
      return { route, label, button: byId(`tab-${route}`), panel: byId(route) };
    }),
    isOpen(route) {
      const { session } = state.now();
      const mayReview = session !== null && session.role !== "reader" && session.keep !== "off";
      return route !== "review" || mayReview;
    },
    shown: (route) => state.set({ route }),
  });

  createStation(byId("station"), context, leave);
  createNews(byId("news"), context);
  createInspect(byId("inspect"), context);
  createReview(byId("review"), context);
  createModel(byId("model"), context);
  state.follow((now, before) => {
    if (now.chosen !== before.chosen) refetch(fetchModel);
    if (now.session === before.session) return;
    tabList.hidden = now.session === null || now.models.length === 0;
    if (now.session && now.models.length) router.follow();
    else router.close();
    // A token that was good before may be no more.
    if (before.session && !now.session) begin();
  });
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("main").focus();
  });
  let looking = setTimeout(lookAgain, LOOK_EVERY);
  async function lookAgain() {
    clearTimeout(looking);
    if (document.visibilityState === "visible") await refresh();
    clearTimeout(looking);
    looking = setTimeout(lookAgain, LOOK_EVERY);
  }
  document.addEventListener("visibilitychange", lookAgain);
  begin();
}

start();
