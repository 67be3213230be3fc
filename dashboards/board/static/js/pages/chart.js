// One characteristic: its control chart with rules in words, and its history to zoom into.
import { get, ignoreRefusal, sensorPath } from "../api.js";
import { h, memory, show, throttle } from "../dom.js";
import { clock, decimals, number, span, unit, withUnit } from "../format.js";
import { ruleText, t } from "../i18n.js";
import { icon } from "../icons.js";
import { controlChart, historyChart } from "../plot.js";
import { serverNow, state } from "../store.js";

const points = () => (innerWidth < 700 ? 80 : 240); // more would be a hedge, not a chart
const RANGES = [["h1", 3600], ["h8", 28_800], ["h24", 86_400], ["d7", 604_800], ["all", null]];

export function chartPage(root, argument) {
  let sensor = argument || memory.get("sensor") || "";
  let mode = "points";
  let chart = null;
  let plot = null;
  let zoom = null;
  let closed = false;
  const wish = { zones: memory.get("zones") !== "off", ewma: memory.get("ewma") !== "off", spec: memory.get("spec") === "on" };

  const select = h("select", { data: { filter: "1" }, "aria-label": t("choose"), on: { change: () => { location.hash = `#/chart/${sensorPath(select.value)}`; } } });
  const heading = h("h1");
  const name = h("span", { class: "muted" });
  const chip = h("span", { class: "chip" });
  const value = h("span", { class: "now" });
  const tabs = h("div", { class: "tabs", role: "tablist" });
  const checks = h("div", { class: "checks" });
  const canvas = h("div", { class: "plot" });
  const readout = h("p", { class: "readout", "aria-live": "off" });
  const facts = h("dl", { class: "facts" });
  const findings = h("section", { class: "findings" });

  function fillSelect() {
    show(select, (state.overview?.stations ?? []).map((station) =>
      h("optgroup", { label: station.title || station.id }, station.tiles.map((tile) =>
        h("option", { value: tile.sensor, selected: tile.sensor === sensor }, `${tile.title || tile.sensor}`)))));
  }

  function step(by) {
    const all = [...state.tiles.keys()];
    const next = all[(all.indexOf(sensor) + by + all.length) % all.length];
    if (next) location.hash = `#/chart/${sensorPath(next)}`;
  }

  function drawTabs() {
    show(tabs, [["points", null], ...RANGES].map(([name]) =>
      h("button", { role: "tab", "aria-selected": String(mode === name), on: { click: () => { mode = name; zoom = null; drawTabs(); load(); } } }, t(name))));
    const box = (name) => h("label", null, h("input", {
      type: "checkbox", checked: wish[name],
      on: { change: (event) => { wish[name] = event.target.checked; memory.set(name, event.target.checked ? "on" : "off"); draw(); } },
    }), t(name));
    show(checks, mode === "points" ? ["zones", chart?.ewma && "ewma", chart?.limits && "spec"].filter(Boolean).map(box) : h("span", { class: "muted" }, t("dragToZoom")));
  }

  function head() {
    const tile = state.tiles.get(sensor);
    if (!tile) return;
    const shown = state.blind ? "blind" : tile.state;
    chip.dataset.state = shown;
    show(chip, icon(shown), t(shown === "ok" && tile.limits?.lcl == null && tile.limits?.ucl == null ? "measured" : shown));
    value.textContent = withUnit(tile.value, tile.unit, decimals(tile.limits, tile.value));
  }

  function read(index) {
    if (index === null || index === undefined || !chart || mode !== "points") {
      readout.textContent = mode === "points" ? t("hoverPoint") : "";
      return;
    }
    const v = chart.v[index];
    const z = chart.sigma && v != null ? (v - chart.centre) / chart.sigma : null;
    const rules = chart.rules[index] ?? [];
    show(readout, h("b", null, withUnit(v, chart.unit, digits())), " · ", clock(chart.t[index] * 1000, serverNow()),
      z === null ? "" : ` · ${z >= 0 ? "+" : "−"}${number(Math.abs(z), 2)}\u202fσ`,
      rules.map((rule) => h("span", { class: "rule" }, icon("warn"), `${rule}: ${ruleText(rule, chart.texts?.[rule])}`)));
  }

  const digits = () => decimals(chart, chart?.centre ?? 0);

  function draw() {
    plot?.destroy();
    plot = null;
    show(canvas);
    if (!chart?.t.length) return;
    plot = controlChart(canvas, chart, wish, read);
    read(null);
  }

  function drawFacts() {
    const pair = (name, text) => text && h("div", null, h("dt", null, name), h("dd", null, text));
    const n = (v) => withUnit(v, chart.unit, digits());
    const lim = chart.limits ?? {};
    show(facts, chart.centre === null || chart.centre === undefined ? h("div", null, h("dd", { class: "muted" }, t("noChart"))) : [
      pair(t("centre"), n(chart.centre)), pair(t("sigma"), n(chart.sigma)), pair("LCL", n(chart.lcl)), pair("UCL", n(chart.ucl)),
      (lim.lsl ?? lim.usl) != null && pair(t("spec"), `${n(lim.lsl)} … ${n(lim.usl)}`),
      pair(t("baseline"), chart.baseline), pair(t("ruleset"), chart.ruleset),
      chart.ewma && pair("EWMA", `λ ${number(chart.ewma.weight)}, L ${number(chart.ewma.width)}`)]);
    const now = serverNow();
    show(findings, h("h2", null, t("findings")), chart.findings?.length
      ? h("ul", null, chart.findings.slice(0, 50).map((f) => h("li", { data: { open: f.open ? "1" : "" } },
        icon("warn"), h("div", null, h("b", null, f.rule), " ", ruleText(f.rule, f.text),
          h("div", { class: "muted" }, [clock(f.t_last, now), f.value == null ? "" : withUnit(f.value, chart.unit, digits()),
            f.product ? `${f.product}${f.place == null ? "" : ` · ${number(f.place, 1)}\u202f${t("metre")}`}` : "",
            t(f.open ? "open" : "closed")].filter(Boolean).join(" · "))))))
      : h("p", { class: "muted" }, t(chart.ruleset || chart.ewma ? "noFindings" : "noRules")));
  }

  async function loadPoints() {
    const fresh = await get(`/api/chart/${sensorPath(sensor)}?points=${points()}`, { background: true });
    if (closed || mode !== "points") return;
    const first = chart === null;
    chart = fresh;
    heading.textContent = chart.title || chart.sensor;
    if (first) drawTabs();
    if (plot?.kind === "control" && plot.update(chart)) {
      drawFacts();
      return;
    }
    draw();
    drawFacts();
  }

  async function loadHistory() {
    const seconds = RANGES.find(([name]) => name === mode)[1];
    const now = serverNow() / 1000;
    const [from, to] = zoom ?? [seconds === null ? null : now - seconds, null];
    const query = new URLSearchParams({ points: String(Math.min(2000, Math.max(200, canvas.clientWidth))) });
    if (from !== null) query.set("start", String(from));
    if (to !== null) query.set("end", String(to));
    const series = await get(`/api/series/${sensorPath(sensor)}?${query}`, { background: true });
    if (closed || mode === "points") return;
    plot?.destroy();
    plot = null;
    show(canvas, !series.t.length && h("p", { class: "empty" }, t("noHistory")));
    if (!series.t.length) return;
    readout.textContent = `${t("mean")}, ${t("minmax")} · ${series.bin_s > 0 ? t("bins", { span: span(series.bin_s) }) : t("rawPoints")}`;
    plot = historyChart(canvas, series, chart, (range) => { zoom = range; load(); });
  }

  async function load() {
    if (!sensor) return;
    try {
      if (mode === "points") await loadPoints();
      else await loadHistory();
    } catch (error) {
      if (closed) return;
      ignoreRefusal(error);
      if (error.status === 404) {
        plot?.destroy();
        plot = null;
        show(canvas, h("p", { class: "empty" }, t("unknownSensor")));
      }
    }
  }

  const later = throttle(1000, () => { if (!closed && mode === "points") load(); });
  const resized = throttle(200, () => plot?.resize());
  addEventListener("resize", resized);

  show(root, h("div", { class: "bar chart-bar" },
    h("div", { class: "picker" }, h("button", { class: "tool", title: t("previous"), "aria-label": t("previous"), on: { click: () => step(-1) } }, "‹"), select,
      h("button", { class: "tool", title: t("next"), "aria-label": t("next"), on: { click: () => step(1) } }, "›")), tabs, checks),
  h("div", { class: "chart-head" }, heading, chip, value, name),
  h("div", { class: "panel" }, canvas, readout, facts), findings);
  drawTabs();
  start();

  function start() {
    if (!state.overview) return;
    if (!state.tiles.has(sensor) && !argument) sensor = [...state.tiles.keys()][0] ?? "";
    memory.set("sensor", sensor);
    name.textContent = sensor;
    fillSelect();
    head();
    load();
  }

  return {
    overview: start,
    head,
    tiles(changed) {
      if (!changed.has(sensor)) return;
      head();
      later();
    },
    event(event) { if (event?.sensor === sensor) later(); },
    close() {
      closed = true;
      later.stop();
      removeEventListener("resize", resized);
      plot?.destroy();
    },
  };
}
