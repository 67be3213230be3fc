// Control chart and history on uPlot; zones, limits and violations are drawn on its canvas.
import uPlot from "../vendor/uplot/uPlot.esm.js";
import { number } from "./format.js";
import { lang, t } from "./i18n.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const height = (low = false) => (low ? 190 : Math.max(260, Math.min(520, Math.round(innerHeight * 0.5))));

/** A line of a chart at a point: one number for all, or one per point. */
export const at = (line, i) => (Array.isArray(line) ? line[i] : line) ?? null;

/** The line as it is now. */
export const now = (line) => (Array.isArray(line) ? line.at(-1) : line) ?? null;

function base(host, low = false) {
  const grid = { stroke: css("--grid"), width: 1 };
  const ticks = { stroke: css("--grid"), width: 1, size: 5 };
  const font = `12px ${css("--font")}`;
  const time = (u, splits, _axis, _space, step) => splits.map((s) => {
    const date = new Date(s * 1000);
    if (step >= 86_400) return date.toLocaleDateString(lang(), { day: "2-digit", month: "short" });
    return date.toLocaleTimeString(lang(), { hour12: false, hour: "2-digit", minute: "2-digit", ...(step < 60 ? { second: "2-digit" } : {}) });
  });
  return {
    width: host.clientWidth, height: height(low), legend: { show: false }, padding: [22, 54, 0, 4],
    axes: [
      { stroke: css("--muted"), grid: { show: false }, ticks, font, values: time, space: 84 },
      { stroke: css("--muted"), grid, ticks, font, size: host.clientWidth < 500 ? 48 : 62,
        values: (u, splits) => splits.map((v) => number(v)) },
    ],
  };
}

function horizontal(u, value, { stroke, dash = [], width = 1.5, label: words = "" }) {
  if (value === null || value === undefined) return;
  const y = u.valToPos(value, "y", true);
  const { left, top, width: w, height: hgt } = u.bbox;
  if (y < top || y > top + hgt) return;
  const { ctx } = u;
  ctx.save();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = width * devicePixelRatio;
  ctx.setLineDash(dash.map((n) => n * devicePixelRatio));
  ctx.beginPath();
  ctx.moveTo(left, y);
  ctx.lineTo(left + w, y);
  ctx.stroke();
  ctx.restore();
  label(u, value, { stroke, label: words });
}

/** A limit: straight across, or in steps where it differs from point to point. */
function limit(u, chart, line, style) {
  if (!Array.isArray(line)) return horizontal(u, line, style);
  const known = line.filter((v) => v !== null);
  if (known.length === line.length && known.every((v) => v === known[0])) return horizontal(u, known[0], style);
  const { ctx, bbox: { left, top, width: w, height: hgt } } = u;
  const x = (i) => Math.max(left, Math.min(left + w, u.valToPos(chart.t[i], "x", true)));
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, w, hgt);
  ctx.clip();
  ctx.strokeStyle = style.stroke;
  ctx.lineWidth = (style.width ?? 1.5) * devicePixelRatio;
  ctx.setLineDash((style.dash ?? []).map((n) => n * devicePixelRatio));
  ctx.beginPath();
  let pen = false;
  line.forEach((v, i) => {
    if (v === null || v === undefined) {
      pen = false;
      return;
    }
    const y = u.valToPos(v, "y", true);
    const from = i ? (x(i - 1) + x(i)) / 2 : x(i);
    const to = i + 1 < line.length ? (x(i) + x(i + 1)) / 2 : x(i);
    if (pen) ctx.lineTo(from, y);
    else ctx.moveTo(from, y);
    ctx.lineTo(to, y);
    pen = true;
  });
  ctx.stroke();
  ctx.restore();
  return label(u, now(line), style);
}

