// Building elements. Text goes in as text nodes only: titles, topics and payloads may be hostile.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") {
      for (const [type, handler] of Object.entries(value)) node.addEventListener(type, handler);
    } else if (key === "data") {
      Object.assign(node.dataset, value);
    } else if (key === "value" || key === "checked") {
      node[key] = value;
    } else {
      node.setAttribute(key, value === true ? "" : String(value));
    }
  }
  node.append(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

/** An HTML element: h("p", {class: "x", on: {click}}, "text", child). */
export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);

/** An SVG element, the same way. */
export const s = (tag, props, ...children) =>
  fill(document.createElementNS(SVG, tag), props, children);

/** Show these children and no others. */
export function show(node, ...children) {
  node.replaceChildren(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== false));
}

/** Set text only when it changed; layout is expensive at 5 Hz. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/** Remember a choice on this machine, if the browser lets us. */
export const memory = {
  get(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      if (value === null) localStorage.removeItem(key);
      else localStorage.setItem(key, value);
    } catch {
      // Private windows forbid it; the choice then lasts until the page is closed.
    }
  },
};

/** At most one call per `ms`, the last one always happens. */
export function throttle(ms, work) {
  let timer = null;
  let last = -Infinity;
  const run = () => {
    timer = null;
    last = performance.now();
    work();
  };
  const call = () => {
    timer ??= setTimeout(run, Math.max(0, last + ms - performance.now()));
  };
  call.stop = () => clearTimeout(timer);
  return call;
}
