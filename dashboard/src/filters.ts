// The filters of events, as they stand in the address and as the API takes them.
import type { Query } from './api';

export interface Filters {
  types: string[]; // keys and families: `credit.charge`, `credit.*`
  actor: string;
  subject: string;
  onBehalfOf: string;
  from: string; // as a date field has it: 2026-11-30, of the reader's zone, or a whole time
  to: string; // inclusive if it is a date
  text: string;
}

export const noFilters: Filters = { types: [], actor: '', subject: '', onBehalfOf: '', from: '', to: '', text: '' };

export const filtersOf = (query: URLSearchParams): Filters => ({
  types: (query.get('type') ?? '').split(',').filter((type) => type !== ''),
  actor: query.get('actor') ?? '',
  subject: query.get('subject') ?? '',
  onBehalfOf: query.get('onBehalfOf') ?? '',
  from: query.get('from') ?? '',
  to: query.get('to') ?? '',
  text: query.get('q') ?? '',
});

export const toAddress = (filters: Partial<Filters>): Query => ({
  type: filters.types, actor: filters.actor, subject: filters.subject, onBehalfOf: filters.onBehalfOf,
  from: filters.from, to: filters.to, q: filters.text,
});

const isDay = (value: string) => /^\d{4}-\d{2}-\d{2}$/.test(value);

// The instant at which a day begins in the reader's zone, or so many days later.
const startOf = (date: string, later = 0): string | undefined => {
  const [year = 0, month = 1, day = 1] = date.split('-').map(Number);
  const start = new Date(year, month - 1, day + later);
  start.setFullYear(year, month - 1, day + later);
  return Number.isNaN(start.getTime()) ? undefined : start.toISOString();
};

export const timesOf = (filters: Filters) => ({
  from: (isDay(filters.from) ? startOf(filters.from) : filters.from) || undefined,
  to: (isDay(filters.to) ? startOf(filters.to, 1) : filters.to) || undefined,
});

export const toApi = (filters: Filters): Query => ({
  eventType: filters.types, actorUserId: filters.actor, subject: filters.subject, onBehalfOf: filters.onBehalfOf,
  ...timesOf(filters),
  search: filters.text.trim(),
});

export const areNone = (filters: Filters) =>
  Object.values(filters).every((value) => value.length === 0);
