// Dialogs: log in, acknowledge (with the login in the same place), keyboard help.
import { ApiError, login, may, post } from "./api.js";
import { h, memory, show } from "./dom.js";
import { t } from "./i18n.js";
import { priority } from "./icons.js";
import { state } from "./store.js";
import { refreshAlarms } from "./stream.js";

const explain = (error) => {
  if (!(error instanceof ApiError)) return t("failed", { detail: error.message });
  if (error.status === 0) return t("unreachable");
  if (error.status === 401) return t("wrongPassword");
  if (error.status === 429) return t("throttled", { detail: error.problem.detail ?? "" });
  return t("failed", { detail: error.message });
};

function open(label, build) {
  const dialog = h("dialog", { "aria-label": label });
  const close = () => dialog.close();
  dialog.append(build(close));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** User and password fields; `values()` gives what was typed. */
function loginFields() {
  const user = h("input", {
    name: "user", autocomplete: "username", required: true, maxlength: 128,
    autocapitalize: "none", spellcheck: "false", value: memory.get("user") ?? "admin",
  });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true, maxlength: 1024 });
  return {
    node: h("div", { class: "fields two" },
      h("label", null, t("user"), user), h("label", null, t("password"), password)),
    password,
    async submit() {
      await login(user.value.trim(), password.value);
      memory.set("user", user.value.trim());
    },
  };
}

function form(heading, parts, action, work, close) {
  const error = h("p", { class: "error", role: "alert" });
  const button = h("button", { class: "primary", type: "submit" }, action);
  return h("form", {
    method: "dialog",
    on: {
      submit: async (event) => {
        event.preventDefault();
        button.disabled = true;
        error.textContent = "";
        try {
          await work(error);
          close();
        } catch (problem) {
          error.textContent = problem.text ?? explain(problem);
        } finally {
          button.disabled = false;
        }
      },
    },
  }, h("h2", null, heading), parts, error,
  h("div", { class: "actions" }, h("button", { type: "button", on: { click: close } }, t("cancel")), button));
}

let loginOpen = false;

/** Ask who is there. */
export function askLogin(note = "") {
  if (loginOpen || document.querySelector("dialog[open]")) return;
  loginOpen = true;
  if (state.session && !state.session.login) note = t("viewOnly");
  const fields = loginFields();
  const dialog = open(t("login"), (close) =>
    form(t("login"), [note && h("p", { class: "note" }, note), fields.node], t("login"), () => fields.submit(), close));
  dialog.addEventListener("close", () => { loginOpen = false; });
  fields.password.focus();
}

/** Acknowledge one occurrence; asks for a login right here when there is none. */
export function askAck(alarm) {
  if (document.querySelector("dialog[open]")) return;
  const comment = h("textarea", { rows: 2, maxlength: 1000, placeholder: t("commentHint"), name: "comment" });
  const slot = h("div");
  let fields = null;
  const needLogin = (note) => {
    fields = loginFields();
    show(slot, h("p", { class: "note" }, note), fields.node);
    fields.password.focus();
  };
  open(t("acknowledge"), (close) => {
    const work = async () => {
      if (fields) await fields.submit();
      fields = null;
      show(slot);
      if (!may("ack")) {
        needLogin(t("noRight", { user: state.session?.user ?? "–", role: state.session?.role ?? "–" }));
        throw Object.assign(new Error("role"), { text: "" });
      }
      try {
        await post(`/api/alarms/${encodeURIComponent(alarm.occurrence)}/ack`, { comment: comment.value });
      } catch (error) {
        if (error.status === 409 || error.status === 404) throw Object.assign(error, { text: t("changed") });
        if (error.status === 401) {
          needLogin(t("loginToAck"));
          throw Object.assign(error, { text: "" });
        }
        throw error;
      } finally {
        refreshAlarms();
      }
    };
    return form(t("acknowledge"), [
      h("p", { class: "subject" }, priority(alarm.priority), h("strong", null, alarm.title)),
      h("label", null, t("comment"), comment), slot,
    ], t("acknowledge"), work, close);
  });
  if (may("ack")) comment.focus();
  else if (state.session?.user) needLogin(t("noRight", { user: state.session.user, role: state.session.role }));
  else needLogin(state.session?.login === false ? t("viewOnly") : t("loginToAck"));
}

/** What the keys do. */
export function showHelp() {
  if (document.querySelector("dialog[open]")) return;
  const rows = [["1 … 6", "keyPages"], ["/", "keyFilter"], ["↓ ↑  j k", "keyMove"], ["a", "keyAck"], ["Enter", "keyOpen"], ["?", "keyHelp"]];
  open(t("help"), (close) => h("div", null, h("h2", null, t("help")),
    h("dl", { class: "keys" }, rows.map(([key, text]) => [h("dt", null, h("kbd", null, key)), h("dd", null, t(text))])),
    h("p", { class: "muted" }, `linetwin ${state.session?.version ?? ""} · ${t("version")} ${state.overview?.line.version ?? "–"}`),
    h("div", { class: "actions" }, h("button", { class: "primary", on: { click: close } }, t("close")))));
}
