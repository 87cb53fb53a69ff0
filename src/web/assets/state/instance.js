// Which process of the server the page shows. Each pod numbers triggers differently, and has a history of its own. So
// requests.js refuses a response of another process. Where the stream comes from another process, the page starts from
// nothing (updates.js).

export const HEADER = "Backlog-Instance"; // web_instance.h
const OTHER = "another pod of Backlog answered, and a page shows one pod. If this stays: let the proxy keep each " +
  "reader at one pod, or use kubectl port-forward";
const OTHER_WITHOUT_EVENTS = "another pod of Backlog answered, or it was restarted, and no events come, by which a " +
  "page follows it: load the page again";
const UNKNOWN = `the response does not say of which pod it is: the proxy must pass on the header ${HEADER}`;

let shown = null; // the process; null: none yet, and the next response or stream decides
let hasEvents = false; // a stream has come
let count = 0;

// How often the process has changed. app.js makes a page again that is of an earlier epoch.
export const epoch = () => count;

// instance: the process that the stream comes from. True: the page has shown another process until now.
export function takeInstance(instance = "") {
  const isOther = shown !== null && shown !== instance;
  shown = instance;
  hasEvents = true;
  if (isOther) count++;
  return isOther;
}

// Throws where a response is of another process. A proxy's refusal has no instance: the caller shows its words.
export function checkInstance({ ok, headers }) {
  const instance = headers.get(HEADER) ?? "";
  if (instance === "" && !ok) return;
  shown ??= instance;
  if (instance === shown) return;
  if (instance === "") throw new Error(UNKNOWN);
  throw new Error(hasEvents ? OTHER : OTHER_WITHOUT_EVENTS);
}
