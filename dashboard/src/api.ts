// The HTTP API as the views ask it. Shapes are those of docs/http.md; nothing is
// computed here that the database did not say.

export interface Person { kind: string; id: string | null; name: string | null }

export interface ActivityEvent {
  id: string;
  eventType: string;
  category: string;
  action: string;
  actorUserId: string | null;
  actor: Person | null;
  onBehalfOf: Person | null;
  subject: Record<string, unknown> | null;
  metadata: Record<string, unknown> | null;
  description: string | null;
  context: Record<string, unknown> | null;
  occurredAt: string;
  recordedAt: string;
}

export interface Problem {
  status: number;
  code: string;
  message: string;
  detail?: string;
  hint?: string;
  parameter?: string;
}

export class ApiError extends Error {
  constructor(readonly problem: Problem, readonly retryAfter: number | null) {
    super(problem.message);
  }
  get status() { return this.problem.status; }
  get code() { return this.problem.code; }
}

export const lostConnection = (error: unknown) =>
  error instanceof ApiError && (error.status === 0 || error.status === 503);

export type Query = Record<string, string | number | string[] | null | undefined>;

export const search = (query: Query): string => {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === '') continue;
    if (Array.isArray(value)) {
      if (value.length > 0) pairs.set(name, value.join(','));
    } else pairs.set(name, String(value));
  }
  const text = pairs.toString();
  return text === '' ? '' : `?${text}`;
};

// Whoever must know that the session is over, or another's.
let onSessionEnd: (error: ApiError) => void = () => {};
export const whenSessionEnds = (call: typeof onSessionEnd) => { onSessionEnd = call; };

async function problemOf(response: Response): Promise<ApiError> {
  const after = Number(response.headers.get('retry-after'));
  let problem: Problem = { status: response.status, code: 'unexpected', message: `the server answered ${response.status}` };
  try {
    problem = { ...problem, ...await response.json() as Problem, status: response.status };
  } catch { /* not from the API: a proxy's own page */ }
  return new ApiError(problem, Number.isFinite(after) && after > 0 ? after : null);
}

export interface Options { query?: Query; body?: unknown; signal?: AbortSignal; headers?: Record<string, string> }

// The raw answer; throws an ApiError for whatever is not 2xx. A page of another
// origin can't send the header, so it can't write with the session's cookie.
export async function fetchApi(method: string, path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { 'X-Activity-Request': '1', ...options.headers };
  if (options.body !== undefined) headers['Content-Type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(`api/v1/${path}${search(options.query ?? {})}`, {
      method, headers, signal: options.signal, credentials: 'same-origin', cache: 'no-cache',
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError({ status: 0, code: 'offline', message: 'the server can\'t be reached' }, null);
  }
  if (response.ok) return response;
  const error = await problemOf(response);
  if ((error.status === 401 || error.code === 'wrong_organization') && path !== 'session') onSessionEnd(error);
  throw error;
}

// A number of more digits than a double has stays what was written, as text.
const exactly = (_key: string, value: unknown, context?: { source?: string }) =>
  typeof value === 'number' && context?.source !== undefined && String(value) !== context.source ? context.source : value;

export const parse = (text: string): unknown => JSON.parse(text, exactly as (key: string, value: unknown) => unknown);

export async function ask<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const response = await fetchApi(method, path, options);
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  return (text === '' ? undefined : parse(text)) as T;
}

// Answers in lines, as they come: those of each piece together.
export async function askLines<T>(path: string, options: Options, take: (lines: T[]) => void): Promise<void> {
  const response = await fetchApi('GET', path, options);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new ApiError({ status: 0, code: 'broken_off', message: 'the answer broke off' }, null);
    }
    if (piece.done) return;
    const lines = (rest + piece.value).split('\n');
    rest = lines.pop()!;
    if (lines.length > 0) take(lines.map((line) => parse(line) as T));
  }
}

export interface Session {
  organization: string;
  member: string;
  capabilities: string[];
  tier: string;
  expiresAt: string;
}

export const organizationPath = (session: Session, path: string) =>
  `organizations/${encodeURIComponent(session.organization)}/${path}`;
