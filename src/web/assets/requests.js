// A request to the server: it ends, and what it returns is of the pod that the page shows.

import { checkInstance, HEADER } from "./instance.js";
import { setSignedOut } from "./store.js";

// A server that is gone may leave a connection that nothing ever comes of.
const RESPONSE_SECONDS = 10;
const SIGN_IN = "a proxy in front of Backlog answered, and wants you to sign in: load the page again";

function fail(error) {
  throw error.name === "TimeoutError" ? new Error(`no response of the server within ${RESPONSE_SECONDS} s`) : error;
}

// A session at a proxy in front of the server ends without the server: then the proxy redirects to where one signs in,
// refuses, or responds with the page of that. What is of the server has its header.
function isOfSignIn({ type, status, ok, headers }) {
  if (headers.has(HEADER)) return false;
  const isPage = headers.get("Content-Type")?.startsWith("text/html") ?? false;
  return type === "opaqueredirect" || status === 401 || status === 403 || (ok && isPage);
}

// A session that has ended leads to where another one begins: of the server's own that is its login, and of a proxy's
// the address of this page, which top.js offers to load again.
function checkSession(response) {
  const isSignedOut = isOfSignIn(response);
  if (isSignedOut || response.headers.has(HEADER)) setSignedOut(isSignedOut);
  if (isSignedOut) throw new Error(SIGN_IN);
  if (response.status === 401) location.assign(`/login${location.hash}`);
}

// The words of a refusal: in JSON, or plain text of one line. The page of a proxy has none for us.
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

// {text, status, type}; an error with the words of the server, where it refuses. It ends by the signal, if there is
// one. The pod is checked when all of the text has come: the page may show another one since the request.
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
