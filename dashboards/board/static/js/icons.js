// State and priority as shape and text, never as colour alone.
import { s } from "./dom.js";

const PATHS = {
  ok: "M5 12.5l4.5 4.5L19 7.5",
  warn: "M12 4L21.5 20h-19z M12 10v4.5 M12 17v.6",
  alarm: "M8 2.5h8L21.5 8v8L16 21.5H8L2.5 16V8z M12 7.5v6 M12 16v.8",
  stale: "M12 3a9 9 0 1 0 .01 0z M12 7.5V12l3.2 2.2",
  nodata: "M5 12h14",
  measured: "M4 16.5h16 M7 16.5v-5 M12 16.5V7.5 M17 16.5v-5",
  learning: "M7 3h10 M7 21h10 M8 3c0 5 8 5.5 8 9s-8 4-8 9 M16 3c0 5-8 5.5-8 9s8 4 8 9",
  unjudged: "M12 3a9 9 0 1 0 .01 0z M9.4 9.6c.3-3.4 5.2-3.2 5.2-.2 0 2-2.6 2-2.6 4.1 M12 17v.5",
  blind: "M3 12s3.5-6 9-6 9 6 9 6-3.5 6-9 6-9-6-9-6z M4 20L20 4",
  sound: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5z M15.5 9a4.5 4.5 0 0 1 0 6 M18 6.5a8 8 0 0 1 0 11",
  mute: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5z M16 9.5l5 5 M21 9.5l-5 5",
  sun: "M12 8a4 4 0 1 0 .01 0z M12 2.5v2 M12 19.5v2 M2.5 12h2 M19.5 12h2 M5.3 5.3l1.4 1.4 M17.3 17.3l1.4 1.4 M18.7 5.3l-1.4 1.4 M6.7 17.3l-1.4 1.4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
  user: "M12 4a4 4 0 1 0 .01 0z M4.5 20.5c.8-4 3.8-6 7.5-6s6.7 2 7.5 6",
};

/** An icon of the state or thing. */
export const icon = (name) =>
  s("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" },
    s("path", { d: PATHS[name] ?? PATHS.nodata }));

const SHAPES = {
  P1: "M9.5 2h13L30 9.5v13L22.5 30h-13L2 22.5v-13z",
  P2: "M16 2.5L31 29H1z",
  P3: "M16 1.5L30.5 16 16 30.5 1.5 16z",
  P4: "M7 3h18a4 4 0 0 1 4 4v18a4 4 0 0 1-4 4H7a4 4 0 0 1-4-4V7a4 4 0 0 1 4-4z",
};

/** The priority's own shape with its digit: octagon, triangle, diamond, square. */
export const priority = (name) =>
  s("svg", { viewBox: "0 0 32 32", class: `priority ${name.toLowerCase()}`, role: "img", "aria-label": name },
    s("path", { d: SHAPES[name] ?? SHAPES.P4 }),
    s("text", { x: 16, y: name === "P2" ? 25 : 21.5, "text-anchor": "middle" }, name.slice(1)));
