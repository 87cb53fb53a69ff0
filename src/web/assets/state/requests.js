// A request to the server. All requests but the stream are made here: each ends, and its response is of the pod that
// the page shows.

import { checkInstance, HEADER } from "./instance.js";
import { setSignedOut } from "./store.js";

// A request to a node that died would wait for ever.
const RESPONSE_SECONDS = 10;
const SIGN_IN = "a proxy in front of Backlog answered, and wants you to sign in: load the page again";

function fail(error) {
  throw error.name === "TimeoutError" ? new Error(`no response of the server within ${RESPONSE_SECONDS} s`) : error;
}

// True: a proxy in front of the server responded, as the session there has ended. It redirects to its page for signing
// in, refuses, or responds with that page. The server's own responses have its header.
function isOfSignIn({ type, status, ok, headers }) {
  if (headers.has(HEADER)) return false;
  const isPage = headers.get("Content-Type")?.startsWith("text/html") ?? false;
  return type === "opaqueredirect" || status === 401 || status === 403 || (ok && isPage);
}

// After the end of a session at the server, its login is shown. After that of a session at a proxy, top.js offers to
// load this page again, which leads to the proxy's.
function checkSession(response) {
  const isSignedOut = isOfSignIn(response);
  if (isSignedOut || response.headers.has(HEADER)) setSignedOut(isSignedOut);
  if (isSignedOut) throw new Error(SIGN_IN);
  if (response.status === 401) location.assign(`/login${location.hash}`);
}

// Why a response was refused: the server says it in JSON, or in plain text of one line. A proxy's page says nothing
// that could be shown.
function refusalOf({ status, headers }, text) {
  const isText = headers.get("Content-Type")?.startsWith("text/plain");
  const [line] = text.split("\n", 1);
  return parseJson(text)?.error ?? (isText && line ? line : `the server answered ${status}`);
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// Returns {text, status, type}; throws with the server's words where it refuses. The signal, if there is one, aborts
// the request. The pod is checked last: while the text came, the page may have begun to show another one.
export async function getText(path, signal) {
  const timeout = AbortSignal.timeout(RESPONSE_SECONDS * 1000);
  const ends = signal ? AbortSignal.any([signal, timeout]) : timeout;
  const response = await fetch(path, { signal: ends, redirect: "manual" }).catch(fail);
  checkSession(response);
  const text = await response.text().catch(fail);
  checkInstance(response);
  if (!response.ok) throw new Error(refusalOf(response, text));
  return { text, status: response.status, type: response.headers.get("Content-Type") };
}

export async function getJson(path, signal) {
  const { text } = await getText(path, signal);
  const body = parseJson(text);
  if (body == null) throw new Error("the server's response is no JSON");
  return body;
}
