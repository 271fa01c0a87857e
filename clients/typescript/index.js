// A client of activity's HTTP API. Nothing but what Node.js 20 and browsers have.

/** What the API, or the way to it, refused. */
export class ActivityError extends Error {
  constructor(problem, retryAfter) {
    super(problem.message);
    this.name = 'ActivityError';
    Object.assign(this, { status: problem.status, code: problem.code, parameter: problem.parameter, hint: problem.hint, retryAfter });
  }
}

/** The cursor can't be continued: expired, epoch or future. */
export class StreamReset extends Error {
  constructor(reason, earliest) {
    super(`the stream can't be continued from this cursor: ${reason}`);
    this.name = 'StreamReset';
    Object.assign(this, { reason, earliest });
  }
}

const query = (parameters) => {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters ?? {})) {
    if (value === undefined || value === null) continue;
    search.append(name, Array.isArray(value) ? value.join(',') : value instanceof Date ? value.toISOString() : String(value));
  }
  const text = search.toString();
  return text ? `?${text}` : '';
};

const pause = (milliseconds, signal) => new Promise((resolve) => {
  const done = () => { clearTimeout(timer); signal?.removeEventListener('abort', done); resolve(); };
  const timer = setTimeout(done, milliseconds);
  signal?.addEventListener('abort', done);
});

export class Activity {
  constructor({ baseUrl, organization, token, fetch: own }) {
    this.base = `${baseUrl.replace(/\/+$/, '')}/api/v1`;
    this.organization = organization;
    this.token = token;
    this.fetch = own ?? globalThis.fetch.bind(globalThis);
  }

  get headers() { return this.token ? { authorization: `Bearer ${this.token}` } : { 'x-activity-request': '1' }; }

  /** Any call below the organization; path begins with a slash. */
  async request(method, path, { query: parameters, body, headers, signal } = {}) {
    const response = await this.fetch(`${this.base}/organizations/${encodeURIComponent(this.organization)}${path}${query(parameters)}`, {
      method, signal, headers: { ...this.headers, ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!response.ok) throw await problem(response);
    const text = await response.text();
    return text === '' ? undefined : JSON.parse(text);
  }

  /** One page, by number or cursor. */
  page(filters, options) { return this.request('GET', '/activity', { query: filters, ...options }); }

  /** Every event that the filters take, newest first, page by page. */
  async *events(filters = {}, options) {
    let before = filters.before;
    for (;;) {
      const page = await this.page({ limit: 200, ...filters, page: undefined, before, count: false }, options);
      yield* page.items;
      if (!page.hasMore || !page.nextCursor) return;
      before = page.nextCursor;
    }
  }

  event(id, options) { return this.request('GET', `/activity/${encodeURIComponent(id)}`, options); }

  record(event, { idempotencyKey, ...options } = {}) {
    return this.request('POST', '/activity', { body: event, headers: idempotencyKey ? { 'idempotency-key': idempotencyKey } : {}, ...options });
  }

  /**
   * Events as they happen. It connects again by itself and goes on after the last event.
   * onCursor gets the cursor of each event once the loop has come back for the next.
   */
  async *stream({ cursor, types, onCursor, signal } = {}) {
    let failures = 0;
    while (!signal?.aborted) {
      try {
        for await (const frame of this.#frames(cursor, types, signal)) {
          failures = 0;
          if (frame.op === 'reset') throw new StreamReset(frame.reason, frame.earliest);
          if (frame.op === 'event') yield frame.event;
          if (frame.cursor) {
            cursor = frame.cursor;
            await onCursor?.(cursor);
          }
        }
      } catch (error) {
        if (signal?.aborted) return;
        if (error instanceof StreamReset) throw error;
        if (error instanceof ActivityError && error.status < 500 && error.status !== 429) throw error;
        failures += 1;
        await pause(Math.min(30000, (error.retryAfter ?? 0.25) * 1000 * 2 ** Math.min(failures, 7)) * (0.5 + Math.random() / 2), signal);
      }
    }
  }

  async *#frames(cursor, types, signal) {
    const target = `${this.base}/organizations/${encodeURIComponent(this.organization)}/stream${query({ cursor, types })}`;
    const response = await this.fetch(target, { signal, headers: { ...this.headers, accept: 'text/event-stream' } });
    if (!response.ok) throw await problem(response);
    const decoder = new TextDecoder();
    let text = '';
    const reader = response.body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        text += decoder.decode(value, { stream: true });
        const parts = text.split('\n\n');
        text = parts.pop();
        for (const part of parts) {
          const data = part.split('\n').filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trimStart()).join('\n');
          if (data) yield JSON.parse(data);
        }
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }
}

async function problem(response) {
  const told = await response.json().catch(() => null);
  const retryAfter = Number(response.headers.get('retry-after') ?? NaN);
  return new ActivityError({ status: response.status, code: 'unknown', message: `HTTP ${response.status}`, ...told }, Number.isNaN(retryAfter) ? undefined : retryAfter);
}

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

/**
 * The message that a webhook brought, if it was signed with this secret within tolerance
 * seconds; throws otherwise. body is the text as it came.
 */
export async function verifyWebhook(headers, body, secret, { tolerance = 300, now = Date.now() / 1000 } = {}) {
  const field = (name) => (typeof headers.get === 'function' ? headers.get(name) : headers[name] ?? headers[name.toLowerCase()]);
  const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(field);
  if (!id || !/^\d+$/.test(timestamp ?? '') || !signatures) throw new Error('the message is not signed');
  if (Math.abs(now - Number(timestamp)) > tolerance) throw new Error('the message is too old, or from the future');
  const key = await crypto.subtle.importKey('raw', bytes(secret.replace(/^whsec_/, '')), { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
  const signed = new TextEncoder().encode(`${id}.${timestamp}.${body}`);
  for (const signature of signatures.split(' ')) {
    const [version, value] = signature.split(',');
    if (version !== 'v1' || !value) continue;
    let given;
    try { given = bytes(value); } catch { continue; }
    if (await crypto.subtle.verify('HMAC', key, given, signed)) return JSON.parse(body);
  }
  throw new Error('the message was not signed with this secret');
}