function label(u, value, { stroke, label: words = "" }) {
  if (value === null || value === undefined) return;
  const y = u.valToPos(value, "y", true);
  const { left, top, width: w, height: hgt } = u.bbox;
  if (y < top || y > top + hgt) return;
  const { ctx } = u;
  ctx.save();
  ctx.fillStyle = stroke;
  ctx.font = `${12 * devicePixelRatio}px ${css("--font")}`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  ctx.fillText(words, left + w + 6 * devicePixelRatio, y);
  ctx.restore();
}

function zones(u, chart) {
  const { ctx } = u;
  const { left, width } = u.bbox;
  const top = u.bbox.top;
  const bottom = top + u.bbox.height;
  const y = (k) => Math.max(top, Math.min(bottom, u.valToPos(now(chart.centre) + k * chart.sigma, "y", true)));
  ctx.save();
  for (const [k, colour] of [[3, "--zone-c"], [2, "--zone-b"], [1, "--zone-a"]]) {
    ctx.fillStyle = css(colour);
    ctx.fillRect(left, y(k), width, y(-k) - y(k));
  }
  ctx.restore();
}

/** A diamond with the rule id, so that the violation is a shape and a word. */
function violations(u, chart) {
  const { ctx } = u;
  const px = devicePixelRatio;
  ctx.save();
  ctx.font = `bold ${11 * px}px ${css("--font")}`;
  ctx.textAlign = "center";
  ctx.textBaseline = "alphabetic";
  ctx.setLineDash([]);
  ctx.lineJoin = "miter";
  let lastX = -Infinity;
  chart.rules.forEach((rules, i) => {
    if (!rules.length || chart.v[i] == null) return;
    const x = u.valToPos(chart.t[i], "x", true);
    const y = u.valToPos(chart.v[i], "y", true);
    if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
    const r = 7 * px;
    ctx.beginPath();
    ctx.moveTo(x, y - r);
    ctx.lineTo(x + r, y);
    ctx.lineTo(x, y + r);
    ctx.lineTo(x - r, y);
    ctx.closePath();
    ctx.fillStyle = css("--alarm");
    ctx.fill();
    ctx.lineWidth = 1.5 * px;
    ctx.strokeStyle = css("--surface");
    ctx.stroke();
    const words = rules.join(" ");
    // A signal that goes on is named where it begins.
    if (words === (chart.rules[i - 1] ?? []).join(" ") || x - lastX < 26 * px) return;
    lastX = x;
    const centre = at(chart.centre, i);
    const up = centre === null || chart.v[i] >= centre;
    ctx.fillStyle = css("--text");
    ctx.fillText(words, x, up ? y - r - 5 * px : y + r + 13 * px);
  });
  ctx.restore();
}

/** Lowest and highest value that should be visible. */
function extent(chart, wish) {
  const all = chart.v.filter((v) => v !== null);
  const lines = [chart.lcl, chart.ucl, chart.centre, chart.floor];
  if (wish.spec) lines.push(chart.limits?.lsl, chart.limits?.usl);
  if (wish.ewma && chart.ewma) lines.push(chart.ewma.lcl, chart.ewma.ucl);
  for (const v of lines.flat()) if (v !== null && v !== undefined) all.push(v);
  const low = Math.min(...all);
  const high = Math.max(...all, low);
  const room = (high - low) * 0.08 || Math.abs(high) * 0.01 || 1;
  return [chart.floor ?? low - room, high + room];
}

const HOLE = 5; // times the usual distance: what is wider is not joined by a line

/** Columns for the plot with an empty row in every hole, and the point behind each row. */
function columns(chart) {
  const steps = chart.t.slice(1).map((time, i) => time - chart.t[i]).sort((a, b) => a - b);
  const usual = steps[steps.length >> 1] ?? 0;
  const from = [chart.t, chart.v, ...(chart.ewma ? [chart.ewma.v, chart.ewma.lcl, chart.ewma.ucl] : [])];
  const data = from.map(() => []);
  const point = [];
  chart.t.forEach((time, i) => {
    if (i && usual > 0 && time - chart.t[i - 1] > HOLE * usual) {
      data.forEach((column, k) => column.push(k ? null : (time + chart.t[i - 1]) / 2));
      point.push(null);
    }
    data.forEach((column, k) => column.push(from[k][i]));
    point.push(i);
  });
  return { data, point };
}

