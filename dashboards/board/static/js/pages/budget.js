// Where the budget of false findings goes: planned beside observed, the largest share first.
import { get, ignoreRefusal } from "../api.js";
import { h, show, throttle } from "../dom.js";
import { clock, number, span, whole } from "../format.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { chartHref } from "../picker.js";
import { serverNow, state } from "../store.js";
import { bar } from "../verdict.js";

const RIGHT = new Set(["pointsPerDay", "arl0", "expectedPerShift", "seen"]);
const ROOMY = new Set(["pointsPerDay", "arl0"]); // left out on a phone
const MOST = 200; // rows; the filter finds the others

/** A rate small enough to need its own digits. */
const rate = (value) => (value === null || value === undefined ? "–" : value > 0 && value < 0.01 ? `< ${number(0.01, 2)}` : number(value, 2));

const runLength = (row) => (row.arl0 == null ? "–" : `${row.standard_error ? "≈ " : ""}${whole(row.arl0)}`);

function figure(name, value, note, fraction) {
  return h("div", { class: "panel figure-card" }, h("span", { class: "muted" }, name), h("b", null, value),
    fraction !== null && bar(fraction), h("span", { class: "muted" }, note));
}

function summary(budget) {
  const over = budget.planned_per_shift > budget.allowed_per_shift;
  const hours = span(budget.observed_hours * 3600);
  return [
    h("div", { class: "figures" },
      figure(t("planned"), rate(budget.planned_per_shift), t("plannedNote", { n: rate(budget.allowed_per_shift), hours: number(budget.shift_h) }), budget.planned_per_shift / budget.allowed_per_shift),
      figure(t("observed"), budget.observed_per_shift == null ? whole(budget.observed) : rate(budget.observed_per_shift),
        t(budget.observed_per_shift == null ? "observedSoFar" : "observedNote", { n: whole(budget.observed), hours }),
        budget.observed_per_shift == null ? null : budget.observed_per_shift / budget.allowed_per_shift)),
    h("p", { class: over ? "budget-verdict over" : "budget-verdict" }, icon(over ? "warn" : "ok"), h("b", null, t(over ? "overBudget" : "withinBudget")),
      budget.accept && h("span", { class: "muted" }, `${t("accepted")}: ${budget.accept}`)),
    h("p", null, t("budgetMeans")),
    budget.unknown > 0 && h("p", { class: "muted" }, t("unknownRates", { n: budget.unknown }))];
}

function line(row, most) {
  const name = state.tiles.has(row.sensor) ? h("a", { class: "link", href: chartHref(row.sensor), title: row.sensor }, row.title) : h("span", { title: row.sensor }, row.title);
  const much = row.expected_per_shift !== null && row.expected_per_shift !== undefined && row.observed > Math.max(3, 3 * row.expected_per_shift);
  return h("tr", null,
    h("td", null, name, h("div", { class: "muted small" }, row.sensor)),
    h("td", null, h("code", null, row.statistic), row.chart ? h("div", { class: "muted small" }, row.chart) : h("div", { class: "muted small" }, t("notPlanned"))),
    h("td", { class: "num roomy" }, row.points_per_day == null ? "–" : whole(row.points_per_day)),
    h("td", { class: "num roomy" }, runLength(row)),
    h("td", { class: "num" }, rate(row.expected_per_shift)),
    h("td", { class: "share" }, row.share == null ? "–" : [bar(row.share / most), `${number(100 * row.share, 0)}\u202f%`]),
    h("td", { class: "num" }, much && icon("warn"), whole(row.observed)));
}

export function budgetPage(root) {
  let budget = null;
  const filter = h("input", { type: "search", data: { filter: "1" }, placeholder: `${t("filter")}  ( / )`, "aria-label": t("filter"), on: { input: draw } });
  const top = h("div", { class: "budget" });
  const table = h("section", { class: "panel scroll" });

  function draw() {
    if (!budget) return;
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = budget.rows.filter((row) => words.every((w) => `${row.sensor} ${row.title} ${row.chart} ${row.statistic}`.toLowerCase().includes(w)));
    const most = Math.max(...budget.rows.map((row) => row.share ?? 0), Number.MIN_VALUE);
    const heads = ["sensor", "statistic", "pointsPerDay", "arl0", "expectedPerShift", "share", "seen"];
    show(top, summary(budget));
    show(table, rows.length ? h("table", { class: "plan" },
      h("thead", null, h("tr", null, heads.map((name) => h("th", { class: [RIGHT.has(name) && "num", ROOMY.has(name) && "roomy"].filter(Boolean).join(" ") || null, title: t(`${name}Hint`) }, t(name))))),
      h("tbody", null, rows.slice(0, MOST).map((row) => line(row, most)))) : h("p", { class: "empty" }, t(budget.rows.length ? "nothingFits" : "noCharts")),
    rows.length > MOST && h("p", { class: "muted" }, t("more", { n: rows.length - MOST })),
    h("p", { class: "muted small" }, t("observedSince", { time: clock(budget.observed_from, serverNow()) })));
  }

  async function load() {
    try {
      budget = await get("/api/budget", { background: true });
      draw();
    } catch (error) {
      ignoreRefusal(error);
    }
  }

  const later = throttle(5000, load);
  show(root, h("div", { class: "bar" }, h("h1", null, t("budgetTitle")), filter), top, table);
  show(top, h("p", { class: "empty" }, t("loading")));
  load();
  return { close: () => later.stop(), overview: load, event: (event) => event?.type === "finding" && later() };
}
