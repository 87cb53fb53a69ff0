// The log of one worker, in a dialog.

import { el, setText } from "./dom.js";
import { request } from "./store.js";

// `path` is where the log is, as text; 202: it is being read.
export function openLog(title, path) {
  const text = el("pre", { tabindex: "0" }, "Loading …");
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const dialog = el("dialog", { "aria-label": `Log of ${title}` },
    el("header", {}, el("h2", {}, title),
      el("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close")),
    problem, text);
  let isOpen = true;
  let shown = "";
  // What grows is appended to: a selection in it stays.
  function show(body) {
    const isAtEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 20;
    if (shown === "" || !body.startsWith(shown)) setText(text, body || "This worker has written nothing yet.");
    else if (body !== shown) text.append(body.slice(shown.length));
    shown = body;
    if (isAtEnd) text.scrollTop = text.scrollHeight;
  }
  // What was read stays below it: of a pod that is gone it is all there is.
  function report(words) {
    setText(problem, words);
    problem.hidden = words === "";
    if (words !== "" && shown === "") setText(text, "");
  }
  async function load() {
    try {
      const response = await request(path);
      const body = await response.text();
      if (response.ok && response.status !== 202) show(body);
      if (response.status !== 202) report(response.ok ? "" : `The log cannot be shown: ${body}`);
    } catch (error) {
      report(`The log cannot be loaded: ${error.message}`);
    }
  }
  async function repeat() {
    if (!document.hidden) await load();
    if (isOpen) setTimeout(repeat, 1000);
  }
  const close = () => dialog.close();
  window.addEventListener("hashchange", close); // another page is shown
  dialog.addEventListener("close", () => {
    isOpen = false;
    window.removeEventListener("hashchange", close);
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  repeat();
}
