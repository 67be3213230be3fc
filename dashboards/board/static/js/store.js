// What every page shares, and who wants to know when it changes.

export const state = {
  session: null, // see /api/session
  overview: null, // newest overview, its tiles kept up to date by the stream
  tiles: new Map(), // sensor -> tile, with `at`: our clock when its sample arrived
  alarms: [], // occurrences that need somebody
  blind: null, // {since, why} while values cannot be trusted
  offset: 0, // server clock minus ours, ms
};

const bus = new EventTarget();

/** Tell everybody: "tiles", "alarms", "events", "session", "blind", "overview", "login", "lang". */
export const emit = (name, detail = null) => bus.dispatchEvent(new CustomEvent(name, { detail }));

/** Listen until the returned function is called. */
export function on(name, handler) {
  const listener = (event) => handler(event.detail);
  bus.addEventListener(name, listener);
  return () => bus.removeEventListener(name, listener);
}

/** The server's time, ms since 1970: the clock of the board's computer may be wrong. */
export const serverNow = () => Date.now() + state.offset;
