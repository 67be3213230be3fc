// What the detectors say, in words: verdicts with their reason, kinds of points, contributions.
import { s } from "./dom.js";
import { number, span, withUnit } from "./format.js";
import { t } from "./i18n.js";
import { state } from "./store.js";

/** The state that the icon and the colour of a verdict come from. */
export const verdictState = (judged) => {
  if (!judged) return "measured";
  if (judged.verdict === "in control") return "ok";
  if (judged.verdict === "signal") return "warn";
  return judged.code === "learning" || judged.code === "self_starting" ? "learning" : "unjudged";
};

/** n, or "n of m" where it is known how much is needed. */
const counted = ({ have, need }) => (need ? t("countOf", { have: have ?? 0, need }) : `n = ${have ?? 0}`);

/** Why the verdict is what it is; empty where nothing needs a reason. */
export function reason(judged) {
  if (!judged?.code) return "";
  if (judged.code === "text") return judged.text ?? "";
  return t(`why_${judged.code}`, { n: counted(judged) });
}

export const verdictText = (judged) => t({ ok: "ok", warn: "signal", learning: "learning", unjudged: "unjudged", measured: "measured" }[verdictState(judged)]);

/** A tile's state in words, short enough for a chip. */
export function stateText(tile, shown) {
  const { have, need } = tile.judged ?? {};
  if (shown === "learning") return need ? `${t("learning")} ${have ?? 0}/${need}` : `${t("learning")}, n = ${have ?? 0}`;
  return t(shown);
}

/** How samples become points. */
export function modeText(chart) {
  const key = `mode_${chart.mode}`;
  const words = t(key, { n: chart.mode === "block" ? span(chart.every ?? 0) : chart.every ?? "" });
  const from = chart.deviation_from && t("deviationFrom", { title: state.tiles.get(chart.deviation_from)?.title ?? chart.deviation_from });
  return [words === key ? chart.mode : words, from].filter(Boolean).join(", ");
}

/** One member of a group in words. */
export function contributionText(item) {
  if (item.about === "residual") return t("about_residual", { share: number(item.weight, 2) });
  const value = item.value == null ? "" : `${withUnit(item.value, item.unit)}: `;
  const z = item.z ?? 0;
  return value + t(`about_${item.about ?? "level"}_${z < 0 ? "low" : "high"}`, { z: number(Math.abs(z), 1) });
}

/** A bar that is full at the limit; beyond it changes its pattern, not only its colour. */
export function bar(fraction, { limit = 0 } = {}) {
  const end = Math.max(0, Math.min(1, fraction)) * 100;
  return s("svg", { class: fraction > 1 ? "mini over" : "mini", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { class: "rail", width: 100, height: 10 }), s("rect", { class: "fill", width: end.toFixed(1), height: 10 }),
    limit > 0 && s("line", { class: "tick", x1: (limit * 100).toFixed(1), x2: (limit * 100).toFixed(1), y1: 0, y2: 10 }));
}

