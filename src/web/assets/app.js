// Shows the page of the address. The modules of this folder follow: each imports only modules above it. A page imports
// no other page: what two pages need is a part. What the pages of triggers share is in trigger/.
//
//   types                      the shapes that modules hand to each other: comments alone
//   theme                      light or dark; a script of its own, before the page is painted
//   login                      the only script of the login's page
//
//   base/address               the address of what is shown
//   base/dom                   makes elements, without markup
//   base/format                numbers and times as text
//
//   state/clock                the server's time
//   state/instance             which process of the server the page shows
//   state/store                what is known of the server, and who is called when that changes
//   state/requests             a request to the server
//   state/poll                 a request that is repeated
//   state/trend                the server's figures in the last hour
//   state/updates              what each event of the server changes in the store
//   state/stream               the connection that brings the events, and whether what is shown is live
//
//   parts/top                  what is above every page: links, status, version
//   parts/table                a table of thousands of rows
//   parts/range                the range of time that plots show
//   parts/search_box           the words that rows or lines must have
//   parts/filter_buttons       buttons that choose rows, lines or a range
//   parts/cards                the server's figures, with curves
//   parts/log_lines            lines of the server's log
//   parts/log_dialog           the log of one worker
//   parts/download_link        a link that saves a file of the server
//
//   trigger/trigger_state      the state of a trigger, and its connection, as text
//   trigger/plots              a plot, by uPlot
//   trigger/connection_filter  the triggers of one connection
//   trigger/trigger_groups     the triggers by namespace
//   trigger/trigger_history    outages and changes, from a trigger's history
//   trigger/object_replicas    how many replicas an object had
//   trigger/trigger_plots      the plots of one trigger: work, replicas, rates
//   trigger/trigger_panel      one trigger on the page of its object
//   trigger/object_panels      all triggers on the page of their object
//
//   pages/triggers             the page #/
//   pages/object               the page #/trigger/NAMESPACE/NAME
//   pages/workers              the pages #/workers and #/workers/NAMESPACE/NAME
//   pages/connections          the page #/connections
//   pages/log                  the page #/log
//   pages/rehearsal_workers    the page #/jobs: the workers of a rehearsal
//
//   app                        this file
//
// An object is a ScaledObject or a ScaledJob. A worker is a process of a rehearsal, or a pod of a cluster. A job is
// what a worker does.
//
// From the server to the screen:
//
//   stream --event--> updates --> store --changed()--> app --draw()--> the page that is shown
//   a page's poll ---response---------------------------------------> that page
//
// A page is what a function such as triggersPage() returns:
//
// - title: of the window.
// - element: what is shown.
// - draw(): brings the element up to date. It is called when the page is shown, when the store has changed, and once
//     per second, as ages grow; not while the tab is in the background. So a page needs no listener and no timer.
// - close(): ends what the page began: requests, dialogs, observers. The page is not shown again.

import { path, remember } from "./base/address.js";
import { connectionsPage } from "./pages/connections.js";
import { logPage } from "./pages/log.js";
import { objectPage } from "./pages/object.js";
import { rehearsalWorkersPage } from "./pages/rehearsal_workers.js";
import { triggersPage } from "./pages/triggers.js";
import { workersPage } from "./pages/workers.js";
import { drawLinks, drawTop } from "./parts/top.js";
import { epoch } from "./state/instance.js";
import { changed, hasServer, isRehearsal, listen, store } from "./state/store.js";
import { connectWhenShown } from "./state/stream.js";

const main = document.getElementById("main");
let page = null;
let shownFor = null; // serverOfPage() when the page was made

// The parts of the address after "#/". An address that cannot be decoded has none: the first page is shown.
function segments() {
  try {
    return path().slice(1).split("/").map(decodeURIComponent);
  } catch {
    return [];
  }
}

function makePage() {
  const [view, ...names] = segments();
  if (view === "trigger" && names.length === 2) return objectPage(...names);
  if (view === "connections") return connectionsPage();
  if (view === "log") return logPage();
  if (view === "workers") return workersPage(...names);
  if (view === "jobs") return rehearsalWorkersPage();
  return triggersPage();
}

// What a page depends on: the process of the server, and its features. Before the first hello no feature is known: a
// page that was made then is made again only if the server has one.
function serverOfPage() {
  const { hasWorkers, hasHpas } = store.hello;
  return JSON.stringify([epoch(), isRehearsal(), hasServer(), Boolean(hasWorkers), Boolean(hasHpas)]);
}

function show() {
  const made = makePage();
  remember();
  page?.close();
  page = made;
  shownFor = serverOfPage();
  main.replaceChildren(page.element);
  document.title = `${page.title} · Backlog`;
  drawLinks();
  page.draw();
}

// The reader came here from another page.
function showNext() {
  show();
  main.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

// The server is another one: the page is made again while somebody reads it. A focus in its search box stays there,
// with the words, which the address keeps.
function showAgain() {
  const { activeElement } = document;
  const hadFocus = main.contains(activeElement);
  const { id, selectionStart, selectionEnd } = activeElement;
  show();
  const search = id === "search" ? document.getElementById(id) : null;
  if (hadFocus) (search ?? main).focus({ preventScroll: true });
  search?.setSelectionRange(selectionStart, selectionEnd);
}

// Without this the browser would replace the address of the page with "#main".
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

window.addEventListener("hashchange", showNext);
listen(() => {
  if (isRehearsal() && !location.hash) location.replace("#/jobs");
  drawTop();
  if (shownFor !== serverOfPage()) showAgain();
  else page.draw();
});
show();
setInterval(changed, 1000); // ages grow
connectWhenShown();
