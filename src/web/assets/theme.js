// Light or dark: what was chosen with the button, or what the system prefers. Loaded before the page is painted, so
// that it does not flash. The style sheet reads data-theme; plots are drawn again on "themechange".

const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");
let chosen = stored((storage) => storage.getItem("theme")) || null; // "light" or "dark"

// A browser may forbid a page to keep anything: then the choice is that of this page.
function stored(use) {
  try {
    return use(localStorage);
  } catch {
    return null;
  }
}

function applyTheme() {
  document.documentElement.dataset.theme = chosen ?? (systemIsDark.matches ? "dark" : "light");
  document.dispatchEvent(new Event("themechange"));
}

applyTheme();
systemIsDark.addEventListener("change", applyTheme);
document.addEventListener("DOMContentLoaded", () => {
  document.getElementById("theme")?.addEventListener("click", () => {
    chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    stored((storage) => storage.setItem("theme", chosen));
    applyTheme();
  });
});
