// A classic script in <head>: the chosen theme must stand before the first paint, and modules run after it.
// Without a choice the style sheet follows the system.
(() => {
  const STORED = "ssang-theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  // Storage throws where the browser blocks it; the theme then lasts as long as the page.
  const stored = () => {
    try {
      return localStorage.getItem(STORED);
    } catch {
      return null;
    }
  };
  const store = (theme) => {
    try {
      localStorage.setItem(STORED, theme);
    } catch {}
  };

  const shown = () => root.dataset.theme ?? (system.matches ? "dark" : "light");

  const choice = stored();
  if (choice === "light" || choice === "dark") root.dataset.theme = choice;

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const label = () => {
      button.setAttribute("aria-label", shown() === "dark" ? button.dataset.toLight : button.dataset.toDark);
    };
    button.addEventListener("click", () => {
      root.dataset.theme = shown() === "dark" ? "light" : "dark";
      store(root.dataset.theme);
      label();
    });
    system.addEventListener("change", label);
    label();
  });
})();
