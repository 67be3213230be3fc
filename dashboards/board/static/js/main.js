// The frame of the board: header, pages, banners, keys, and the beginning of everything.
import { loadSession, logout, may } from "./api.js";
import { askAck, askLogin, showHelp } from "./dialogs.js";
import { h, memory, show, text } from "./dom.js";
import { clock, number, span } from "./format.js";
import { lang, setLang, t } from "./i18n.js";
import { icon, priority } from "./icons.js";
import { alarmsPage } from "./pages/alarms.js";
import { budgetPage } from "./pages/budget.js";
import { chartPage } from "./pages/chart.js";
import { ledgerPage } from "./pages/ledger.js";
import { linePage } from "./pages/line.js";
import { productsPage } from "./pages/products.js";
import { soundOn, toggleSound, watchSound } from "./sound.js";
import { emit, on, serverNow, state } from "./store.js";
import { start } from "./stream.js";

const PAGES = { line: linePage, alarms: alarmsPage, chart: chartPage, products: productsPage, ledger: ledgerPage, budget: budgetPage };
const NAMES = Object.keys(PAGES);
const wall = new URLSearchParams(location.search).get("wall") === "1";
const root = document.getElementById("page");
let page = null;
let live = {};

// ---------------------------------------------------------------- header

function header() {
  const links = NAMES.map((name, i) =>
    h("a", { href: `#/${name}`, data: { page: name }, title: `${t(name)} (${i + 1})` }, t(name),
      name === "alarms" && (live.count = h("b", { class: "count", hidden: true }))));
  const tool = (name, label, click, pressed = null) =>
    h("button", { class: "tool", title: label, "aria-label": label, "aria-pressed": pressed, on: { click } }, icon(name));
  show(document.getElementById("top"),
    h("a", { class: "brand", href: "#/line" }, h("img", { src: "/static/icon.svg", alt: "", width: 26, height: 26 }),
      live.title = h("span", { class: "title" }),
      live.simulated = h("span", { class: "simulated", title: t("simulatedHint"), hidden: true }, t("simulated"))),
    h("nav", { "aria-label": "linetwin" }, links),
    h("div", { class: "tools" },
      live.engine = h("span", { class: "engine", role: "status" }),
      live.clock = h("time", { class: "clock" }),
      h("button", { class: "tool lang", title: t("language"), lang: lang() === "de" ? "en" : "de",
        on: { click: () => { setLang(lang() === "de" ? "en" : "de"); emit("lang"); } } }, lang() === "de" ? "EN" : "DE"),
      tool(document.documentElement.dataset.theme === "dark" ? "sun" : "moon", t("theme"), switchTheme),
      tool(soundOn() ? "sound" : "mute", t("sound"), () => { toggleSound(); header(); }, String(soundOn())),
      h("button", { class: "tool", title: t("help"), "aria-label": t("help"), on: { click: showHelp } }, "?"),
      live.user = h("button", { class: "who" })));
  headerState();
}

