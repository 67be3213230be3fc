// The last minute of a sensor in a few pixels: line, control limits, newest point.
import { s } from "./dom.js";

const W = 200;
const H = 44;

export class Spark {
  constructor() {
    this.band = s("rect", { class: "band", x: 0, width: W });
    this.centre = s("line", { class: "centre", x1: 0, x2: W });
    this.line = s("path", { class: "line" });
    // A round dot although the drawing is stretched: a line of no length with round ends.
    this.dot = s("path", { class: "dot" });
    this.node = s("svg", { class: "spark", viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      this.band, this.centre, this.line, this.dot);
  }

  draw(values, limits) {
    const known = values.filter((v) => v !== null && Number.isFinite(v));
    this.node.toggleAttribute("data-empty", known.length < 2);
    if (known.length < 2) return;
    let low = Math.min(...known);
    let high = Math.max(...known);
    const hasBand = limits?.lcl != null && limits?.ucl != null;
    if (hasBand) {
      low = Math.min(low, limits.lcl);
      high = Math.max(high, limits.ucl);
    }
    const room = (high - low) * 0.08 || 1;
    low -= room;
    high += room;
    const y = (v) => H - ((v - low) / (high - low)) * H;
    const x = (i) => 2 + (i / (values.length - 1)) * (W - 7);
    let path = "";
    let pen = "M";
    values.forEach((v, i) => {
      if (v === null || !Number.isFinite(v)) {
        pen = "M";
        return;
      }
      path += `${pen}${x(i).toFixed(1)} ${y(v).toFixed(1)}`;
      pen = "L";
    });
    this.line.setAttribute("d", path);
    const last = values.at(-1);
    this.dot.setAttribute("d", last === null ? "" : `M${x(values.length - 1).toFixed(1)} ${y(last).toFixed(1)}h0`);
    for (const node of [this.band, this.centre]) node.toggleAttribute("hidden", !hasBand);
    if (!hasBand) return;
    this.band.setAttribute("y", y(limits.ucl).toFixed(1));
    this.band.setAttribute("height", Math.max(0, y(limits.lcl) - y(limits.ucl)).toFixed(1));
    const centre = limits.centre ?? (limits.lcl + limits.ucl) / 2;
    this.centre.setAttribute("y1", y(centre).toFixed(1));
    this.centre.setAttribute("y2", y(centre).toFixed(1));
  }
}
