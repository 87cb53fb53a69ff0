// What a page asks the server for again and again: how often, what says that it is not renewed, and when it ends.

import { el, setText } from "./dom.js";
import { moment } from "./format.js";

/*
 * One request at a time, and none while nobody sees the page: a tab that comes to the front asks at once if it is due.
 * load(signal): requests, and shows the response; false: there is nothing yet. What it requests takes the signal, and
 * ends with the poll. everyMs: from the end of one to the next; soonMs: after an error, and where something has changed
 * (hurry()). failed(): what else an error changes. message: an element, with the error if there is one. what: begins
 * its text; a poll without it has no message.
 */
export function poll({ what, load, everyMs, soonMs = everyMs, failed }) {
  const message = what ? el("p", { class: "problem", role: "alert", hidden: true }) : null;
  const end = new AbortController();
  let renewedAt = null; // what is shown was asked for then
  let endedAt = -Infinity; // the last request
  let waitMs = 0; // from there to the next
  let isStarted = false;
  let isLoading = false;
  let timer = null;

  function say(text) {
    if (!message) return;
    message.hidden = text === "";
    setText(message, text);
  }

  async function run() {
    isLoading = true;
    const askedAt = Date.now() / 1000;
    try {
      waitMs = everyMs;
      if ((await load(end.signal)) === false) return;
      renewedAt = askedAt;
      say("");
    } catch (error) {
      if (end.signal.aborted) return;
      waitMs = soonMs;
      const since = renewedAt === null ? "" : `, not renewed since ${moment(renewedAt)}`;
      say(`${what}${since}: ${error.message}`);
      failed?.();
    } finally {
      isLoading = false;
      endedAt = performance.now();
      schedule();
    }
  }

  function schedule() {
    clearTimeout(timer);
    if (isLoading || document.hidden || end.signal.aborted) return;
    timer = setTimeout(run, Math.max(0, endedAt + waitMs - performance.now()));
  }

  return {
    message,
    start() {
      if (isStarted) return;
      isStarted = true;
      document.addEventListener("visibilitychange", schedule);
      schedule();
    },
    hurry() {
      if (isLoading || waitMs <= soonMs) return;
      waitMs = soonMs;
      schedule();
    },
    close() {
      end.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", schedule);
    },
  };
}
