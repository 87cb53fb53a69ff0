// A request that a page repeats until it ends.
//
//   start() -> run: load(signal) -> everyMs of rest -> run ...    until close()
//                     fails:        soonMs of rest, and a message
//                     hurry():      what is left of everyMs becomes what is left of soonMs
//   A hidden tab rests until it is shown.

import { el, setText } from "../base/dom.js";
import { moment } from "../base/format.js";

/*
 * load(signal): requests, and shows the response; returns false where there is nothing to show yet. Its requests take
 * the signal, which close() aborts. There is one load() at a time.
 * everyMs: from the end of a load() to the next. soonMs: the same after an error, and after hurry().
 * what: begins the text of `message`, an element that shows the last error; without it there is no message.
 * failed(): called after an error, for what else it changes.
 */
export function poll({ what, load, everyMs, soonMs = everyMs, failed }) {
  const message = what ? el("p", { class: "problem", role: "alert", hidden: true }) : null;
  const end = new AbortController();
  let renewedAt = null; // when what is shown was requested
  let endedAt = -Infinity; // when the last load() ended
  let waitMs = 0; // from endedAt to the next one
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
