// Which page is shown: #/, #/trigger/NAMESPACE/NAME, #/workers, #/workers/NAMESPACE/NAME, #/connections, #/log, #/jobs.

import { connectionsPage } from "./connections.js";
import { el, setText } from "./dom.js";
import { jobsPage } from "./jobs.js";
import { logPage } from "./log.js";
import { connect, listen, store } from "./store.js";
import { triggerPage } from "./trigger.js";
import { triggersPage } from "./triggers.js";
import { workersPage } from "./workers.js";

const main = document.getElementById("main");
const nav = document.getElementById("nav");
let page = null;
let shownFor = null; // the hello that the page was made for: what it shows depends on it

const links = [
  { href: "#/jobs", label: "Jobs", isIn: ({ mode }) => mode === "rehearse" },
  { href: "#/", label: "Triggers", isIn: () => true },
  { href: "#/workers", label: "Workers", isIn: ({ hasWorkers }) => hasWorkers === true },
  { href: "#/connections", label: "Connections", isIn: ({ mode, hasServer }) => mode === "serve" || hasServer },
  { href: "#/log", label: "Log", isIn: () => true },
];

function makePage(path) {
  const [view, ...names] = path.split("/").map(decodeURIComponent);
  if (view === "trigger" && names.length === 2) return triggerPage(...names);
  if (view === "connections") return connectionsPage();
  if (view === "log") return logPage();
  if (view === "workers") return workersPage(...names);
  if (view === "jobs") return jobsPage();
  return triggersPage();
}

function drawNav() {
  const path = location.hash || "#/";
  const key = `${JSON.stringify(store.hello)} ${path}`;
  if (nav.dataset.shown === key) return;
  nav.dataset.shown = key;
  nav.replaceChildren(...links.filter(({ isIn }) => isIn(store.hello)).map(({ href, label }) => {
    const isHere = path === href || (href === "#/" && path.startsWith("#/trigger")) || (href === "#/workers" && path.startsWith("#/workers/"));
    return el("a", { href, "aria-current": isHere ? "page" : false }, label);
  }));
}

const kindOf = ({ mode, hasServer, hasWorkers }) => `${mode} ${Boolean(hasServer)} ${Boolean(hasWorkers)}`;

function show() {
  let made;
  try {
    made = makePage((location.hash || "#/").slice(2));
  } catch {
    made = triggersPage(); // an address that is no valid text
  }
  const isFirst = page === null;
  page?.close();
  page = made;
  shownFor = kindOf(store.hello);
  main.replaceChildren(page.element);
  document.title = `${page.title} · Backlog`;
  drawNav();
  page.draw();
  if (!isFirst) {
    main.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
}

const texts = { connecting: "Connecting", live: "Live", lost: "Connection lost: trying again" };

function drawStatus() {
  setText(document.getElementById("status-text"), texts[store.connection]);
  document.getElementById("status").className = `status ${store.connection}`;
}

// "/" goes to the filter, as in many tables.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, textarea, dialog")) return;
  const search = document.getElementById("search");
  if (search) {
    event.preventDefault();
    search.focus();
  }
});

window.addEventListener("hashchange", show);
listen(() => {
  if (store.hello.mode === "rehearse" && !location.hash) location.replace("#/jobs");
  drawStatus();
  drawNav();
  if (shownFor !== kindOf(store.hello)) show();
  else page?.draw();
});
show();
connect();
