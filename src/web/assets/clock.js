// The server's time, as far as what it sends says when it was sent.

const MAX_DRIFT = 0.0001; // of two clocks that nobody sets, per second
let offset = 0; // seconds that the server's clock is ahead of ours
let timed = null; // what came last of this connection: {sent, date, steady (a clock that nobody sets)}

export const clockOffset = () => offset;
export const serverNow = () => Date.now() / 1000 + offset;

// An event that waits in buffers on the way makes the server's clock look behind. So the event that was under way for
// the shortest time counts, until a clock is set: then the next event counts.
export function takeClock(sent) {
  const now = { sent, date: Date.now() / 1000, steady: performance.now() / 1000 };
  const elapsed = now.steady - timed?.steady;
  const isSame = timed !== null && sent >= timed.sent && Math.abs(now.date - timed.date - elapsed) < 1;
  const seen = sent - now.date;
  offset = isSame ? Math.max(seen, offset - elapsed * MAX_DRIFT) : seen;
  timed = now;
}

// What comes next may be of another pod, with another clock.
export function forgetClock() {
  timed = null;
}
