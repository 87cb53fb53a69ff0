// Which process of the server the page shows. Pods number their triggers differently, and have histories of their own:
// what another one responds is refused. Where the stream is of another one, the page starts from nothing (updates.js).

const HEADER = "Backlog-Instance"; // as web_instance.h has it
const OTHER = "another pod of Backlog answered, and a page shows one pod. If this stays: let the proxy keep each " +
  "reader at one pod, or use kubectl port-forward";
const UNKNOWN = `the response does not say of which pod it is: the proxy must pass on the header ${HEADER}`;

let shown = null; // null: nothing has come yet, and the first that comes decides

// Of the stream. True: the page has shown another one until now.
export function takeInstance(instance = "") {
  const isOther = shown !== null && shown !== instance;
  shown = instance;
  return isOther;
}

// A refusal of a proxy has no instance, and words of its own.
export function checkInstance({ ok, headers }) {
  const instance = headers.get(HEADER) ?? "";
  if (instance === "" && !ok) return;
  shown ??= instance;
  if (instance !== shown) throw new Error(instance === "" ? UNKNOWN : OTHER);
}
