// Alarms that need somebody, most urgent first, with what to do; and what was before.
import { get, ignoreRefusal, sensorPath } from "../api.js";
import { askAck } from "../dialogs.js";
import { h, show, text } from "../dom.js";
import { clock, decimals, number, span, unit, withUnit } from "../format.js";
import { ruleText, t } from "../i18n.js";
import { icon, priority } from "../icons.js";
import { on, serverNow, state } from "../store.js";

export const needsAck = (alarm) => ["UNACK", "RTNUN", "LUNACK"].includes(alarm.state);
const active = (alarm) => ["UNACK", "ACKED"].includes(alarm.state);

const pair = (name, value) => (value === null || value === undefined || value === "" ? null : [h("dt", null, name), h("dd", null, value)]);

const digits = (alarm) => decimals(state.tiles.get(alarm.sensor)?.limits, alarm.value);

const place = (alarm) => {
  if (!alarm.product) return null;
  return alarm.place === null || alarm.place === undefined ? alarm.product
    : `${alarm.product} · ${number(alarm.place, 1)}\u202f${t("metre")}`;
};

function details(alarm) {
  const now = serverNow();
  return h("div", { class: "details" },
    h("dl", null,
      pair(t("cause"), alarm.cause), pair(t("consequence"), alarm.consequence),
      pair(t("rule"), alarm.rule && `${alarm.rule}: ${ruleText(alarm.rule, alarm.rule_text)}`),
      pair(t("onset"), clock(alarm.onset, now)), pair(t("raised"), clock(alarm.raised, now)), pair(t("cleared"), alarm.cleared && clock(alarm.cleared, now)),
      pair(t("firstSample"), alarm.first_sample && `${withUnit(alarm.first_sample.value, alarm.unit, digits(alarm))}, ${clock(alarm.first_sample.time, now)}${alarm.first_sample.seq ? ` (#${alarm.first_sample.seq})` : ""}`),
      pair(t("affected"), alarm.affected), pair(t("cost"), alarm.cost === null || alarm.cost === undefined ? null : number(alarm.cost, 2)),
      pair(t("count"), t("times", { n: alarm.count ?? 1 })), pair(t("alarmClass"), t(alarm.alarm_class ?? "quality"))),
    alarm.sensor && h("a", { class: "button", href: `#/chart/${sensorPath(alarm.sensor)}` }, t("openChart")));
}

class Row {
  constructor(alarm, { compact, toggle }) {
    this.due = h("span", { class: "due" });
    this.since = h("span", { class: "muted" });
    this.slot = h("div");
    this.alarm = alarm;
    this.compact = compact;
    this.node = h("article", {
      class: "alarm-row", tabindex: compact ? null : 0, data: { occurrence: alarm.occurrence, state: alarm.state, priority: alarm.priority },
      "aria-label": `${alarm.priority} ${alarm.title}`,
    }, priority(alarm.priority),
    h("div", { class: "alarm-main" },
      h("div", { class: "alarm-title" }, h("strong", null, alarm.title), h("span", { class: "chip state" }, t(alarm.state))),
      h("div", { class: "alarm-facts" },
        h("span", null, alarm.sensor_title || alarm.sensor || t("system")),
        alarm.value !== null && alarm.value !== undefined && h("b", { class: "figure" }, withUnit(alarm.value, alarm.unit, digits(alarm))),
        alarm.limit !== null && alarm.limit !== undefined && h("span", { class: "muted" }, `${t("limit")} ${number(alarm.limit)}\u202f${unit(alarm.unit)}`),
        place(alarm) && h("span", null, place(alarm)), this.since, this.due),
      alarm.action && !compact && alarm.state !== "NORM" && h("p", { class: "todo" }, h("b", null, `${t("whatToDo")}: `), alarm.action),
      alarm.acked && h("p", { class: "acked" }, icon("ok"), h("span", null, t("ackBy", { by: alarm.acked.by, at: clock(alarm.acked.at, serverNow()) })),
        alarm.acked.comment && h("q", null, alarm.acked.comment)),
      this.slot),
    !compact && h("div", { class: "alarm-buttons" },
      needsAck(alarm) && h("button", { class: "primary ack", on: { click: () => askAck(alarm) } }, t("acknowledge")),
      h("button", { class: "more", on: { click: toggle } }, t("details"))));
    this.second();
  }

  open(yes) {
    this.node.toggleAttribute("data-open", yes);
    show(this.slot, yes && details(this.alarm));
  }

  second() {
    const { alarm } = this;
    const now = serverNow();
    text(this.since, active(alarm) ? t("since", { span: span((now - Date.parse(alarm.onset)) / 1000) }) : clock(alarm.onset, now));
    if (!needsAck(alarm) || !active(alarm) || !alarm.respond_s) return;
    const left = alarm.respond_s - (now - Date.parse(alarm.raised)) / 1000;
    this.due.classList.toggle("late", left < 0);
    text(this.due, left < 0 ? t("respondLate", { span: span(-left) }) : t("respondIn", { span: span(left) }));
  }
}

/** The list itself; the wall shows it without buttons. */
export function alarmList({ compact = false, rows = () => state.alarms, wanted = "" } = {}) {
  const node = h("div", { class: "alarm-list", role: "feed" });
  const opened = new Set(wanted ? [wanted] : []);
  let shown = [];
  let words = [];

  function update() {
    const focused = document.activeElement?.closest?.("[data-occurrence]")?.dataset.occurrence;
    const alarms = rows().filter((a) => words.every((w) =>
      `${[a.title, a.sensor, a.sensor_title, a.priority, a.product, t(a.state)].join(" ")}`.toLowerCase().includes(w)));
    shown = alarms.map((alarm) => {
      const row = new Row(alarm, { compact, toggle: () => toggle(alarm.occurrence) });
      row.open(opened.has(alarm.occurrence));
      return row;
    });
    show(node, shown.length ? shown.map((row) => row.node)
      : h("div", { class: "empty big" }, icon("ok"), h("strong", null, t("allQuiet")), h("span", { class: "muted" }, t("allQuietHint"))));
    if (focused) find(focused)?.node.focus();
  }

  const find = (occurrence) => shown.find((row) => row.alarm.occurrence === occurrence);

  function toggle(occurrence) {
    if (!opened.delete(occurrence)) opened.add(occurrence);
    find(occurrence)?.open(opened.has(occurrence));
  }

  const focusedRow = () => find(document.activeElement?.closest?.("[data-occurrence]")?.dataset.occurrence);

  update();
  return {
    node, update, toggle,
    sift(value) { words = value.toLowerCase().split(/\s+/).filter(Boolean); update(); },
    second() { shown.forEach((row) => row.second()); },
    chosen() {
      const row = focusedRow() ?? shown.find(({ alarm }) => needsAck(alarm));
      return row && needsAck(row.alarm) ? row.alarm : null;
    },
    move(step) {
      const at = shown.indexOf(focusedRow());
      shown[Math.max(0, Math.min(shown.length - 1, at + step))]?.node.focus();
    },
    enter() {
      const row = focusedRow();
      if (row) toggle(row.alarm.occurrence);
    },
    focus(occurrence) {
      const row = find(occurrence);
      row?.node.scrollIntoView({ block: "center" });
      row?.node.focus();
    },
  };
}

export function alarmsPage(root, argument) {
  let history = argument === "history";
  let past = [];
  const wanted = history ? "" : argument;
  const list = alarmList({ rows: () => (history ? past : state.alarms), wanted });
  const filter = h("input", { type: "search", data: { filter: "1" }, placeholder: `${t("filter")}  ( / )`, "aria-label": t("filter"), on: { input: () => list.sift(filter.value) } });
  const tabs = h("div", { class: "tabs", role: "tablist" });
  const counts = h("span", { class: "muted" });

  function drawTabs() {
    show(tabs, [[false, "needsYou"], [true, "history"]].map(([value, key]) =>
      h("button", { role: "tab", "aria-selected": String(history === value), on: { click: () => { history = value; load(); } } }, t(key))));
    const c = state.overview?.alarms;
    text(counts, c ? [t("unacked", { n: c.unacked }), c.shelved && t("shelvedCount", { n: c.shelved })].filter(Boolean).join(" · ") : "");
  }

  async function load() {
    drawTabs();
    if (history) {
      try {
        past = await get("/api/alarms?history=1", { background: true });
      } catch (error) {
        ignoreRefusal(error);
        past = [];
      }
    }
    list.update();
  }

  show(root, h("div", { class: "bar" }, tabs, counts, filter), list.node);
  load();
  if (wanted) list.focus(wanted);
  const stop = on("session", () => list.update());

  return {
    close: stop,
    alarms: load,
    head: drawTabs,
    second: list.second,
    chosen: list.chosen,
    key(event) {
      if (event.key === "ArrowDown" || event.key === "j") list.move(1);
      else if (event.key === "ArrowUp" || event.key === "k") list.move(-1);
      else if (event.key === "Enter" && !event.target.matches("button, a")) list.enter();
      else return false;
      return true;
    },
  };
}
