// What ESLint finds in the dashboard's JavaScript. The names of the browser that it uses are listed here: a browser has a
// thousand more, such as `name` and `status`, and one of those is a variable that somebody forgot.

const js = require("@eslint/js");

const browser = [
  "AbortController", "AbortSignal", "Blob", "document", "Event", "EventSource", "fetch", "getComputedStyle", "history",
  "localStorage", "location", "performance", "requestAnimationFrame", "ResizeObserver", "scrollTo", "setInterval",
  "setTimeout", "clearTimeout", "URL", "URLSearchParams", "window",
];

module.exports = [
  js.configs.recommended,
  {
    languageOptions: { globals: Object.fromEntries(browser.map((name) => [name, "readonly"])) },
    linterOptions: { reportUnusedDisableDirectives: "error" },
  },
];
