// The server's time, by the times at which it sends events. updates.js sets it; ages and ranges are of serverNow().

const MAX_DRIFT = 0.0001; // seconds per second that two clocks drift apart at most, if nobody sets them
let offset = 0; // seconds that the server's clock is ahead of ours
let timed = null; // the last event of this connection: {sent, date, steady}; steady: by a clock that nobody sets

export const clockOffset = () => offset;
export const serverNow = () => Date.now() / 1000 + offset;

// An event that waits in buffers on the way makes the server's clock look behind. So the event that was under way for
// the shortest time decides. Of a server that is 100 s ahead an event that took 2 s says 98, the next one that took
// 0.1 s says 99.9, and that stays. When a clock is set, the next event decides.
export function takeClock(sent) {
  const now = { sent, date: Date.now() / 1000, steady: performance.now() / 1000 };
  const elapsed = now.steady - timed?.steady;
  const isSame = timed !== null && sent >= timed.sent && Math.abs(now.date - timed.date - elapsed) < 1;
  const seen = sent - now.date;
  offset = isSame ? Math.max(seen, offset - elapsed * MAX_DRIFT) : seen;
  timed = now;
}

// After another connection: the next event may be of another pod, with another clock.
export function forgetClock() {
  timed = null;
}
