// The examples of the OpenAPI document: each route asked once, in a database where all is
// known; what is different each time (ids, secrets, the time of day) is replaced. They stand
// in sql/http_example.sql, which UPDATE=1 writes anew.
'use strict';
const { createHash } = require('node:crypto');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const FILE = path.join(__dirname, '../../sql/http_example.sql');
const DATABASE = 'httpexamples';
const sql = (text) => execFileSync('psql', ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', DATABASE], { input: text, encoding: 'utf8' }).trim();
const quote = (text) => `'${text.replaceAll('\'', '\'\'')}'`;

function makeData() {
  execFileSync('createdb', ['--encoding=UTF8', DATABASE]);
  sql(`SET client_min_messages = warning; CREATE EXTENSION activity CASCADE;
    CREATE TABLE memberships (organization_id text, user_id text, role text, created_at timestamptz, PRIMARY KEY (organization_id, user_id));
    SELECT activity.track('memberships', 'membership');
    INSERT INTO memberships VALUES ('acme', 'ann', 'admin', '2026-03-01Z');
    SELECT activity.set_tier('acme', 'enterprise');
    SELECT activity.set_actor('ann', 'user', 'Ann Arbor');
    CREATE FUNCTION happen(at timestamptz, type text, subject jsonb, metadata jsonb DEFAULT NULL) RETURNS uuid LANGUAGE sql AS $$
      SELECT activity.set_actor('ann', 'user', 'Ann Arbor', '{"ip": "203.0.113.7"}');
      SELECT activity.record('acme', type::activity.event_type, subject, metadata, occurred_at => at) $$;
    SELECT happen('2026-03-01 09:00Z', 'auth.signin', '{"kind": "session", "id": "s1"}'),
      happen('2026-03-01 09:05Z', 'plan.purchased', '{"kind": "plan", "id": "p1"}', '{"amount": "49.00", "currency": "eur", "plan_id": "p1", "name": "Pro", "agent_id": "a1", "agent_name": "Shop"}'),
      happen('2026-03-01 09:06Z', 'subscription.active', '{"kind": "subscription", "id": "sub1", "amount": "49.00", "currency": "eur", "interval": "month"}'),
      happen('2026-03-01 10:00Z', 'credit.charge', '{"kind": "job", "id": "j1", "amount": 3}', '{"plan_id": "p1", "plan_name": "Pro"}');
    SELECT activity.place_hold('acme', 'a dispute', subject => 'j1', actor => 'ann');
    SELECT activity.redact('acme', happen('2026-03-01 08:00Z', 'auth.signin', '{"kind": "session", "id": "s0"}'), 'asked for by the person');
    SELECT activity.publish(); SELECT activity.publish()`);
}

// [handler, method, path, query, body]; {…} is what was answered before.
const requests = [
  ['http_memberships', 'GET', '/organizations/my-memberships'],
  ['http_members', 'POST', '/organizations/members', '', { isActive: true, page: 1, offset: 10 }],
  ['http_activity', 'GET', '/activity', 'eventType=credit.*,plan.purchased&from=2026-03-01&to=2026-04-01&limit=2'],
  ['http_record', 'POST', '/activity', '', { eventType: 'credit.charge', subject: { kind: 'job', id: 'j2', amount: 5 }, metadata: { plan_id: 'p1' }, actor: { kind: 'user', id: 'ann', name: 'Ann Arbor' }, occurredAt: '2026-03-01T11:00:00Z' }, 'event'],
  ['http_summary', 'GET', '/activity/summary', 'from=2026-03-01&to=2026-03-02'],
  ['http_types', 'GET', '/activity/types'],
  ['http_checkpoint', 'GET', '/activity/checkpoint'],
  ['http_verify', 'GET', '/activity/verify'],
  ['http_event', 'GET', '/activity/{event}'],
  ['http_position', 'GET', '/activity/{event}/position'],
  ['http_revenue', 'GET', '/analytics/revenue', 'from=2026-03-01&to=2026-03-31'],
  ['http_mrr', 'GET', '/analytics/mrr', 'asOf=2026-03-31'],
  ['http_usage', 'GET', '/analytics/usage', 'from=2026-03-01&to=2026-03-31'],
  ['http_customers', 'GET', '/analytics/customers', 'from=2026-03-01&to=2026-03-31'],
  ['http_conversion', 'GET', '/analytics/conversion', 'from=2026-03-01&to=2026-03-31'],
  ['http_credits_by_member', 'GET', '/analytics/credits-by-member', 'from=2026-03-01&to=2026-03-31'],
  ['http_timeline', 'GET', '/analytics/timeline', 'from=2026-03-01&to=2026-03-02&by=family'],
  ['http_amounts', 'GET', '/analytics/amounts', 'from=2026-03-01&to=2026-03-02&measure=credits_burned'],
  ['http_mrr_timeline', 'GET', '/analytics/mrr-timeline', 'from=2026-03-01&to=2026-03-02'],
  ['http_active_members', 'GET', '/analytics/active-members', 'from=2026-03-01&to=2026-03-02'],
  ['http_holds', 'GET', '/holds'],
  ['http_redactions', 'GET', '/redactions'],
  ['http_secret_create', 'POST', '/realtime/secrets', '', { label: 'laptop' }, 'secret'],
  ['http_secrets', 'GET', '/realtime/secrets'],
  ['http_secret_rotate', 'POST', '/realtime/secrets/{secret}/rotate', '', undefined, 'secret'],
  ['http_secret_revoke', 'DELETE', '/realtime/secrets/{secret}'],
  ['http_webhook_create', 'POST', '/webhooks', '', { url: 'https://example.com/hook', eventTypes: ['credit.*'], description: 'billing' }, 'webhook'],
  ['http_webhook_change', 'PATCH', '/webhooks/{webhook}', '', { eventTypes: ['credit.*', 'plan.purchased'] }],
  ['http_webhook_rotate', 'POST', '/webhooks/{webhook}/rotate-secret', '', { overlapSeconds: 3600 }],
  ['http_webhook', 'GET', '/webhooks/{webhook}'],
  ['http_webhooks', 'GET', '/webhooks'],
  ['http_webhook_test', 'POST', '/webhooks/{webhook}/test', '', undefined, 'delivery'],
  ['http_webhook_replay', 'POST', '/webhooks/{webhook}/replay', '', { from: '2026-03-01T09:30:00Z', to: '2026-03-01T10:30:00Z' }],
  ['http_deliveries', 'GET', '/webhooks/{webhook}/deliveries', 'status=failed'],
  ['http_delivery', 'GET', '/webhooks/deliveries/{delivery}'],
  ['http_delivery_retry', 'POST', '/webhooks/deliveries/{delivery}/retry'],
  ['http_webhook_recover', 'POST', '/webhooks/{webhook}/recover', '', { from: '2026-03-01' }],
  ['http_webhook_delete', 'DELETE', '/webhooks/{webhook}'],
  ['http_session_open', 'POST', '/session', '', { code: '{code}' }, 'session'],
  ['http_session', 'GET', '/session'],
  ['http_session_close', 'DELETE', '/session'],
];

function ask(token, method, target, query, body, cookie) {
  const headers = cookie ? { cookie, 'x-activity-request': '1', 'content-type': 'application/json' } : { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const [status, text, more] = JSON.parse(sql(`SELECT json_build_array(h.status, h.body, h.headers) FROM activity.http(${[method, `/api/v1${target}`, query, JSON.stringify(headers), body === undefined ? '' : JSON.stringify(body)].map(quote).join(', ')}) h`));
  return { status, body: text === '' ? undefined : JSON.parse(text), headers: more };
}

// What is different each time, by what is alike.
class Constants {
  known = new Map();

  constant(value, make) {
    if (!this.known.has(value)) this.known.set(value, make(this.known.size + 1));
    return this.known.get(value);
  }

  of(value, key = '') {
    if (Array.isArray(value)) return value.slice(0, 2).map((one) => this.of(one, key));
    if (value !== null && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, this.of(one, name)]));
    if (/durationMs/.test(key)) return value === null ? null : 42;
    if (typeof value !== 'string') return value;
    if (/lastFour|secretHint/.test(key)) return 'x7Qk';
    if (key === 'cursor') return value.replace(/^\d+/, '1');
    return value
      .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => this.constant(id, (n) => `019ca000-0000-7000-8000-${String(n).padStart(12, '0')}`))
      .replace(/\b[0-9a-f]{64}\b/g, (hash) => this.constant(hash, (n) => createHash('sha256').update(String(n)).digest('hex')))
      .replace(/\b(wss_|whsec_)[\w+/=-]+/g, '$1c2hvd24gb25jZSwga2VlcCBpdA')
      .replace(/^redacted-\w+$|^anon-?\w+$/g, 'somebody')
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/g, (time) => (time.startsWith('2026-03-01') ? time : '2026-03-01T12:00:00.000000Z'));
  }
}

