// A list of findings, newest first, each with what it says in words.
import { h } from "./dom.js";
import { clock, number, withUnit } from "./format.js";
import { ruleText, t } from "./i18n.js";
import { icon } from "./icons.js";
import { serverNow } from "./store.js";

const MOST = 50;

export function findingList(findings, { unit, digits = null, none }) {
  const now = serverNow();
  const place = (f) => (f.product ? `${f.product}${f.place == null ? "" : ` · ${number(f.place, 1)}\u202f${t("metre")}`}` : "");
  const row = (f) => h("li", { data: { open: f.open ? "1" : "" } }, icon("warn"),
    h("div", null, h("b", null, f.rule), " ", ruleText(f.rule, f.text),
      h("div", { class: "muted" }, [clock(f.t_last, now), f.value == null ? "" : withUnit(f.value, unit, digits), place(f),
        t(f.open ? "open" : "closed")].filter(Boolean).join(" · "))));
  return [h("h2", null, t("findings")), findings?.length ? h("ul", null, findings.slice(0, MOST).map(row)) : h("p", { class: "muted" }, none)];
}
