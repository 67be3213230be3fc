// Where everything went: the balance, what was refused and how to mend it, topics nobody described.
import { get, ignoreRefusal, may, post } from "../api.js";
import { askLogin } from "../dialogs.js";
import { h, show, throttle } from "../dom.js";
import { bytes, clock, number, span, whole } from "../format.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { serverNow, state } from "../store.js";

const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);
const STATE = { ok: "ok", silent: "stale", lost: "alarm" };

function balance(ledger) {
  const rejected = sum(ledger.rejected);
  const term = (n, name, kind) => h("div", { class: `term ${kind}` }, h("b", null, whole(n)), h("span", null, t(name)));
  const sign = (text) => h("span", { class: "sign" }, text);
  const missing = ledger.received - ledger.stored - rejected - ledger.pending;
  return h("section", { class: "balance panel", data: { balanced: ledger.balanced ? "1" : "" } },
    h("div", { class: "equation" }, term(ledger.received, "received", "received"), sign(ledger.balanced ? "=" : "≠"),
      term(ledger.stored, "stored", "stored"), sign("+"), term(rejected, "rejected", "rejected"), sign("+"), term(ledger.pending, "pending", "pending")),
    h("p", { class: "verdict" }, icon(ledger.balanced ? "ok" : "alarm"), ledger.balanced ? t("balanced") : t("unbalanced", { n: whole(missing) })));
}

function facts(ledger) {
  const j = ledger.journal;
  const pair = (name, value) => h("div", null, h("dt", null, name), h("dd", null, value));
  return h("section", { class: "panel" }, h("h2", null, t("journal")), h("dl", { class: "facts" },
    pair(t("messages"), `${whole(ledger.messages.received)} ${t("received")}, ${whole(ledger.messages.processed)} ${t("processed")}`),
    pair(t("journal"), `${bytes(j.bytes)}, ${whole(j.segments)} ${t("segments")}`), pair(t("lastSeq"), whole(j.last_seq)), pair(t("cursor"), whole(j.cursor)),
    pair(t("duplicates"), whole(ledger.duplicates ?? 0)), pair(t("findings"), whole(ledger.findings ?? 0)), pair(t("alarms"), whole(ledger.alarms ?? 0)),
    ledger.samples_per_second == null ? null : pair(t("throughput"), t("perSecondSamples", { n: number(ledger.samples_per_second, 0) })),
    ledger.cpu_us_per_sample == null ? null : pair(t("cpu"), `${number(ledger.cpu_us_per_sample, 1)}\u202fµs`),
    ledger.events_sha256 ? pair(t("events"), h("code", { class: "hash", title: ledger.events_sha256 }, `${ledger.events_sha256.slice(0, 16)}…`)) : null));
}

function reasons(ledger) {
  const rows = Object.entries(ledger.rejected).sort((a, b) => b[1] - a[1]);
  const most = Math.max(1, ...rows.map(([, n]) => n));
  return h("section", { class: "panel" }, h("h2", null, t("rejectedWhy")), rows.length
    ? h("ul", { class: "bars" }, rows.map(([reason, n]) => h("li", null, h("code", null, reason), h("meter", { min: 0, max: most, value: n }), h("b", null, whole(n)))))
    : h("p", { class: "muted" }, t("noDeadLetters")));
}

function sources(ledger) {
  const now = serverNow();
  return h("section", { class: "panel wide" }, h("h2", null, t("sources")), h("div", { class: "scroll" }, h("table", null,
    h("thead", null, h("tr", null, ["source", "state", "messages", "lastMessage", "skew"].map((name) => h("th", null, t(name))))),
    h("tbody", null, (ledger.sources ?? []).map((s) => h("tr", null, h("td", null, s.source),
      h("td", null, h("span", { class: "chip", data: { state: STATE[s.state ?? "ok"] }, title: s.detail ?? "" }, icon(STATE[s.state ?? "ok"]), !s.state || s.state === "ok" ? t("live") : t(s.state))),
      h("td", { class: "num" }, whole(s.messages)), h("td", null, s.last ? t("ago", { span: span((now - Date.parse(s.last)) / 1000) }) : "–"),
      h("td", { class: "num" }, s.skew_s === null || s.skew_s === undefined ? "–" : `${s.skew_s > 0 ? "+" : ""}${number(s.skew_s, 2)}\u202fs`)))))));
}

