// Which page is shown. The modules of this folder; each imports only those above it, and a page no other page: what two
// of them need is a file of its own.
//
//   address           what is shown is in the address
//   dom               elements, without markup
//   format            numbers and times for people
//   clock             the server's time
//   instance          which process of the server the page shows
//   store             what is known of the server, and what is called when that changes
//   requests          a request to the server
//   poll              what the server is asked for again and again
//   trend             the server's figures in the last hour
//   updates           what each event of the server changes in the store
//   stream            the connection that events come over, and how old they are
//   top               what is above every page: links, status, version
//   theme             light or dark; a script of its own, before the page is painted
//   login             the login's page, which has nothing else
//   table             rows by the thousand
//   range             the range of time that plots show
//   search_box        the words that rows or lines must have
//   filter_buttons    buttons for which rows, lines or range are shown
//   cards             the figures of the server, above the triggers and a rehearsal's workers
//   log_lines         lines of the server's log
//   log_dialog        the log of one worker
//   trigger_state     what the row of a trigger says
//   plots             plots of the last hour, by uPlot
//   connection_filter the triggers of one connection, and how it is
//   trigger_groups    the table of triggers in groups
//   trigger_history   what the history of a trigger says: outages, changes
//   download_link     a link that saves a file of the server
//   object_replicas   how many replicas an object had
//   trigger_plots     work, replicas, rates
//   trigger_panel     one trigger on the page of its object
//   object_panels     all of an object's triggers there
//   triggers          the page #/
//   object            the page of one object, #/trigger/NAMESPACE/NAME
//   workers           #/workers, and those of one object, #/workers/NAMESPACE/NAME
//   connections       #/connections
//   log               #/log
//   rehearsal_workers #/jobs: the workers of a rehearsal
//   app               this file
//
// An object is a ScaledObject or a ScaledJob. A worker is a process of a rehearsal, or a pod of a cluster; jobs are
// what workers do.
//
// A page is what a function such as triggersPage() returns:
//
// - title: of the window.
// - element: what is shown.
// - draw(): brings the element up to date. It is called when the page is shown, with each change of the store, and once
//     per second, as ages grow; not while the tab is in the background. So a page needs no listener and no timer of its
//     own.
// - close(): ends what the page has begun: requests, dialogs, observers. The page is not shown again.

import { path, remember } from "./address.js";
import { connectionsPage } from "./connections.js";
import { epoch } from "./instance.js";
import { logPage } from "./log.js";
import { objectPage } from "./object.js";
import { rehearsalWorkersPage } from "./rehearsal_workers.js";
import { changed, hasServer, isRehearsal, listen, store } from "./store.js";
import { connectWhenShown } from "./stream.js";
import { drawLinks, drawTop } from "./top.js";
import { triggersPage } from "./triggers.js";
import { workersPage } from "./workers.js";

const main = document.getElementById("main");
let page = null;
let shownFor = null; // the server that the page was made for: what it shows depends on it

// The parts of the address after "#/". One that cannot be decoded has none, and shows the first page.
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

// What pages depend on: which process of the server it is, and what it has. A feature that the hello does not mention
// is absent, and before the first hello all are: the page that was made then is made again only if the server has one.
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

// Somebody came here from another page.
function showNext() {
  show();
  main.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

// The server is another one: the page is made again under whoever reads it. What they type goes on in its search box,
// which has the words that the address keeps.
function showAgain() {
  const { activeElement } = document;
  const hadFocus = main.contains(activeElement);
  const { id, selectionStart, selectionEnd } = activeElement;
  show();
  const search = id === "search" ? document.getElementById(id) : null;
  if (hadFocus) (search ?? main).focus({ preventScroll: true });
  search?.setSelectionRange(selectionStart, selectionEnd);
}

// By itself the browser would replace the address of the page with "#main".
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
