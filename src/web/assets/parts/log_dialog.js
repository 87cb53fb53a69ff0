// The log of one worker, in a dialog. The pages of workers open it, and close it when they end.

import { el, setText } from "../base/dom.js";
import { poll } from "../state/poll.js";
import { getText } from "../state/requests.js";

const EVERY_MS = 1000;
const MAX_SHOWN = 1 << 20; // characters; a log may be read for hours
const GAP = "\n[Lines are missing here, or the worker was started again.]\n\n";
const PROBE = 256; // characters of a line that are looked for, as a line may have no end
const CUT = 4; // bytes of a character: the first one may have lost its beginning

// The server keeps the end of a log. `last` is what it had before, `body` what it has now. Returns what is new in
// `body`, as "c\n" of "a\nb\n" and "b\nc\n"; null: the two have nothing in common.
export function partAfter(last, body) {
  if (body.startsWith(last)) return body.slice(last.length);
  const begin = body.indexOf("\n") + 1 || CUT; // the first line may have lost its beginning
  const lastLine = last.slice(Math.max(last.lastIndexOf("\n", last.length - 2) + 1, last.length - PROBE));
  // The last place first: where lines repeat, as few as possible count as new.
  for (let at = body.lastIndexOf(lastLine); at >= begin; at = body.lastIndexOf(lastLine, at - 1)) {
    const end = at + lastLine.length;
    if (last.endsWith(body.slice(begin, end))) return body.slice(end);
  }
  return null;
}

// `path`: the page of the server that has the log as text; while the server reads it, the status is 202. `note`: about
// the worker, above its log. Returns the dialog; the page that opened it calls its close() when it ends.
export function openLog(title, path, note) {
  const text = el("pre", { tabindex: "0" }, "Loading …");
  // What was read stays after an error: of a pod that is gone there is nothing else.
  const reading = poll({ what: "Log", load, everyMs: EVERY_MS, failed: () => shownLength === 0 && setText(text, "") });
  const dialog = el("dialog", { "aria-label": `Log of ${title}` },
    el("header", {}, el("h2", {}, title),
      el("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close")),
    note && el("p", { class: "note" }, note), reading.message, text);
  let shownLength = 0; // characters in the element, as one text node per piece that came
  let last = ""; // what the server had in its last response

  // What the reader sees stays where it is.
  function dropOldest() {
    const below = text.scrollHeight - text.scrollTop;
    while (shownLength > MAX_SHOWN && text.childNodes.length > 1) {
      shownLength -= text.firstChild.length;
      text.firstChild.remove();
    }
    text.scrollTop = text.scrollHeight - below;
  }

  // Only what is new is added: a selection and the reader's place stay.
  function show(body) {
    const whole = body.replace(/\uFFFD$/, ""); // the last character may have come in part
    if (shownLength === 0) setText(text, whole === "" ? "This worker has written nothing yet." : "");
    const added = partAfter(last, whole) ?? GAP + whole;
    last = whole;
    if (added === "") return;
    const isAtEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 20;
    text.append(added);
    shownLength += added.length;
    if (shownLength > MAX_SHOWN) dropOldest();
    if (isAtEnd) text.scrollTop = text.scrollHeight;
  }

  async function load(signal) {
    const { status, text: body } = await getText(path, signal);
    return status !== 202 && show(body);
  }

  dialog.addEventListener("close", () => {
    reading.close();
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  reading.start();
  return dialog;
}
