import type { Event, EventPage, Filters, NewEvent } from './api.js';

export type * from './api.js';

export class ActivityError extends Error {
  readonly status: number;
  readonly code: string;
  readonly parameter?: string;
  readonly hint?: string;
  /** seconds */
  readonly retryAfter?: number;
}

export class StreamReset extends Error {
  readonly reason: 'expired' | 'epoch' | 'future';
  readonly earliest: number;
}

export interface Options {
  signal?: AbortSignal;
}

export class Activity {
  /** Without a token the session's cookie counts, as in the dashboard. */
  constructor(options: { baseUrl: string; organization: string; token?: string; fetch?: typeof fetch });
  request<T = unknown>(method: string, path: string, options?: Options & { query?: object; body?: unknown; headers?: Record<string, string> }): Promise<T>;
  page(filters?: Filters, options?: Options): Promise<EventPage>;
  events(filters?: Filters, options?: Options): AsyncGenerator<Event, void, void>;
  event(id: string, options?: Options): Promise<Event>;
  record(event: NewEvent, options?: Options & { idempotencyKey?: string }): Promise<Event>;
  stream(options?: Options & {
    /** a cursor, "now" (by default) or "earliest" */
    cursor?: string;
    types?: string[];
    onCursor?: (cursor: string) => void | Promise<void>;
  }): AsyncGenerator<Event, void, void>;
}

export function verifyWebhook(headers: Headers | Record<string, string>, body: string, secret: string,
  options?: { tolerance?: number; now?: number }): Promise<{ type: string; timestamp: string; data: Event }>;
