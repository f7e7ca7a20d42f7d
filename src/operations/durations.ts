/** Times as people say and read them. */
import { ForgeError } from '../errors.ts';

const secondMs = 1000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const units: Readonly<Record<string, number>> = { s: secondMs, m: minuteMs, h: hourMs, d: dayMs, w: 7 * dayMs };

/** `30d`, `12h`, `90s`, `10m`, `2w` → milliseconds. Throws `invalid`. */
export function parseDuration(text: string): number {
  const match = /^(\d{1,5})([smhdw])$/.exec(text);
  const unit = units[match?.[2] ?? ''];
  if (!match || unit === undefined || Number(match[1]) === 0) {
    throw new ForgeError('invalid', `${JSON.stringify(text)} is not a duration: expected a number and s, m, h, d or w, such as 30d`);
  }
  return Number(match[1]) * unit;
}

/** `3 min ago`; an absolute day beyond a month; `in 30 d` for what is to come. */
export function relativeTime(iso: string, now: Date): string {
  const ageMs = now.getTime() - Date.parse(iso);
  const distance = Math.abs(ageMs);
  if (distance > 31 * dayMs && ageMs > 0) return iso.slice(0, 10);
  if (distance < 5 * secondMs) return 'just now';
  const text =
    distance < minuteMs ? `${Math.round(distance / secondMs)} s`
    : distance < hourMs ? `${Math.round(distance / minuteMs)} min`
    : distance < dayMs ? `${Math.round(distance / hourMs)} h`
    : `${Math.round(distance / dayMs)} d`;
  return ageMs > 0 ? `${text} ago` : `in ${text}`;
}

/** How long something took: `0.8 s`, `1 min 5 s`. */
export function elapsed(fromIso: string, toIso: string): string {
  const ms = Math.max(0, Date.parse(toIso) - Date.parse(fromIso));
  if (ms < minuteMs) return `${(ms / secondMs).toFixed(1)} s`;
  return `${Math.floor(ms / minuteMs)} min ${Math.round((ms % minuteMs) / secondMs)} s`;
}
