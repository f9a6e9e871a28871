import { addSecs, type Instant, secsBetween } from "@nixwave/effects";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const two = (value: number): string => String(value).padStart(2, "0");

/** A duration as a stopwatch shows it: `0:41`, `17:32`, `3:20:05`; from two days on `2 d 4 h`. */
export function duration(secs: number): string {
  const whole = Math.max(0, Math.floor(secs));
  if (whole >= 2 * DAY) return `${Math.floor(whole / DAY)} d ${Math.floor((whole % DAY) / HOUR)} h`;
  const seconds = two(whole % MINUTE);
  const minutes = Math.floor(whole / MINUTE) % 60;
  const hours = Math.floor(whole / HOUR);
  return hours > 0 ? `${hours}:${two(minutes)}:${seconds}` : `${minutes}:${seconds}`;
}

/** How long ago, or how long still, in one unit: `41 s`, `12 min`, `2 h`, `3 d`. */
export function age(secs: number): string {
  const whole = Math.max(0, Math.floor(secs));
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min`;
  if (whole < 2 * DAY) return `${Math.floor(whole / HOUR)} h`;
  return `${Math.floor(whole / DAY)} d`;
}

export const ago = (at: Instant, now: Instant): string => `${age(secsBetween(at, now))} ago`;

const formatters = new Map<string, Intl.DateTimeFormat>();

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  const known = formatters.get(timeZone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat("en-GB", { timeZone, timeStyle: "medium", hour12: false });
  formatters.set(timeZone, made);
  return made;
}

/** The wall clock at an instant, `09:24:10`; a day away or more also says `3 d ago` or `in 3 d`. */
export function wallClock(at: Instant, now: Instant, timeZone: string): string {
  const clock = formatterOf(timeZone).format(at);
  const away = secsBetween(at, now);
  if (away >= DAY) return `${clock}, ${age(away)} ago`;
  return away <= -DAY ? `${clock}, in ${age(-away)}` : clock;
}

const DURATION = /^(\d{1,6})\s*(s|m|min|h|d)$/;
const SECS_OF: Readonly<Record<string, number>> = { s: 1, m: MINUTE, min: MINUTE, h: HOUR, d: DAY };

/** `90s`, `30m`, `2h`, `7d` in seconds, or null for anything else. */
export function parseDuration(text: string): number | null {
  const match = DURATION.exec(text.trim());
  const unit = SECS_OF[match?.[2] ?? ""];
  if (match?.[1] === undefined || unit === undefined) return null;
  const secs = Number(match[1]) * unit;
  return secs > 0 ? secs : null;
}

export const inSecs = (now: Instant, secs: number): Instant => addSecs(now, secs);