function make() {
  makeData();
  const token = sql(`SELECT token FROM activity.create_token('acme', 'ann', _activity.capabilities(), 'tests')`);
  const named = { code: sql(`SELECT substring(activity.dashboard_link('acme', 'ann') FROM '/enter/(.*)')`) };
  const constants = new Constants();
  const examples = [];
  let cookie;
  for (const [handler, method, target, query = '', body, name] of requests) {
    const fill = (text) => text.replace(/\{(\w+)\}/g, (_, word) => named[word]);
    const full = fill(/^\/(session|organizations)/.test(target) ? target : `/organizations/acme${target}`);
    const sent = body === undefined ? undefined : JSON.parse(fill(JSON.stringify(body)));
    const got = ask(token, method, full, query, sent, cookie);
    if (got.status >= 300) throw new Error(`${method} ${full}: ${got.status} ${JSON.stringify(got.body)}`);
    if (name) named[name] = got.body?.id ?? got.body?.deliveryId;
    if (name === 'event') sql('SELECT activity.publish()');
    if (name === 'session') cookie = got.headers['set-cookie'].split(';')[0];
    if (name === 'delivery') sql(`SELECT activity.report_delivery(delivery_id, attempt, 500, NULL, '42 ms', 'not today') FROM activity.claim_deliveries(10)`);
    const shown = body?.code ? { code: 'from the link' } : body;
    if (shown !== undefined || got.body !== undefined) examples.push([handler, shown, constants.of(got.body)]);
  }
  const row = ([handler, request, answer]) => `\t(${[quote(handler), ...[request, answer].map((one) => (one === undefined ? 'NULL' : quote(JSON.stringify(one))))].join(', ')})`;
  return `-- Examples of the OpenAPI document: what test/http asked and was answered. Made by it, with
-- UPDATE=1, and compared with what is answered now.

CREATE FUNCTION _activity.http_examples() RETURNS TABLE (handler text, request jsonb, answer jsonb)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 50
BEGIN ATOMIC
\tSELECT v.handler, v.request::jsonb, v.answer::jsonb FROM (VALUES
${examples.map(row).join(',\n')}) v (handler, request, answer);
END;
COMMENT ON FUNCTION _activity.http_examples() IS
\t'for each handler a body as it was sent, and as it was answered';
`;
}

module.exports = function examples() {
  const text = make();
  if (process.env.UPDATE) fs.writeFileSync(FILE, text);
  const now = fs.readFileSync(FILE, 'utf8');
  const lines = now.split('\n');
  return { same: text === now, why: text.split('\n').filter((line) => !lines.includes(line)).join('\n') };
};
if (require.main === module) {
  const { same, why } = module.exports();
  if (!same) { console.error(why); process.exitCode = 1; }
}
