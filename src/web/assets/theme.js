// Light or dark: what was chosen with the button, or what the system prefers. Loaded before the page is painted, so
// that it does not flash. The style sheet reads data-theme; plots are drawn again on "themechange".

const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");

function applyTheme() {
  document.documentElement.dataset.theme = localStorage.getItem("theme") || (systemIsDark.matches ? "dark" : "light");
  document.dispatchEvent(new Event("themechange"));
}

applyTheme();
systemIsDark.addEventListener("change", applyTheme);
document.addEventListener("DOMContentLoaded", () => {
  document.getElementById("theme")?.addEventListener("click", () => {
    localStorage.setItem("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    applyTheme();
  });
});
