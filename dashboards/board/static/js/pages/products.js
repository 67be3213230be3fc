// Products, newest first: what they are, where they came from, and what may be done with them.
import { get, ignoreRefusal } from "../api.js";
import { h, show, throttle } from "../dom.js";
import { clock, number, withUnit } from "../format.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { serverNow } from "../store.js";

const LOOK = { OPEN: "nodata", OK: "ok", HOLD: "warn", REWORK: "warn", SCRAP: "alarm" };
const GATE = { pass: "ok", hold: "warn", fail: "alarm", open: "nodata" };

const SHOWN = 3; // parents named on a card

const metre = (place) => (place === null || place === undefined ? "" : ` · ${number(place, 1)}\u202f${t("metre")}`);

function card(product) {
  const now = serverNow();
  const disposition = product.disposition ?? "OPEN";
  const pair = (name, value) => (value ? [h("dt", null, name), h("dd", null, value)] : null);
  return h("article", { class: "product-card" },
    h("header", null, h("h2", null, product.id), h("span", { class: "chip", data: { state: LOOK[disposition] } },
      icon(LOOK[disposition]), t(disposition === "OPEN" && product.ended ? "undecided" : disposition))),
    h("p", { class: "muted" }, `${product.kind} · ${product.station}${product.ended ? "" : ` · ${t("here")}`}`),
    h("dl", null,
      pair(t("started"), product.started && clock(product.started, now)), pair(t("ended"), product.ended && clock(product.ended, now)),
      pair(t("length"), product.length_m && `${number(product.length_m, 1)}\u202f${t("metre")}`),
      pair(t("from"), product.parents?.length && h("span", null,
        product.parents.slice(0, SHOWN).map((p, i) => [i ? ", " : "", h("b", null, p.id), metre(p.place)]),
        product.parents.length > SHOWN && ` ${t("more", { n: product.parents.length - SHOWN })}`)),
      product.children ? pair("", t("children", { n: product.children })) : null,
      product.measures?.map((m) => pair(m.title || m.name, withUnit(m.value, m.unit))),
      pair(t("alarms"), product.alarms && String(product.alarms)), pair(t("findings"), product.findings && String(product.findings)),
      pair(t("cost"), product.cost && number(product.cost, 2))),
    product.gates?.length ? h("ul", { class: "gates", "aria-label": t("gates") }, product.gates.map((gate) =>
      h("li", { data: { state: GATE[gate.decision] } }, icon(GATE[gate.decision]), h("b", null, gate.gate), ` ${gate.title}`,
        gate.missing?.length ? h("span", { class: "muted" }, ` (${gate.missing.join(", ")})`) : null))) : null);
}

export function productsPage(root) {
  let rows = [];
  const filter = h("input", { type: "search", data: { filter: "1" }, placeholder: `${t("filter")}  ( / )`, "aria-label": t("filter"), on: { input: draw } });
  const list = h("div", { class: "cards" });

  function draw() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = rows.filter((p) => words.every((w) =>
      `${p.id} ${p.kind} ${p.station} ${t(p.disposition ?? "OPEN")} ${p.parents?.map((q) => q.id).join(" ")}`.toLowerCase().includes(w)));
    show(list, fits.length ? fits.map(card) : h("p", { class: "empty" }, rows.length ? t("nothingFits") : t("noProducts")));
  }

  async function load() {
    try {
      rows = await get("/api/products?limit=100", { background: true });
      draw();
    } catch (error) {
      ignoreRefusal(error);
    }
  }

  const later = throttle(2000, load);
  show(root, h("div", { class: "bar" }, h("h1", null, t("products")), filter), list);
  load();
  return { close: () => later.stop(), overview: load, event: (event) => event?.type === "product" && later() };
}