function switchTheme() {
  memory.set("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  dispatchEvent(new Event("themewish"));
}

function headerState() {
  const overview = state.overview;
  const line = overview?.line;
  text(live.title, line ? line.title || line.name : "linetwin");
  live.simulated.hidden = !line?.simulated;
  document.body.classList.toggle("is-simulated", Boolean(line?.simulated));
  const { user, login } = state.session ?? {};
  show(live.user, icon("user"), user ?? (login ? t("login") : ""));
  live.user.hidden = !user && !login;
  live.user.title = user ? `${user} (${state.session.role}) · ${t("logout")}` : t("login");
  live.user.onclick = () => (user ? logout().catch(() => {}) : askLogin());
  const counts = overview?.alarms;
  const open = counts ? counts.P1 + counts.P2 + counts.P3 + counts.P4 : 0;
  live.count.hidden = !open;
  text(live.count, String(open));
  live.count.className = `count ${counts?.unacked ? worst(counts) : "quiet"}`;
  live.count.title = counts ? t("unacked", { n: counts.unacked }) : "";
  const name = line ? line.title || line.name : "linetwin";
  document.title = state.blind ? `BLIND · ${name}` : counts?.unacked ? `(${counts.unacked}) ${name}` : name;
  engineState();
}

const worst = (counts) => ["P1", "P2", "P3", "P4"].find((p) => counts[p])?.toLowerCase() ?? "quiet";

function engineState() {
  const engine = state.overview?.engine;
  live.engine.className = `engine ${state.blind ? "bad" : engine ? "good" : ""}`;
  if (state.blind) show(live.engine, icon("blind"), h("b", null, t("blind")));
  else if (!engine) show(live.engine, t("connecting"));
  else {
    show(live.engine, icon("ok"), h("b", null, t("live")),
      h("span", { class: "wide" }, t("perSecond", { n: number(engine.messages_per_s, 0) })),
      h("span", { class: "wide" }, t("lag", { lag: `${number(engine.lag_s, 1)}\u202fs` })));
  }
}

// ---------------------------------------------------------------- banners

const UNACKED = new Set(["UNACK", "LUNACK", "RTNUN"]);
const banners = document.getElementById("banners");

function showBanners() {
  const parts = [];
  document.body.classList.toggle("blind", Boolean(state.blind));
  if (state.blind) {
    const { since, why, detail } = state.blind;
    const key = { server: "blindServer", engine: "blindEngine", lag: "blindLag" }[why];
    const lag = why === "lag" ? span(detail) : "";
    parts.push(h("div", { class: "banner blind-banner", role: "alert" }, icon("blind"),
      h("strong", null, t("blindSince", { time: clock(since, serverNow()) })), h("span", null, t(key, { detail, lag }))));
  }
  const first = state.alarms.find((a) => a.state === "UNACK" || a.state === "LUNACK");
  const urgent = first && (first.priority === "P1" || first.priority === "P2");
  if (urgent && page?.name !== "alarms" && !wall) {
    parts.push(h("div", { class: `banner alarm-banner ${first.priority.toLowerCase()}` }, priority(first.priority),
      h("strong", null, first.title), h("span", { class: "muted" }, first.sensor_title || first.sensor),
      h("a", { class: "button", href: `#/alarms/${encodeURIComponent(first.occurrence)}` }, t("show"))));
  }
  show(banners, parts);
}

// ---------------------------------------------------------------- pages

function go() {
  const [, name, ...rest] = location.hash.split("/");
  const wanted = PAGES[name] ? name : "line";
  page?.close?.();
  const argument = rest.map(decodeURIComponent).join("/");
  root.className = wanted;
  page = { name: wanted, ...PAGES[wanted](root, argument, { wall }) };
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.page === wanted) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  scrollTo(0, 0);
  showBanners();
}

function rebuild() {
  header();
  go();
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key >= "1" && event.key <= String(NAMES.length)) location.hash = `#/${NAMES[event.key - 1]}`;
  else if (event.key === "?") showHelp();
  else if (event.key === "/") document.querySelector("[data-filter]")?.focus();
  else if (event.key === "a") {
    const alarm = page.chosen?.() ?? state.alarms.find((a) => UNACKED.has(a.state));
    if (alarm) askAck(alarm);
  } else if (!page.key?.(event)) return;
  event.preventDefault();
});

addEventListener("hashchange", go);
addEventListener("themechange", rebuild);
on("lang", rebuild);
on("session", () => { headerState(); page?.session?.(); });
on("head", () => { headerState(); page?.head?.(); });
on("tiles", (changed) => page?.tiles?.(changed));
on("events", (event) => page?.event?.(event));
on("alarms", () => { headerState(); showBanners(); page?.alarms?.(); });
on("blind", () => { headerState(); showBanners(); (page?.blind ?? page?.head)?.(); });
on("overview", () => { headerState(); page?.overview?.(); });
on("login", () => { if (!may("view")) askLogin(t("loginNeeded")); });

setInterval(() => {
  text(live.clock, clock(serverNow(), serverNow()));
  page?.second?.();
}, 1000);

document.documentElement.classList.toggle("wall", wall);
header();
go();
watchSound();
loadSession().catch(() => {}).finally(() => {
  if (state.session && !may("view")) askLogin(t("loginNeeded"));
  else start();
});
// After a login on a closed board there is finally something to load.
on("session", () => { if (may("view") && !state.overview) start(); });
