// Numbers and times as text. What is unknown is a dash, never 0, and what is not 0 is not written as 0.

export const UNKNOWN = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

export function number(value) {
  if (!isNumber(value)) return UNKNOWN;
  if (Math.abs(value) >= 100 || Number.isInteger(value)) return whole.format(value);
  return Math.abs(value) >= 1 ? fine.format(value) : String(Number(value.toPrecision(3)));
}

export function compact(value) {
  if (!isNumber(value)) return UNKNOWN;
  return Math.abs(value) < 100000 ? number(value) : short.format(value);
}

// null: the rate is unknown. A lower bound of about 0 says nothing.
const MIN_BOUND = 0.005;
export const knownRate = (value, isBound) => (!isNumber(value) || (isBound && value < MIN_BOUND) ? null : value);

export function rate(value, isBound = false) {
  const known = knownRate(value, isBound);
  return known !== null && isBound ? `≥ ${number(known)}` : number(known);
}

export function bytes(value) {
  if (!isNumber(value)) return UNKNOWN;
  if (value === 0) return "0 MiB";
  const mib = value / 1048576;
  if (mib > 0 && mib < 0.05) return "< 0.1 MiB";
  return mib >= 1024 ? `${(mib / 1024).toFixed(2)} GiB` : `${mib.toFixed(mib < 10 ? 1 : 0)} MiB`;
}

export function percent(value) {
  if (!isNumber(value)) return UNKNOWN;
  if (value > 0 && value < 0.0005) return "< 0.1 %";
  return `${(value * 100).toFixed(value < 0.1 && value > 0 ? 1 : 0)} %`;
}

export function duration(seconds) {
  if (!isNumber(seconds)) return UNKNOWN;
  if (seconds > 0 && seconds < 0.001) return "< 1 ms";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export function age(seconds) {
  if (!isNumber(seconds)) return UNKNOWN;
  if (seconds < 1) return "now";
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return duration(seconds);
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB");
}

// The clock, with the day if that is not today's.
export function moment(seconds, now = Date.now() / 1000) {
  const [day, today] = [seconds, now].map((time) =>
    new Date(time * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short" }));
  return day === today ? clock(seconds) : `${day}, ${clock(seconds)}`;
}

// Times are in the browser's zone: "UTC", "UTC+2".
export function zone(seconds = Date.now() / 1000) {
  const minutes = -new Date(seconds * 1000).getTimezoneOffset();
  const [hours, rest] = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  if (minutes === 0) return "UTC";
  return `UTC${minutes < 0 ? "−" : "+"}${hours}${rest ? `:${String(rest).padStart(2, "0")}` : ""}`;
}

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
