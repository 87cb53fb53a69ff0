// What is above every page: links to the pages, whether they show live values, of which server, and whether to load the
// page again. app.js draws it.

import { addressOf, path } from "../base/address.js";
import { el, setChildren, setText } from "../base/dom.js";
import { moment } from "../base/format.js";
import { hasServer, isRehearsal, store } from "../state/store.js";

const nav = document.getElementById("nav");

const links = [
  { to: "/jobs", label: "Workers", isIn: isRehearsal },
  { to: "/", label: "Triggers", isIn: () => true },
  { to: "/workers", label: "Workers", isIn: () => store.hello.hasWorkers === true },
  { to: "/connections", label: "Connections", isIn: hasServer },
  { to: "/log", label: "Log", isIn: () => true },
];

// Links are not made again where a filter changes their addresses: one of them may have the focus.
export function drawLinks() {
  const here = path();
  const shown = links.filter(({ isIn }) => isIn());
  setChildren(nav, shown.map(({ label }) => label), (labels) => labels.map((label) => el("a", {}, label)));
  shown.forEach(({ to }, index) => {
    const isHere = here === to || (to === "/" && here.startsWith("/trigger")) ||
      (to === "/workers" && here.startsWith("/workers/"));
    const link = nav.children[index];
    link.href = addressOf(to);
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
}

// A time, and no age: screen readers read the status out when it changes.
const late = () => (store.renewedAt === null ? "No values yet" : `Not live since ${moment(store.renewedAt / 1000)}`);
const lost = () => (store.isSignedOut ? "Sign in again" : "Connection lost: trying again");
const texts = { connecting: () => "Connecting", live: () => "Live", late, lost };

function drawStatus() {
  setText(document.getElementById("status-text"), texts[store.connection]());
  document.getElementById("status").className = `status ${store.connection}`;
  const { pod, version, hasSession } = store.hello;
  const server = [pod && `Pod ${pod}`, version && `version ${version}`].filter(Boolean).join(", ");
  setText(document.getElementById("server"), server);
  document.getElementById("logout").hidden = hasSession !== true; // a proxy that sends the token would sign in again
}

// The version of these scripts, from their address: /assets/VERSION/parts/top.js.
const [, ownAssets] = /\/assets\/(\w+)\//.exec(new URL(import.meta.url).pathname) ?? [];

// Why the page is to be loaded again; "": it is not. After an upgrade, open pages still have the scripts from before.
function reasonToReload() {
  const { isSignedOut, hello: { assets, version } } = store;
  if (isSignedOut) return "A proxy in front of Backlog wants you to sign in: load this page again.";
  if (assets == null || assets === ownAssets) return "";
  return `The server has version ${version} now, and this page is of another one: load it again.`;
}

function drawReload() {
  const text = reasonToReload();
  document.getElementById("reload").hidden = text === "";
  setText(document.getElementById("reload-text"), text);
}

document.getElementById("reload-now").addEventListener("click", () => location.reload());

export function drawTop() {
  drawStatus();
  drawReload();
  drawLinks();
}
