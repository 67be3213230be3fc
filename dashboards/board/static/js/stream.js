// The live stream, and honesty about it: without a sign of life the board says BLIND.
import { throttle } from "./dom.js";
import { get, ignoreRefusal } from "./api.js";
import { emit, serverNow, state } from "./store.js";

const QUIET_MS = 3500; // a beat comes every second
const LAG_S = 10;
const SPARK = 60;

let source = null;
let lastHeard = performance.now();
let lastEvent = null;
let waiting = null; // live messages that arrive while an overview is on its way

function heard(engine) {
  lastHeard = performance.now();
  if (engine) judge(engine);
}

function judge(engine) {
  if (!engine.alive) blind("engine", engine.detail);
  else if (engine.lag_s > LAG_S) blind("lag", engine.lag_s);
  else seeing();
}

function blind(why, detail = "") {
  if (state.blind) {
    Object.assign(state.blind, { why, detail });
  } else {
    const quiet = why === "server" ? performance.now() - lastHeard : 0;
    state.blind = { since: serverNow() - quiet, why, detail };
  }
  emit("blind");
}

function seeing() {
  if (!state.blind) return;
  state.blind = null;
  emit("blind");
}

function setClock(time) {
  if (time) state.offset = Date.parse(time) - Date.now();
}

function takeTile(tile) {
  const old = state.tiles.get(tile.sensor);
  const spark = tile.spark?.length ? tile.spark : (old?.spark ?? []);
  if (old && !tile.spark?.length && tile.time !== old.time) {
    spark.push(tile.value);
    if (spark.length > SPARK) spark.shift();
  }
  const at = tile.age_s == null ? null : performance.now() - tile.age_s * 1000;
  state.tiles.set(tile.sensor, { ...tile, spark, at });
}

function takeLive(live) {
  live.tiles.forEach(takeTile);
  for (const station of state.overview?.stations ?? []) {
    if (station.id in live.products) station.product = live.products[station.id];
  }
  takeHead(live);
  emit("tiles", new Set(live.tiles.map((tile) => tile.sensor)));
}

const counts = (given) => ({ P1: 0, P2: 0, P3: 0, P4: 0, unacked: 0, shelved: 0, ...given });

function takeHead(head) {
  setClock(head.time);
  if (!state.overview) return;
  state.overview.engine = head.engine;
  if (head.alarms) state.overview.alarms = counts(head.alarms);
  emit("head");
}

/** Load everything again, without losing what the stream brings meanwhile. */
export async function refresh() {
  waiting = [];
  try {
    const [overview, alarms] = await Promise.all([
      get("/api/overview", { background: true }), get("/api/alarms", { background: true })]);
    setClock(overview.time);
    state.overview = { ...overview, alarms: counts(overview.alarms) };
    state.tiles.clear();
    for (const station of overview.stations) station.tiles.forEach(takeTile);
    state.alarms = alarms;
    heard(overview.engine);
    emit("overview");
    waiting.filter((live) => live.time > overview.time).forEach(takeLive);
    emit("alarms");
  } finally {
    waiting = null;
  }
}

export const refreshAlarms = throttle(150, async () => {
  try {
    state.alarms = await get("/api/alarms", { background: true });
    emit("alarms");
  } catch (error) {
    ignoreRefusal(error); // the next event loads the list again
  }
});

// Another line description is in force: other sensors, titles and limits.
const refreshAll = throttle(500, () => refresh().catch(ignoreRefusal));

function read(handler) {
  return (message) => handler(JSON.parse(message.data), message);
}

function connect() {
  source?.close();
  const from = lastEvent === null ? "" : `?last_event_id=${lastEvent}`;
  source = new EventSource(`/api/stream${from}`);
  source.addEventListener("hello", read((hello) => {
    lastEvent = hello.last_event;
    refresh().catch(ignoreRefusal);
    emit("events", null);
  }));
  source.addEventListener("live", read((live) => {
    heard(live.engine);
    if (waiting) waiting.push(live);
    takeLive(live);
  }));
  source.addEventListener("beat", read((beat) => {
    heard(beat.engine);
    takeHead(beat);
  }));
  source.addEventListener("event", read((event) => {
    heard(null);
    lastEvent = event.number;
    if (event.type.startsWith("alarm")) refreshAlarms();
    if (event.type === "config") refreshAll();
    emit("events", event);
  }));
}

function watch() {
  const quiet = performance.now() - lastHeard;
  if (quiet > QUIET_MS) blind("server");
  // A refused stream is closed for good by the browser, and a dead network can look open.
  if (source.readyState === EventSource.CLOSED || quiet > 2 * QUIET_MS) {
    if (performance.now() - lastConnect > 2000) {
      lastConnect = performance.now();
      connect();
    }
  }
}

let lastConnect = 0;
let watching = null;

/** Begin, or begin again after a login. */
export function start() {
  lastConnect = lastHeard = performance.now();
  connect();
  if (watching) return;
  watching = setInterval(watch, 500);
  // A laptop that wakes up must not show the values of before.
  document.addEventListener("visibilitychange", () => document.hidden || watch());
}
