// Numbers, units and times as people read them, in their language.
import { lang } from "./i18n.js";

const UNITS = {
  1: "", Cel: "°C", um: "µm", mm: "mm", "Pa.s": "Pa·s", "mg/cm2": "mg/cm²", "g/cm3": "g/cm³",
  "[ppm]": "ppm", "[ppm].h": "ppm·h", "[ppmv]": "ppmv", "1/m2": "1/m²", "1/m3": "1/m³", Ohm: "Ω", mOhm: "mΩ",
  "A.h": "Ah", "mA.h": "mAh", "W.h": "Wh", "Ohm{sq}": "Ω/sq", "mbar.L/s": "mbar·L/s", "%{RH}": "% RH",
};

/** A UCUM code as people write it. */
export function unit(code) {
  if (code in UNITS) return UNITS[code];
  return (code ?? "").replace(/\{[^}]*\}/g, "").replace(/[[\]]/g, "").replaceAll(".", "·")
    .replace(/^u(?=[A-Za-z])/, "µ").replace(/^1$/, "");
}

/** Decimals that make a step of one sigma visible. */
export function decimals(limits, value) {
  let step = null;
  if (limits?.ucl != null && limits?.lcl != null) step = (limits.ucl - limits.lcl) / 6;
  else if (limits?.usl != null && limits?.lsl != null) step = (limits.usl - limits.lsl) / 12;
  if (!(step > 0)) {
    const size = Math.abs(value ?? 0);
    return size === 0 ? 1 : Math.min(6, Math.max(0, 3 - Math.floor(Math.log10(size))));
  }
  return Math.min(7, Math.max(0, 1 - Math.floor(Math.log10(step))));
}

export function number(value, digits = null) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e9 || size < 1e-6)) return value.toExponential(3);
  const places = digits ?? decimals(null, value);
  return value.toLocaleString(lang(), { minimumFractionDigits: digits ?? 0, maximumFractionDigits: places });
}

export const whole = (value) =>
  value === null || value === undefined ? "–" : Math.round(value).toLocaleString(lang());

/** Value and unit, with a narrow space between. */
export const withUnit = (value, code, digits = null) => {
  const name = unit(code);
  return name ? `${number(value, digits)}\u202f${name}` : number(value, digits);
};

export function bytes(n) {
  const steps = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (n >= 1000 && i < steps.length - 1) {
    n /= 1000;
    i += 1;
  }
  return `${n.toLocaleString(lang(), { maximumFractionDigits: i ? 1 : 0 })}\u202f${steps[i]}`;
}

/** A time span: 4 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export function span(seconds) {
  const all = Math.max(0, Math.round(seconds));
  const parts = [[Math.floor(all / 86400), "d"], [Math.floor(all / 3600) % 24, "h"],
    [Math.floor(all / 60) % 60, "min"], [all % 60, "s"]];
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return "0\u202fs";
  return parts.slice(first, first + 2).filter(([n]) => n > 0)
    .map(([n, name]) => `${n}\u202f${name}`).join(" ");
}

const day = (date) => date.toDateString();

/** Clock time, with the date when it is not today's. `now` is the server's. */
export function clock(instant, now = null) {
  if (!instant) return "–";
  const date = new Date(instant);
  const time = date.toLocaleTimeString(lang(), { hour12: false });
  if (now && day(date) === day(new Date(now))) return time;
  return `${date.toLocaleDateString(lang(), { day: "2-digit", month: "2-digit", year: "numeric" })} ${time}`;
}

export const seconds = (instant) => Date.parse(instant) / 1000;
