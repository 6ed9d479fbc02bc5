"use strict";

// Light or dark: as the system says, until somebody says otherwise. Runs before the page is drawn, so nothing flashes.
(() => {
  const KEY = "keyart-theme", root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem(KEY, theme); } catch { /* then for this visit alone */ } };
  const theme = () => root.dataset.theme ?? (system.matches ? "dark" : "light");
  const asked = stored();
  if (asked === "dark" || asked === "light") root.dataset.theme = asked;
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const name = () => {
      button.textContent = theme() === "dark" ? "Light" : "Dark";
      button.ariaLabel = `${button.textContent} colours`;
    };
    button.addEventListener("click", () => {
      root.dataset.theme = theme() === "dark" ? "light" : "dark";
      keep(root.dataset.theme);
      name();
    });
    system.addEventListener("change", name);
    button.hidden = false;
    name();
  });
})();
