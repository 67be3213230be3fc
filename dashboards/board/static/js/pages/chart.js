// One characteristic: its control chart with rules in words, and its history to zoom into.
import { get, ignoreRefusal, sensorPath } from "../api.js";
import { h, memory, show, throttle } from "../dom.js";
import { findingList } from "../findings.js";
import { clock, decimals, number, span, whole, withUnit } from "../format.js";
import { ruleText, t } from "../i18n.js";
import { icon } from "../icons.js";
import { isGroup, picker } from "../picker.js";
import { at, controlChart, historyChart, now } from "../plot.js";
import { serverNow, state } from "../store.js";
import { bar, modeText, reason, stateText, verdictState, verdictText } from "../verdict.js";
import { groupPage } from "./group.js";

const points = () => (innerWidth < 700 ? 80 : 240); // more would be a hedge, not a chart
const RANGES = [["h1", 3600], ["h8", 28_800], ["h24", 86_400], ["d7", 604_800], ["all", null]];

export function chartPage(root, argument) {
  let sensor = argument || memory.get("sensor") || "";
  if (isGroup(sensor)) {
    memory.set("sensor", sensor);
    return groupPage(root, sensor);
  }
  let mode = "points";
  let chart = null;
  let plot = null;
  let zoom = null;
  let closed = false;
  const wish = { zones: memory.get("zones") !== "off", ewma: memory.get("ewma") !== "off", spec: memory.get("spec") === "on" };

  const choose = picker(() => sensor);
  const heading = h("h1");
  const name = h("span", { class: "muted" });
  const chip = h("span", { class: "chip" });
  const value = h("span", { class: "now" });
  const tabs = h("div", { class: "tabs", role: "tablist" });
  const checks = h("div", { class: "checks" });
  const canvas = h("div", { class: "plot" });
  const readout = h("p", { class: "readout", "aria-live": "off" });
  const facts = h("dl", { class: "facts" });
  const why = h("p", { class: "why" });
  const scatter = h("section", { class: "panel", hidden: true }, h("h2"), h("div", { class: "plot low" }), h("p", { class: "muted" }));
  const others = h("section", { class: "panel", hidden: true });
  const findings = h("section", { class: "findings" });
  let scatterPlot = null;

  function drawTabs() {
    show(tabs, [["points", null], ...RANGES].map(([name]) =>
      h("button", { role: "tab", "aria-selected": String(mode === name), on: { click: () => { mode = name; zoom = null; drawTabs(); load(); } } }, t(name))));
    const box = (name) => h("label", null, h("input", {
      type: "checkbox", checked: wish[name],
      on: { change: (event) => { wish[name] = event.target.checked; memory.set(name, event.target.checked ? "on" : "off"); draw(); } },
    }), t(name));
    show(checks, mode === "points" ? [chart?.sigma && "zones", chart?.ewma && "ewma", raw() && hasSpec() && "spec"].filter(Boolean).map(box) : h("span", { class: "muted" }, t("dragToZoom")));
  }

  function head() {
    const tile = state.tiles.get(sensor);
    if (!tile) return;
    const shown = state.blind ? "blind" : tile.state;
    chip.dataset.state = shown;
    show(chip, icon(shown), stateText(tile, shown));
    value.textContent = withUnit(tile.value, tile.unit, decimals(tile.limits, tile.value));
  }

  function read(index) {
    if (index === null || index === undefined || !chart || mode !== "points") {
      readout.textContent = mode === "points" ? t("hoverPoint") : "";
      return;
    }
    const v = chart.v[index];
    const centre = at(chart.centre, index);
    const z = chart.sigma && v != null && centre !== null ? (v - centre) / chart.sigma : null;
    const rules = chart.rules[index] ?? [];
    const [lcl, ucl] = [at(chart.lcl, index), at(chart.ucl, index)];
    show(readout, h("b", null, withUnit(v, plottedUnit(), digits())), " · ", clock(chart.t[index] * 1000, serverNow()),
      z === null || chart.mode === "self-starting" ? "" : ` · ${z >= 0 ? "+" : "−"}${number(Math.abs(z), 2)}\u202fσ`,
      (Array.isArray(chart.lcl) || Array.isArray(chart.ucl)) && (lcl ?? ucl) !== null ? ` · LCL ${number(lcl, digits())} · UCL ${number(ucl, digits())}` : "",
      rules.map((rule) => h("span", { class: "rule" }, icon("warn"), `${rule}: ${ruleText(rule, chart.texts?.[rule])}`)));
  }

  const raw = () => !chart?.mode || chart.mode === "raw"; // points are the samples themselves
  const hasSpec = () => (chart?.limits?.lsl ?? chart?.limits?.usl) != null;
  const plottedUnit = () => chart?.plotted_unit ?? chart?.unit;
  const numbers = () => ({ ucl: now(chart?.ucl), lcl: now(chart?.lcl) });
  const digits = () => {
    const { ucl, lcl } = numbers();
    if (ucl !== null && lcl !== null) return decimals({ ucl, lcl }, 0);
    const centre = now(chart?.centre);
    return chart?.sigma && centre !== null ? decimals({ ucl: centre + 3 * chart.sigma, lcl: centre - 3 * chart.sigma }, 0) : decimals(null, centre ?? chart?.v?.at(-1) ?? 0);
  };

  function draw() {
    plot?.destroy();
    plot = null;
    show(canvas);
    if (!chart?.t.length) {
      show(canvas, h("p", { class: "empty" }, t("why_no_points")));
      return;
    }
    plot = controlChart(canvas, chart, { ...wish, spec: wish.spec && raw() }, read);
    read(null);
  }

  function drawWhy() {
    const judged = chart.verdict ?? chart.judged;
    const words = reason(judged);
    // The chip says how the sensor is; the chart itself may have another opinion.
    const other = verdictState(judged) !== state.tiles.get(sensor)?.state && judged;
    show(why, other && [icon(verdictState(judged)), h("b", null, `${t("detector_charts")}: ${verdictText(judged)}`)], words && h("b", null, words),
      chart.mode && h("span", { class: "muted" }, chart.points === 0 && chart.t.length ? t("samplesShown") : modeText(chart)));
  }

  const pair = (name, text) => text && h("div", null, h("dt", null, name), h("dd", null, text));

  /** The two memory charts as they stand: the number, its limit, and how much of it is used. */
  function memoryFacts(n) {
    const { ewma_now: ewma, cusum } = chart;
    const facts = [];
    if (ewma?.ucl != null && ewma.value != null) {
      const half = (ewma.ucl - ewma.lcl) / 2;
      facts.push(pair(t("ewmaNow"), [`${n(ewma.value)} (${number(ewma.lcl, digits())} … ${number(ewma.ucl, digits())})`, bar(Math.abs(ewma.value - ewma.lcl - half) / half)]));
    }
    if (cusum) {
      facts.push(pair(t("cusumNow"), [`+${number(cusum.high, 2)} / −${number(cusum.low, 2)}, h ${number(cusum.h)}`, bar(Math.max(cusum.high, cusum.low) / cusum.h)]));
    }
    return facts;
  }

  function drawFacts() {
    drawWhy();
    const n = (v) => withUnit(v, plottedUnit(), digits());
    const lim = chart.limits ?? {};
    const centre = now(chart.centre);
    const { lcl, ucl } = numbers();
    show(facts, !chart.mode && centre === null ? h("div", null, h("dd", { class: "muted" }, t("noChart"))) : [
      centre !== null && pair(t("centre"), n(centre)), chart.sigma && pair(t("sigma"), n(chart.sigma)),
      lcl !== null && pair("LCL", n(lcl)), ucl !== null && pair("UCL", n(ucl)),
      chart.level != null && pair(t("level"), withUnit(chart.level, chart.unit)),
      hasSpec() && pair(t("spec"), `${withUnit(lim.lsl, chart.unit)} … ${withUnit(lim.usl, chart.unit)}`),
      memoryFacts(n),
      pair(t("recipe"), chart.recipe), pair(t("baseline"), chart.baseline), pair(t("ruleset"), chart.ruleset || (chart.mode && t("noRuleset"))),
      chart.arl0 && pair(t("arl0"), t("pointsCount", { n: whole(chart.arl0) })),
      chart.ewma && pair("EWMA", `λ ${number(chart.ewma.weight)}, L ${number(chart.ewma.width)}`),
      chart.points != null && pair(t("judgedPoints"), whole(chart.points)),
      chart.late > 0 && pair(t("late"), whole(chart.late)), chart.cannot_judge > 0 && pair(t("cannotJudge"), whole(chart.cannot_judge))]);
    show(findings, findingList(chart.findings, { unit: chart.unit, digits: raw() ? digits() : null,
      none: t(chart.verdict?.verdict === "in control" ? "noFindings" : chart.ruleset || chart.ewma_now || chart.cusum || chart.judged ? "noFindingsYet" : "noRules") }));
    drawScatter();
    drawOthers();
  }

  function drawScatter() {
    const given = chart.scatter;
    scatter.hidden = !given;
    if (!given) return;
    const [title, place, note] = scatter.children;
    show(title, t(`spread_${given.kind}`), " ", h("span", { class: "chip", data: { state: verdictState(given.judged) } }, icon(verdictState(given.judged)), verdictText(given.judged)));
    show(note, [given.value != null && withUnit(given.value, given.unit), now(given.ucl) !== null && `UCL ${withUnit(now(given.ucl), given.unit)}`, reason(given.judged)].filter(Boolean).join(" · "));
    if (scatterPlot?.update(given)) return;
    scatterPlot = given.t.length ? controlChart(place, given, { zones: false, ewma: false, spec: false, low: true }, () => {}) : null;
  }

  function drawOthers() {
    const list = (chart.others ?? []).filter((other) => other.detector !== "spread");
    others.hidden = !list.length;
    show(others, h("h2", null, t("otherDetectors")), h("ul", { class: "others" }, list.map((other) =>
      h("li", null, icon(verdictState(other)), h("b", null, t(`detector_${other.detector}`)), h("span", null, verdictText(other)),
        h("span", { class: "muted" }, [reason(other), other.value != null && other.number ? t(`number_${other.number}`, { n: number(other.value) }) : ""].filter(Boolean).join(" · "))))));
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
    plot = historyChart(canvas, series, raw() ? chart : null, (range) => { zoom = range; load(); });
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
  const resized = throttle(200, () => { plot?.resize(); scatterPlot?.resize(); });
  addEventListener("resize", resized);

  show(root, h("div", { class: "bar chart-bar" }, choose.node, tabs, checks),
    h("div", { class: "chart-head" }, heading, chip, value, name), why,
    h("div", { class: "panel" }, canvas, readout, facts), scatter, others, findings);
  drawTabs();
  start();

  function start() {
    if (!state.overview) return;
    if (!state.tiles.has(sensor) && !argument) sensor = [...state.tiles.keys()][0] ?? "";
    memory.set("sensor", sensor);
    name.textContent = sensor;
    choose.fill();
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
      scatterPlot?.destroy();
    },
  };
}
