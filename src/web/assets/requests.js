// A request to the server: it ends, and what it returns is of the pod that the page shows.

import { checkInstance } from "./instance.js";

// A server that is gone may leave a connection that nothing ever comes of.
const RESPONSE_SECONDS = 10;

function fail(error) {
  throw error.name === "TimeoutError" ? new Error(`no response of the server within ${RESPONSE_SECONDS} s`) : error;
}

// As fetch(), but it ends, also by the signal, if there is one, and a session that has ended leads to the login.
export async function request(path, signal) {
  const timeout = AbortSignal.timeout(RESPONSE_SECONDS * 1000);
  const ends = signal ? AbortSignal.any([signal, timeout]) : timeout;
  const response = await fetch(path, { signal: ends }).catch(fail);
  if (response.status === 401) location.assign(`/login${location.hash}`);
  return response;
}

// The body. The pod is checked when all of it has come: the page may show another one since the request.
export async function textOf(response) {
  const text = await response.text().catch(fail);
  checkInstance(response);
  return text;
}

// The body of the response; an error with its words, where it refuses.
export async function getJson(path, signal) {
  const response = await request(path, signal);
  const text = await textOf(response);
  const body = parseJson(text);
  if (response.ok && body != null) return body;
  throw new Error(body?.error ?? refusalOf(response, text) ?? `the server answered ${response.status}, and no JSON`);
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// Some refusals are plain text, of one line. The page of a proxy is not.
export function refusalOf(response, text) {
  const isText = response.headers.get("Content-Type")?.startsWith("text/plain");
  const [line] = text.split("\n", 1);
  return !response.ok && isText && line !== "" ? line : null;
}
