// Runs before the first paint, so that a dark room stays dark. Not a module for that reason.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const apply = () => {
    let wish = null;
    try {
      wish = localStorage.getItem("theme");
    } catch {
      // Storage may be forbidden; the system's choice is a good one.
    }
    const theme = wish === "light" || wish === "dark" ? wish : dark.matches ? "dark" : "light";
    if (root.dataset.theme !== theme) {
      root.dataset.theme = theme;
      dispatchEvent(new Event("themechange"));
    }
  };
  apply();
  dark.addEventListener("change", apply);
  addEventListener("themewish", apply);
})();