function deadLetters(rows) {
  const now = serverNow();
  return h("section", { class: "panel wide" }, h("h2", null, t("deadLetters")), rows.length
    ? h("ul", { class: "letters" }, rows.map((d) => h("li", null,
      h("div", { class: "letter-head" }, h("code", { class: "reason" }, d.reason), h("b", null, d.topic), h("span", { class: "muted" }, `${whole(d.count ?? 1)} × · ${clock(d.last, now)}`)),
      h("p", null, h("span", { class: "muted" }, `${t("howToMend")}: `), d.detail), h("code", { class: "payload", title: t("payload") }, d.payload))))
    : h("p", { class: "muted" }, t("noDeadLetters")));
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS away from this machine there is no clipboard; the old way still works.
    const area = h("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = t("copied");
  setTimeout(() => { button.textContent = t("copy"); }, 1500);
}

function discovery(rows) {
  return h("section", { class: "panel wide" }, h("h2", null, t("discovery")), rows.length
    ? h("ul", { class: "letters" }, rows.map((d) => {
      const button = h("button", { class: "copy", on: { click: () => copy(d.proposal, button) } }, t("copy"));
      return h("li", null, h("div", { class: "letter-head" }, h("b", null, d.topic), h("span", { class: "muted" }, `${whole(d.count)} ×`)),
        h("code", { class: "payload" }, d.example), h("p", { class: "muted" }, t("proposal")), h("div", { class: "proposal" }, h("pre", null, d.proposal), button));
    }))
    : h("p", { class: "muted" }, t("noDiscovery")));
}

export function ledgerPage(root) {
  const top = h("div");
  const grid = h("div", { class: "ledger-grid" });
  const letters = h("div", { class: "ledger-grid" });
  const note = h("span", { class: "muted", role: "status" });
  const version = h("code");
  const button = h("button", { on: { click: reload } }, t("reload"));
  let latest = "";

  async function reload() {
    if (!may("reload")) {
      askLogin(state.session?.user ? t("noRight", { user: state.session.user, role: state.session.role }) : t("loginNeeded"));
      return;
    }
    button.disabled = true;
    try {
      const result = await post("/api/reload");
      show(note, t(result.changed ? "reloaded" : "notChanged", { version: result.version }));
    } catch (error) {
      show(note, t("failed", { detail: error.message }), h("ul", { class: "problems" }, (error.problem?.problems ?? []).map((p) =>
        h("li", null, h("code", null, `${p.file}${p.line ? `:${p.line}` : ""}`), ` ${p.key}: ${p.message}`, p.value && ` (${p.value})`, p.allowed && ` → ${p.allowed}`))));
    } finally {
      button.disabled = false;
    }
  }

  async function load() {
    try {
      const background = { background: true };
      const [ledger, dead, found] = await Promise.all([get("/api/ledger", background), get("/api/dead-letters?limit=100", background), get("/api/discovery", background)]);
      show(top, balance(ledger));
      show(grid, reasons(ledger), facts(ledger), sources(ledger));
      version.textContent = state.overview?.line.version ?? "";
      // Rebuilding these would take a selection or a pressed button away from somebody.
      const key = JSON.stringify([dead, found]);
      if (key !== latest && !letters.matches(":focus-within") && !getSelection().toString()) {
        latest = key;
        show(letters, deadLetters(dead), discovery(found));
      }
    } catch (error) {
      ignoreRefusal(error);
    }
  }

  const later = throttle(2000, load);
  show(root, h("div", { class: "bar" }, h("h1", null, t("ledger")), note, button, version), top, grid, letters);
  load();
  return { close: () => later.stop(), overview: load, tiles: later, event: later };
}
