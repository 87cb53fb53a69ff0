// Light or dark: what the reader chose with the button, or what the system prefers. This script is loaded before the
// page is painted, so that the page does not flash. The style sheet reads data-theme; plots listen to "themechange".

const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");
let chosen = stored((storage) => storage.getItem("theme")) || null; // "light" or "dark"

// use(localStorage), or null where the browser forbids it: then the choice ends with the page.
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
