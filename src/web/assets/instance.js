// Which process of the server the page shows. Pods number their triggers differently, and have histories of their own:
// what another one responds is refused. Where the stream is of another one, the page starts from nothing (updates.js).

export const HEADER = "Backlog-Instance"; // as web_instance.h has it
const OTHER = "another pod of Backlog answered, and a page shows one pod. If this stays: let the proxy keep each " +
  "reader at one pod, or use kubectl port-forward";
const OTHER_WITHOUT_EVENTS = "another pod of Backlog answered, or it was restarted, and no events come, by which a " +
  "page follows it: load the page again";
const UNKNOWN = `the response does not say of which pod it is: the proxy must pass on the header ${HEADER}`;

let shown = null; // null: nothing has come yet, and the first that comes decides
let hasEvents = false;
let count = 0;

// One more with each other process: what was begun in an earlier epoch is of another one.
export const epoch = () => count;

// Of the stream. True: the page has shown another one until now.
export function takeInstance(instance = "") {
  const isOther = shown !== null && shown !== instance;
  shown = instance;
  hasEvents = true;
  if (isOther) count++;
  return isOther;
}

// A refusal of a proxy has no instance, and words of its own.
export function checkInstance({ ok, headers }) {
  const instance = headers.get(HEADER) ?? "";
  if (instance === "" && !ok) return;
  shown ??= instance;
  if (instance === shown) return;
  if (instance === "") throw new Error(UNKNOWN);
  throw new Error(hasEvents ? OTHER : OTHER_WITHOUT_EVENTS);
}
