// Sensors judged together: the statistic against its limit, and which members make it what it is.
import { get, ignoreRefusal } from "../api.js";
import { h, show, throttle } from "../dom.js";
import { clock, number, whole } from "../format.js";
import { ruleText, t } from "../i18n.js";
import { icon } from "../icons.js";
import { findingList } from "../findings.js";
import { chartHref, picker } from "../picker.js";
import { controlChart } from "../plot.js";
import { serverNow, state } from "../store.js";
import { bar, contributionText, reason, stateText } from "../verdict.js";

const points = () => (innerWidth < 700 ? 80 : 240);
const PLAIN = { zones: false, ewma: false, spec: false };

/** The statistic as a chart: no lower limit, no centre, no unit. */
const asChart = (group, part = group) => ({ t: group.t, v: part.v, rules: part.rules ?? [], ucl: part.ucl, unit: "1", floor: 0 });

function contributions(group) {
  const ranked = group.contributions ?? [];
  if (!ranked.length) return h("p", { class: "muted" }, t("noContributions"));
  const most = Math.max(...ranked.map((c) => c.weight ?? 0), Number.MIN_VALUE);
  return h("ol", { class: "ranked" }, ranked.map((c) => h("li", null,
    h("a", { href: chartHref(c.sensor), title: c.sensor }, c.title), bar((c.weight ?? 0) / most), h("span", null, contributionText(c)))));
}

function facts(group) {
  const pair = (name, text) => text !== null && text !== undefined && text !== "" && h("div", null, h("dt", null, name), h("dd", null, text));
  const against = (value, limit) => value != null && [number(value), " / ", number(limit), bar(value / limit)];
  return [
    pair(t(`kind_${group.kind}`), against(group.value, group.ucl) || "–"), group.spe_ucl != null && pair(t("residual"), against(group.spe, group.spe_ucl) || "–"),
    pair(t("lastVector"), group.time && clock(group.time, serverNow())), pair(t("limitFrom"), group.limit_from),
    pair(t("recipe"), group.recipe), pair(t("baseline"), group.baseline), pair(t("ruleset"), group.ruleset),
    pair(t("vectors"), whole(group.points)), group.incomplete > 0 && pair(t("incomplete"), whole(group.incomplete)),
    group.other_recipe > 0 && pair(t("otherRecipe"), whole(group.other_recipe)),
    group.late > 0 && pair(t("late"), whole(group.late)), group.cannot_judge > 0 && pair(t("cannotJudge"), whole(group.cannot_judge))];
}

function overviewTable(groups, shown) {
  const first = (group) => (group.contributions?.[0] ? `${group.contributions[0].title}: ${contributionText(group.contributions[0])}` : "");
  return h("section", { class: "panel scroll" }, h("h2", null, t("groups")), h("table", { class: "plan" },
    h("thead", null, h("tr", null, ["group", "state", "statistic", "against", "mostUnusual"].map((name) => h("th", null, t(name))))),
    h("tbody", null, groups.map((group) => h("tr", { "aria-current": group.sensor === shown ? "true" : null },
      h("td", null, h("a", { class: "link", href: chartHref(group.sensor) }, group.title)),
      h("td", null, h("span", { class: "chip", data: { state: group.state } }, icon(group.state), stateText(group, group.state))),
      h("td", null, t(`kind_${group.kind}`)),
      h("td", { class: "num" }, group.value == null ? "–" : [`${number(group.value)} / ${number(group.ucl)}`, bar(group.value / group.ucl)]),
      h("td", { class: "words" }, first(group)))))));
}

export function groupPage(root, sensor) {
  const id = sensor.slice("group/".length);
  let plots = [];
  let group = null;
  let closed = false;
  const choose = picker(() => sensor);
  const heading = h("h1");
  const chip = h("span", { class: "chip" });
  const value = h("span", { class: "now" });
  const why = h("p", { class: "why" });
  const canvas = h("div", { class: "plot" });
  const second = h("section", { class: "panel", hidden: true }, h("h2", null, t("residualChart")), h("div", { class: "plot low" }));
  const readout = h("p", { class: "readout", "aria-live": "off" });
  const list = h("dl", { class: "facts" });
  const who = h("div");
  const findings = h("section", { class: "findings" });
  const table = h("div");

  function head() {
    if (!group) return;
    const shown = state.blind ? "blind" : group.state;
    chip.dataset.state = shown;
    show(chip, icon(shown), stateText(group, shown));
    value.textContent = group.value == null ? "–" : `${number(group.value)} / ${number(group.ucl)}`;
  }

  function read(index) {
    if (index === null || index === undefined || !group) {
      readout.textContent = plots.length ? t("hoverPoint") : "";
      return;
    }
    const rules = [...(group.rules[index] ?? []), ...(group.second?.rules[index] ?? [])];
    show(readout, h("b", null, `${number(group.v[index])} / ${number(group.ucl)}`), " · ", clock(group.t[index] * 1000, serverNow()),
      group.second && ` · ${t("residual")} ${number(group.second.v[index])} / ${number(group.second.ucl)}`,
      rules.map((rule) => h("span", { class: "rule" }, icon("warn"), ruleText(rule, t(`kind_${rule}`)))));
  }

  function draw() {
    if (plots.length && plots[0].update(asChart(group)) && (!plots[1] || plots[1].update(asChart(group, group.second)))) return;
    plots.forEach((plot) => plot.destroy());
    plots = [];
    second.hidden = !group.second;
    if (!group.v.some((v) => v !== null)) {
      show(canvas, h("p", { class: "empty" }, reason(group.judged) || t("noVectors")));
      return;
    }
    show(canvas);
    plots.push(controlChart(canvas, asChart(group), PLAIN, read));
    if (group.second) {
      show(second.lastChild);
      plots.push(controlChart(second.lastChild, asChart(group, group.second), { ...PLAIN, low: true }, read));
    }
    read(null);
  }

  async function load() {
    try {
      const [fresh, all] = await Promise.all([
        get(`/api/groups/${encodeURIComponent(id)}?points=${points()}`, { background: true }), get("/api/groups", { background: true })]);
      if (closed) return;
      group = fresh;
      heading.textContent = group.title;
      head();
      const words = reason(group.judged);
      show(why, words && h("b", null, words), h("span", { class: "muted" }, group.members.map((m) => m.title).join(" · ")));
      draw();
      show(list, facts(group));
      show(who, h("h2", null, t("contributions")), contributions(group));
      show(findings, findingList(group.findings, { unit: "1", none: t("noFindingsYet") }));
      show(table, overviewTable(all, sensor));
    } catch (error) {
      ignoreRefusal(error);
      if (error.status === 404) show(canvas, h("p", { class: "empty" }, t("unknownSensor")));
    }
  }

  const later = throttle(1000, () => { if (!closed) load(); });
  const resized = throttle(200, () => plots.forEach((plot) => plot.resize()));
  addEventListener("resize", resized);
  show(root, h("div", { class: "bar chart-bar" }, choose.node),
    h("div", { class: "chart-head" }, heading, chip, value, h("span", { class: "muted" }, sensor)), why,
    h("div", { class: "panel" }, canvas, readout, list), second,
    h("section", { class: "panel" }, who), findings, table);
  choose.fill();
  load();

  return {
    overview() { choose.fill(); load(); },
    head,
    blind: head,
    tiles(changed) { if (changed.has(sensor)) later(); },
    event(event) { if (event?.sensor === sensor) later(); },
    close() {
      closed = true;
      later.stop();
      removeEventListener("resize", resized);
      plots.forEach((plot) => plot.destroy());
    },
  };
}
