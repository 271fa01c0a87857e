// Times in the reader's zone, numbers without a loss of digits.

const exactFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const relativeFormat = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto', style: 'short' });
const countFormat = new Intl.NumberFormat();
const amountFormat = new Intl.NumberFormat(undefined, { maximumFractionDigits: 20 });
const percentFormat = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 1 });

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone ?? 'UTC';

// A year that a browser can't read is shown as it came.
const shown = (format: Intl.DateTimeFormat, time: string) => {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? time : format.format(date);
};

export const exact = (time: string) => shown(exactFormat, time);
export const day = (time: string) => shown(dayFormat, time);

const steps: [Intl.RelativeTimeFormatUnit, number][] =
  [['second', 60], ['minute', 60], ['hour', 24], ['day', 30], ['month', 12], ['year', Infinity]];

export function relative(time: string, now: number): string {
  let distance = (new Date(time).getTime() - now) / 1000;
  if (Number.isNaN(distance)) return '';
  for (const [unit, size] of steps) {
    if (Math.abs(distance) < size) return relativeFormat.format(Math.round(distance), unit);
    distance /= size;
  }
  return exact(time);
}

export const count = (n: number) => countFormat.format(n);
export const plural = (n: number, one: string, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

// Amounts are strings of any number of digits, and stay exact.
export const amount = (digits: string | null | undefined) =>
  digits === null || digits === undefined ? '–' : amountFormat.format(digits as Intl.StringNumericLiteral);
export const percent = (rate: string | number | null | undefined) =>
  rate === null || rate === undefined ? '–' : percentFormat.format(Number(rate));

const sizes = ['bytes', 'kB', 'MB', 'GB'];
export function bytes(n: number): string {
  let at = 0;
  let size = n;
  for (; size >= 1000 && at < sizes.length - 1; at++) size /= 1000;
  return `${at === 0 ? size : size.toFixed(1)} ${sizes[at]}`;
}

// Text of a value of JSON, for people.
export const text = (value: unknown): string =>
  value === null || value === undefined ? '–' :
    typeof value === 'string' ? value : JSON.stringify(value);
