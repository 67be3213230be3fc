// Choosing a sensor or a group: a list by station, and steps to the neighbours.
import { sensorPath } from "./api.js";
import { h, show } from "./dom.js";
import { t } from "./i18n.js";
import { state } from "./store.js";

/** Groups of sensors stand under a station of their own that has no title. */
export const stationTitle = (station) => station.title || (station.id === "group" ? t("groups") : station.id);

/** Whether a sensor id names a group of sensors. */
export const isGroup = (sensor) => sensor.startsWith("group/") && (state.tiles.get(sensor)?.role ?? "group") === "group";

export const chartHref = (sensor) => `#/chart/${sensorPath(sensor)}`;

/** `fill()` again when another line is in force. */
export function picker(sensor) {
  const go = (next) => { if (next) location.hash = chartHref(next); };
  const select = h("select", { data: { filter: "1" }, "aria-label": t("choose"), on: { change: () => go(select.value) } });
  const step = (by) => {
    const all = [...state.tiles.keys()];
    go(all[(all.indexOf(sensor()) + by + all.length) % all.length]);
  };
  const button = (name, sign, by) => h("button", { class: "tool", title: t(name), "aria-label": t(name), on: { click: () => step(by) } }, sign);
  return {
    node: h("div", { class: "picker" }, button("previous", "‹", -1), select, button("next", "›", 1)),
    fill() {
      show(select, (state.overview?.stations ?? []).map((station) =>
        h("optgroup", { label: stationTitle(station) }, station.tiles.map((tile) =>
          h("option", { value: tile.sensor, selected: tile.sensor === sensor() }, `${tile.title || tile.sensor}`)))));
    },
  };
}
