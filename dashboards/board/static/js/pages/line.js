// The line at a glance: every station with its product and its sensors.
import { h, memory, show, text } from "../dom.js";
import { decimals, number, span, unit } from "../format.js";
import { ruleText, t } from "../i18n.js";
import { icon } from "../icons.js";
import { Spark } from "../spark.js";
import { chartHref, stationTitle } from "../picker.js";
import { state } from "../store.js";
import { reason, stateText } from "../verdict.js";
import { alarmList } from "./alarms.js";

const DENSE = 24; // a rack of channels is read as a field, not sensor by sensor
const OLD_S = 10; // an age worth showing although the sensor is not stale yet

class Tile {
  constructor(sensor) {
    this.sensor = sensor;
    this.spark = new Spark();
    this.title = h("span", { class: "tile-title" });
    this.value = h("span", { class: "value" });
    this.unit = h("span", { class: "unit" });
    this.chip = h("span", { class: "chip" });
    this.note = h("span", { class: "tile-note" });
    this.node = h("a", { class: "tile", href: chartHref(sensor), data: { sensor } },
      this.title, h("span", { class: "reading" }, this.value, this.unit), this.spark.node,
      h("span", { class: "tile-foot" }, this.chip, this.note));
  }

  update() {
    const tile = state.tiles.get(this.sensor);
    if (!tile) return;
    this.tile = tile;
    text(this.title, tile.title || tile.sensor);
    text(this.value, number(tile.value, decimals(tile.limits, tile.value)));
    text(this.unit, unit(tile.unit));
    if (this.visible) this.spark.draw(tile.spark, tile.limits);
    this.node.title = tile.finding ? ruleText(tile.finding.rule, tile.finding.text) : `${tile.title || ""} (${tile.sensor})`;
    this.frame();
  }

  /** A thousand curves nobody sees would cost more than everything else together. */
  seen(visible) {
    this.visible = visible;
    if (visible && this.tile) this.spark.draw(this.tile.spark, this.tile.limits);
  }

  /** State, age and note: they also change when nothing arrives. */
  frame() {
    const { tile } = this;
    if (!tile) return;
    const shown = state.blind ? "blind" : tile.state;
    const words = stateText(tile, shown);
    if (this.node.dataset.state !== shown || this.words !== words) {
      this.node.dataset.state = shown;
      this.words = words;
      show(this.chip, icon(shown), h("span", null, this.words));
    }
    text(this.note, this.remark(tile));
  }

  remark(tile) {
    if (tile.at === null) return t("noValueYet");
    const age = (performance.now() - tile.at) / 1000;
    if (state.blind || tile.state === "stale" || age > OLD_S) return t("ago", { span: span(age) });
    if (tile.state === "unjudged") return reason(tile.judged);
    if (tile.finding) return `${tile.finding.rule}: ${ruleText(tile.finding.rule, tile.finding.text)}`;
    return (tile.quality ?? "good") === "good" ? "" : t(`quality_${tile.quality}`);
  }
}

function productText(product) {
  if (!product) return "";
  const place = product.place == null ? "" : ` · ${number(product.place, 1)}\u202f${t("metre")}`;
  return `${product.id}${place}`;
}

export function linePage(root, _argument, { wall }) {
  const tiles = new Map();
  const products = new Map();
  const sections = [];
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) tiles.get(target.dataset.sensor)?.seen(isIntersecting);
  }, { rootMargin: "800px" });
  const filter = h("input", {
    type: "search", data: { filter: "1" }, placeholder: `${t("filterHint")}  ( / )`, "aria-label": t("filter"),
    value: memory.get("filter") ?? "", on: { input: () => { memory.set("filter", filter.value || null); sift(); } },
  });
  const summary = h("p", { class: "summary" });
  const body = h("div", { class: "stations" });
  const nothing = h("p", { class: "empty", hidden: true }, t("nothingFits"));
  const list = wall ? alarmList({ compact: true }) : null;

  function build() {
    watcher.disconnect();
    tiles.clear();
    products.clear();
    sections.length = 0;
    for (const station of state.overview?.stations ?? []) {
      const product = h("span", { class: "product" });
      products.set(station.id, product);
      const grid = h("div", { class: station.tiles.length > DENSE ? "tiles dense" : "tiles" });
      for (const { sensor } of station.tiles) {
        const tile = new Tile(sensor);
        tiles.set(sensor, tile);
        tile.update();
        grid.append(tile.node);
        watcher.observe(tile.node);
      }
      const node = h("section", { class: "station", "aria-label": stationTitle(station) },
        h("header", null, h("h2", null, stationTitle(station)), h("span", { class: "muted" }, station.area), product), grid);
      node.style.setProperty("--n", Math.min(6, Math.max(1, station.tiles.length)));
      sections.push({ node, station });
      body.append(node);
    }
    head();
    sift();
  }

  function head() {
    for (const station of state.overview?.stations ?? []) {
      const node = products.get(station.id);
      if (!node) continue;
      text(node, productText(station.product));
      node.title = station.product?.kind ?? "";
    }
    const count = { ok: 0, learning: 0, unjudged: 0, measured: 0, warn: 0, alarm: 0, stale: 0, nodata: 0 };
    for (const tile of state.tiles.values()) count[tile.state] += 1;
    const chips = state.blind ? h("span", { class: "chip", data: { state: "blind" } }, icon("blind"), t("blind"))
      : Object.entries(count).filter(([, n]) => n).map(([name, n]) =>
        h(wall ? "span" : "button", { class: "chip", data: { state: name }, on: { click: () => only(t(name)) } },
          icon(name), `${n} ${t(name)}`));
    const key = JSON.stringify([count, Boolean(state.blind)]);
    if (summary.dataset.key !== key) {
      summary.dataset.key = key;
      show(summary, chips);
    }
  }

  /** Show only one state, or everything again. */
  function only(word) {
    filter.value = filter.value === word ? "" : word;
    memory.set("filter", filter.value || null);
    sift();
  }

  function sift() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let any = false;
    for (const { node, station } of sections) {
      let some = false;
      for (const { sensor } of station.tiles) {
        const tile = state.tiles.get(sensor);
        const hay = `${stationTitle(station)} ${station.area} ${sensor} ${tile?.title} ${tile?.state} ${tile ? t(tile.state) : ""}`.toLowerCase();
        const fits = words.every((word) => hay.includes(word));
        tiles.get(sensor).node.hidden = !fits;
        some ||= fits;
      }
      node.hidden = !some;
      any ||= some;
    }
    nothing.hidden = any || !sections.length;
  }

  show(root, h("div", { class: "line-page" },
    h("div", { class: "bar" }, summary, filter), nothing,
    h("div", { class: "columns" }, body, list && h("aside", null, h("h2", null, t("alarms")), list.node))));
  if (state.overview) build();

  return {
    close() { watcher.disconnect(); },
    overview() { show(body); build(); },
    tiles(changed) {
      for (const sensor of changed) tiles.get(sensor)?.update();
      head();
    },
    head,
    blind() {
      head();
      for (const tile of tiles.values()) tile.frame();
    },
    alarms() { list?.update(); },
    second() {
      for (const tile of tiles.values()) tile.frame();
      if (filter.value) sift();
      list?.second();
    },
  };
}