/** The control chart. `read(index)` is told which point the pointer is at. */
export function controlChart(host, first, wish, read) {
  let chart = first;
  let { data, point } = columns(chart);
  const ewma = css("--ewma");
  const series = [{}, { stroke: css("--curve"), width: 1.25, points: { show: true, size: 5, fill: css("--curve"), width: 0 } }];
  if (chart.ewma) {
    const line = { show: wish.ewma, points: { show: false } };
    series.push({ ...line, stroke: ewma, width: 2.5 }, { ...line, stroke: ewma, width: 1.25, dash: [3, 4] }, { ...line, stroke: ewma, width: 1.25, dash: [3, 4] });
  }
  const plot = new uPlot({
    ...base(host, wish.low),
    series,
    // A single point has no span of its own; without one the axis would show years.
    scales: { x: { range: (u, min, max) => (min === max ? [min - 60, max + 60] : [min, max]) }, y: { range: () => extent(chart, wish) } },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: (u, i) => (i === 1 ? 11 : 0) } },
    hooks: {
      drawClear: [(u) => wish.zones && chart.sigma && now(chart.centre) !== null && zones(u, chart)],
      draw: [(u) => {
        limit(u, chart, chart.centre, { stroke: css("--centre"), width: 1.5, label: t("centre") });
        limit(u, chart, chart.ucl, { stroke: css("--limit"), dash: [7, 4], label: "UCL" });
        limit(u, chart, chart.lcl, { stroke: css("--limit"), dash: [7, 4], label: "LCL" });
        if (wish.spec) {
          horizontal(u, chart.limits?.usl, { stroke: css("--alarm"), dash: [12, 3, 2, 3], label: "USL" });
          horizontal(u, chart.limits?.lsl, { stroke: css("--alarm"), dash: [12, 3, 2, 3], label: "LSL" });
        }
        violations(u, chart);
      }],
      setCursor: [(u) => read(point[u.cursor.idx])],
    },
  }, data, host);
  return {
    kind: "control",
    destroy: () => plot.destroy(),
    resize: () => plot.setSize({ width: host.clientWidth, height: height(wish.low) }),
    update(next) {
      if (Boolean(next.ewma) !== Boolean(chart.ewma)) return false;
      chart = next;
      ({ data, point } = columns(chart));
      plot.setData(data);
      return true;
    },
  };
}

/** History: mean as a line, minimum to maximum as a band. `zoomed([from, to] | null)`. */
export function historyChart(host, series, chart, zoomed) {
  const band = css("--band");
  const none = { stroke: "transparent", width: 0, points: { show: false } };
  const plot = new uPlot({
    ...base(host),
    series: [{}, none, none, { stroke: css("--curve"), width: 1.5, points: { show: series.t.length < 120, size: 4 } }],
    bands: [{ series: [2, 1], fill: band }],
    cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { size: (u, i) => (i === 3 ? 9 : 0) }, bind: { dblclick: () => () => { zoomed(null); return null; } } },
    hooks: {
      draw: [(u) => {
        if (!chart) return;
        horizontal(u, now(chart.centre), { stroke: css("--centre"), label: t("centre") });
        horizontal(u, now(chart.ucl), { stroke: css("--limit"), dash: [7, 4], label: "UCL" });
        horizontal(u, now(chart.lcl), { stroke: css("--limit"), dash: [7, 4], label: "LCL" });
      }],
      setSelect: [(u) => {
        if (u.select.width < 8) return;
        zoomed([u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")]);
      }],
    },
  }, [series.t, series.min, series.max, series.mean], host);
  return {
    kind: "history",
    destroy: () => plot.destroy(),
    resize: () => plot.setSize({ width: host.clientWidth, height: height() }),
  };
}
