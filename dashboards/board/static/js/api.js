// Talking to the server: JSON both ways, the session, and errors as people can read them.
import { emit, state } from "./store.js";

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

/** Swallow what the banner already tells (the server is gone); a mistake of our own must be heard. */
export function ignoreRefusal(error) {
  if (!(error instanceof ApiError)) throw error;
}

async function call(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", signal: AbortSignal.timeout(10_000), ...options });
  } catch {
    throw new ApiError(0, { title: "unreachable" });
  }
  let data = {};
  try {
    data = await answer.json();
  } catch {
    // A proxy's error page is no JSON; the status says enough.
  }
  if (answer.ok) return data;
  if (answer.status === 401) emit("login");
  throw new ApiError(answer.status, data);
}

/** Read. `background` marks refreshes nobody asked for: they do not keep a login alive. */
export const get = (path, { background = false } = {}) =>
  call(path, background ? { headers: { "X-Background": "1" } } : {});

export const post = (path, body = {}) =>
  call(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": state.session?.csrf ?? "" },
    body: JSON.stringify(body),
  });

export const may = (right) => state.session?.rights.includes(right) ?? false;

export async function loadSession() {
  state.session = await get("/api/session", { background: true });
  emit("session");
}

export async function login(user, password) {
  state.session = await post("/api/login", { user, password });
  emit("session");
}

export async function logout() {
  state.session = await post("/api/logout");
  emit("session");
}

export const sensorPath = (sensor) => sensor.split("/").map(encodeURIComponent).join("/");
