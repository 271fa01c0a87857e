// Endpoints: what they are owed, what was tried, and what an admin can do about it.
import { useState } from 'preact/hooks';
import { announce } from './announce';
import { ask, organizationPath, type Session } from './api';
import { count } from './format';
import { useLoad } from './load';
import { address, go, type Route } from './route';
import { TypeChoice } from './type_choice';
import { Answer, Badge, Confirm, Dialog, Empty, Failure, Field, Heading, LongText, Scroll, ShownOnce, Text, Time, useAction, useNow } from './ui';

interface Endpoint {
  id: string; url: string; eventTypes: string[]; description: string | null; enabled: boolean; status: string; reason?: string | null;
  secretHint: string | null; createdAt: string; failures?: number; failingSince?: string | null; nextProbeAt?: string | null; lastSuccessAt?: string | null;
}
interface Delivery {
  id: string; webhookId: string; eventId: string; eventType: string; status: string; attempts: number; createdAt: string;
  nextAttemptAt: string | null; responseStatus: number | null; error: string | null;
}
interface Attempt {
  attempt: number; sentAt: string | null; reportedAt: string; responseStatus: number | null; error: string | null;
  durationMs: number | null; responseBody: string | null;
}
interface WholeDelivery extends Delivery { payload: unknown; tries: Attempt[] }
interface Deliveries { items: Delivery[]; total: number; page: number; limit: number }

const may = (session: Session) => session.capabilities.includes('webhooks');

export function WebhooksView({ session, route }: { session: Session; route: Route }) {
  const [, endpoint, delivery] = route.path;
  if (endpoint !== undefined && delivery !== undefined) return <OneDelivery session={session} endpoint={endpoint} id={delivery} />;
  return endpoint === undefined ? <Endpoints session={session} /> : <OneEndpoint session={session} id={endpoint} route={route} />;
}

const kindOf = (status: string) => status === 'active' || status === 'delivered' ? 'good' as const :
  status === 'quarantined' || status === 'failed' ? 'warn' as const :
    status === 'dead' || status === 'disabled' ? 'bad' as const : 'plain' as const;

const State = ({ status }: { status: string }) => <Badge kind={kindOf(status)}>{status.replace('_', ' ')}</Badge>;

function why(endpoint: Endpoint): string {
  if (endpoint.status === 'disabled') return endpoint.reason ?? 'switched off';
  if (endpoint.failures) return `${count(endpoint.failures)} failures in a row`;
  return '';
}

const Types = ({ types }: { types: string[] }) => types.length === 0 ? <span class="quiet">all</span> : <Text><code>{types.join(', ')}</code></Text>;

const ReadOnly = () => <p class="state">You can see the webhooks, but not change them: that takes an admin of the organization.</p>;

function Endpoints({ session }: { session: Session }) {
  const path = organizationPath(session, 'webhooks');
  const endpoints = useLoad((signal) => ask<Endpoint[]>('GET', path, { signal }), [session]);
  const [editing, setEditing] = useState(false);
  const [secret, setSecret] = useState<string | null>(null);
  const now = useNow();
  const canWrite = may(session);
  const example = `curl -X POST ${location.origin}/api/v1/${path} \\\n  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n  -d '{"url": "https://example.com/hook", "eventTypes": ["credit.*"]}'`;
  return (
    <>
      <div class="title">
        <Heading title="Webhooks">Webhooks</Heading>
        {canWrite && <span class="buttons"><button type="button" class="primary" onClick={() => setEditing(true)}>Add an endpoint</button></span>}
      </div>
      {!canWrite && <ReadOnly />}
      <Answer of={endpoints} what="endpoints">{(list) => list.length === 0 ?
        <Empty code={canWrite ? example : undefined}>No endpoint yet. Each event is sent to every endpoint that asks for it, signed, and tried for three days.</Empty> : (
          <Scroll label="Endpoints">
            <table>
              <thead><tr><th scope="col">Endpoint</th><th scope="col">State</th><th scope="col">Events</th><th scope="col">Last success</th><th scope="col">Made</th></tr></thead>
              <tbody>{list.map((endpoint) => (
                <tr key={endpoint.id}>
                  <th scope="row"><a href={address(`webhooks/${endpoint.id}`)}><Text>{endpoint.url}</Text></a>
                    {endpoint.description && <div class="quiet"><Text>{endpoint.description}</Text></div>}</th>
                  <td><State status={endpoint.status} /> <span class="quiet">{why(endpoint)}</span></td>
                  <td><Types types={endpoint.eventTypes} /></td>
                  <td><Time value={endpoint.lastSuccessAt} now={now} /></td>
                  <td><Time value={endpoint.createdAt} now={now} /></td>
                </tr>
              ))}</tbody>
            </table>
          </Scroll>
        )}</Answer>
      {editing && <EndpointForm session={session} onClose={() => setEditing(false)}
        onMade={(made) => { setEditing(false); setSecret(made); endpoints.reload(); }} />}
      {secret !== null && <ShownOnce title="The endpoint's secret" secret={secret} onClose={() => setSecret(null)}>
        <p>The receiver verifies each request with it, by any Standard Webhooks library.</p></ShownOnce>}
    </>
  );
}

function EndpointForm({ session, endpoint, onClose, onMade }:
  { session: Session; endpoint?: Endpoint; onClose: () => void; onMade: (secret: string | null) => void }) {
  const [url, setUrl] = useState(endpoint?.url ?? '');
  const [types, setTypes] = useState(endpoint?.eventTypes ?? []);
  const [description, setDescription] = useState(endpoint?.description ?? '');
  const [busy, error, run] = useAction();
  const send = (event: Event) => {
    event.preventDefault();
    run(async () => {
      const body = { url, eventTypes: types, description };
      const path = organizationPath(session, 'webhooks');
      const made = endpoint ? await ask<{ secret?: string }>('PATCH', `${path}/${endpoint.id}`, { body }) :
        await ask<{ secret?: string }>('POST', path, { body });
      onMade(made.secret ?? null);
    });
  };
  return (
    <Dialog title={endpoint ? 'Change the endpoint' : 'Add an endpoint'} onClose={onClose}>
      <form onSubmit={send}>
        <Field label="URL" hint="https, to a public host">{(id, described) =>
          <input id={id} aria-describedby={described} type="url" required maxLength={2048} value={url} onInput={(event) => setUrl(event.currentTarget.value)} />}</Field>
        <TypeChoice session={session} chosen={types} onChange={setTypes} />
        <Field label="Description">{(id) =>
          <input id={id} maxLength={500} value={description} onInput={(event) => setDescription(event.currentTarget.value)} />}</Field>
        {error && <Failure error={error} />}
        <p class="buttons"><button type="submit" class="primary" disabled={busy}>{endpoint ? 'Save' : 'Add'}</button></p>
      </form>
    </Dialog>
  );
}

function OneEndpoint({ session, id, route }: { session: Session; id: string; route: Route }) {
  const path = organizationPath(session, `webhooks/${encodeURIComponent(id)}`);
  const endpoint = useLoad((signal) => ask<Endpoint>('GET', path, { signal }), [id]);
  const now = useNow();
  return (
    <>
      <p><a href={address('webhooks')}>All endpoints</a></p>
      <Heading title="Endpoint">Endpoint</Heading>
      <Answer of={endpoint} what="the endpoint">{(it) => (
        <>
          <dl class="facts">
            <dt>URL</dt><dd><Text>{it.url}</Text></dd>
            {it.description && <><dt>Description</dt><dd><Text>{it.description}</Text></dd></>}
            <dt>State</dt><dd><State status={it.status} /> {why(it)}{it.status === 'quarantined' && <> – tried again <Time value={it.nextProbeAt} now={now} />, and all of it follows once that succeeds</>}</dd>
            <dt>Events</dt><dd><Types types={it.eventTypes} /></dd>
            <dt>Secret</dt><dd>{it.secretHint ? <code>whsec_…{it.secretHint}</code> : '–'}</dd>
            <dt>Last success</dt><dd><Time value={it.lastSuccessAt} now={now} /></dd>
          </dl>
          {may(session) ? <EndpointActions session={session} path={path} endpoint={it} onChange={endpoint.reload} /> : <ReadOnly />}
        </>
      )}</Answer>
      <DeliveryList session={session} id={id} path={path} route={route} />
    </>
  );
}

type Asking = 'rotate' | 'delete' | 'edit' | 'recover' | 'replay' | null;

function EndpointActions({ session, path, endpoint, onChange }: { session: Session; path: string; endpoint: Endpoint; onChange: () => void }) {
  const [asking, setAsking] = useState<Asking>(null);
  const [secret, setSecret] = useState<string | null>(null);
  const [said, setSaid] = useState('');
  const [busy, error, run] = useAction();
  const say = (words: string) => { setSaid(words); announce(words); };
  const done = () => setAsking(null);
  return (
    <>
      <p class="buttons">
        <button type="button" disabled={busy || !endpoint.enabled} onClick={() => run(async () => { await ask('POST', `${path}/test`); say('A test message is on its way.'); onChange(); })}>Send a test</button>
        <button type="button" disabled={busy} onClick={() => setAsking('edit')}>Change</button>
        <button type="button" disabled={busy} onClick={() => run(async () => {
          await ask('PATCH', path, { body: { enabled: !endpoint.enabled } });
          say(endpoint.enabled ? 'Switched off; what it is owed waits.' : 'Switched on.');
          onChange();
        })}>{endpoint.enabled ? 'Switch off' : 'Switch on'}</button>
        <button type="button" disabled={busy} onClick={() => setAsking('recover')}>Recover</button>
        <button type="button" disabled={busy} onClick={() => setAsking('replay')}>Replay</button>
        <button type="button" disabled={busy} onClick={() => setAsking('rotate')}>Rotate the secret</button>
        <button type="button" class="danger" disabled={busy} onClick={() => setAsking('delete')}>Delete</button>
      </p>
      {said && <p>{said}</p>}
      {error && <Failure error={error} />}
      {asking === 'edit' && <EndpointForm session={session} endpoint={endpoint} onClose={done} onMade={() => { done(); onChange(); }} />}
      {(asking === 'recover' || asking === 'replay') && <Again path={path} what={asking} onClose={done} onDone={(words) => { done(); say(words); onChange(); }} />}
      {asking === 'rotate' && (
        <Confirm title="Rotate the secret" action="Rotate" onClose={done}
          onYes={async () => { setSecret((await ask<{ secret: string }>('POST', `${path}/rotate-secret`)).secret); onChange(); }}>
          <p>The old secret stops signing at once: the receiver must have the new one.</p>
        </Confirm>
      )}
      {asking === 'delete' && (
        <Confirm title="Delete the endpoint" action="Delete" onClose={done}
          onYes={async () => { await ask('DELETE', path); announce('Deleted'); go(address('webhooks')); }}>
          <p>What it is still owed is not sent. What was tried stays in the log.</p>
        </Confirm>
      )}
      {secret !== null && <ShownOnce title="The endpoint's new secret" secret={secret} onClose={() => setSecret(null)}>{null}</ShownOnce>}
    </>
  );
}

function Again({ path, what, onClose, onDone }: { path: string; what: 'recover' | 'replay'; onClose: () => void; onDone: (words: string) => void }) {
  const [days, setDays] = useState('1');
  const [busy, error, run] = useAction();
  const send = (event: Event) => {
    event.preventDefault();
    run(async () => {
      const from = new Date(Date.now() - Number(days) * 86_400_000).toISOString();
      const told = await ask<{ deliveries: number }>('POST', `${path}/${what}`, { body: { from } });
      onDone(`${count(told.deliveries)} deliveries will be sent.`);
    });
  };
  return (
    <Dialog title={what === 'recover' ? 'Recover' : 'Replay'} onClose={onClose}>
      <form onSubmit={send}>
        <p>{what === 'recover' ? 'Sends the events of that time which were not delivered.' : 'Sends all events of that time, delivered or not.'}</p>
        <Field label="Days back">{(id) => <input id={id} type="number" min={1} max={365} required value={days} onInput={(event) => setDays(event.currentTarget.value)} />}</Field>
        {error && <Failure error={error} />}
        <p class="buttons"><button type="submit" class="primary" disabled={busy}>{what === 'recover' ? 'Recover' : 'Replay'}</button></p>
      </form>
    </Dialog>
  );
}

const statuses = ['pending', 'in_flight', 'delivered', 'failed', 'dead'];

function DeliveryList({ session, id, path, route }: { session: Session; id: string; path: string; route: Route }) {
  const status = route.query.get('status') ?? '';
  const page = Math.max(1, Math.trunc(Number(route.query.get('page') ?? 1)) || 1);
  const deliveries = useLoad((signal) => ask<Deliveries>('GET', `${path}/deliveries`, { signal, query: { status, page, limit: 50 } }), [id, status, page]);
  const now = useNow();
  const show = (query: object) => go(address(`webhooks/${encodeURIComponent(id)}`, { status, ...query }));
  return (
    <section aria-labelledby="deliveries">
      <div class="title">
        <h2 id="deliveries">Deliveries</h2>
        <span class="buttons">
          <select aria-label="State of deliveries" class="small" value={status} onChange={(event) => show({ status: event.currentTarget.value })}>
            <option value="">All</option>
            {statuses.map((one) => <option key={one} value={one}>{one.replace('_', ' ')}</option>)}
          </select>
          <button type="button" class="small" onClick={deliveries.reload}>Refresh</button>
        </span>
      </div>
      <Answer of={deliveries} what="deliveries">{(data) => data.items.length === 0 ?
        <Empty>{status === '' ? 'Nothing has been owed to this endpoint yet.' : 'No delivery is in this state.'}</Empty> : (
          <>
            <Scroll label="Deliveries">
              <table>
                <thead><tr><th scope="col">When</th><th scope="col">Event</th><th scope="col">State</th><th scope="col" class="number">Attempts</th><th scope="col">Answer</th><th scope="col">Next attempt</th>{may(session) && <th scope="col"><span class="unseen">Do</span></th>}</tr></thead>
                <tbody>{data.items.map((delivery) => (
                  <tr key={delivery.id}>
                    <td><Time value={delivery.createdAt} now={now} /></td>
                    <th scope="row"><a href={address(`webhooks/${encodeURIComponent(id)}/${delivery.id}`)}><code>{delivery.eventType}</code></a></th>
                    <td><State status={delivery.status} /></td>
                    <td class="number">{delivery.attempts}</td>
                    <td>{delivery.responseStatus ?? ''} <LongText class="quiet" value={delivery.error ?? ''} /></td>
                    <td><Time value={delivery.nextAttemptAt} now={now} /></td>
                    {may(session) && <td><Retry session={session} delivery={delivery} onDone={deliveries.reload} /></td>}
                  </tr>
                ))}</tbody>
              </table>
            </Scroll>
            {data.total > data.limit && (
              <nav class="pager" aria-label="Pages of deliveries">
                <button type="button" disabled={page <= 1} onClick={() => show({ page: page - 1 })}>Newer</button>
                <span>Page {count(page)} of {count(Math.ceil(data.total / data.limit))}</span>
                <button type="button" disabled={page * data.limit >= data.total} onClick={() => show({ page: page + 1 })}>Older</button>
              </nav>
            )}
          </>
        )}</Answer>
    </section>
  );
}

function Retry({ session, delivery, onDone }: { session: Session; delivery: Delivery; onDone: () => void }) {
  const [busy, error, run] = useAction();
  return (
    <>
      <button type="button" class="small" disabled={busy || delivery.status === 'in_flight'} aria-label={`Retry ${delivery.eventType}`}
        onClick={() => run(async () => {
          await ask('POST', organizationPath(session, `webhooks/deliveries/${delivery.id}/retry`));
          announce('It is sent again');
          onDone();
        })}>Retry</button>
      {error && <Failure error={error} />}
    </>
  );
}

function OneDelivery({ session, endpoint, id }: { session: Session; endpoint: string; id: string }) {
  const delivery = useLoad((signal) =>
    ask<WholeDelivery>('GET', organizationPath(session, `webhooks/deliveries/${encodeURIComponent(id)}`), { signal }), [id]);
  const now = useNow();
  return (
    <>
      <p><a href={address(`webhooks/${encodeURIComponent(endpoint)}`)}>The endpoint</a></p>
      <Heading title="Delivery">Delivery</Heading>
      <Answer of={delivery} what="the delivery">{(it) => (
        <>
          <dl class="facts">
            <dt>Event</dt><dd><a href={address('events', { open: it.eventId, type: it.eventType === 'webhook.test' ? '' : it.eventType })}><code>{it.eventType}</code></a> <Text class="quiet">{it.eventId}</Text></dd>
            <dt>State</dt><dd><State status={it.status} /></dd>
            <dt>Owed since</dt><dd><Time value={it.createdAt} now={now} /></dd>
            {it.nextAttemptAt && <><dt>Next attempt</dt><dd><Time value={it.nextAttemptAt} now={now} /></dd></>}
          </dl>
          {may(session) && <p class="buttons"><Retry session={session} delivery={it} onDone={delivery.reload} /></p>}
          <h2>What is sent</h2>
          <Scroll label="Payload"><pre class="text">{typeof it.payload === 'string' ? it.payload : JSON.stringify(it.payload ?? null, null, 2)}</pre></Scroll>
          <h2>Attempts</h2>
          {it.tries.length === 0 ? <Empty>None was made yet.</Empty> : (
            <Scroll label="Attempts">
              <table>
                <thead><tr><th scope="col" class="number">Attempt</th><th scope="col">Sent</th><th scope="col" class="number">Took, ms</th><th scope="col">Answer</th><th scope="col">Body of the answer</th></tr></thead>
                <tbody>{it.tries.map((attempt) => (
                  <tr key={`${attempt.attempt} ${attempt.reportedAt}`}>
                    <th scope="row" class="number">{attempt.attempt}</th>
                    <td><Time value={attempt.sentAt ?? attempt.reportedAt} now={now} /></td>
                    <td class="number">{attempt.durationMs === null ? '–' : count(Math.round(attempt.durationMs))}</td>
                    <td>{attempt.responseStatus ?? ''} <LongText value={attempt.error ?? ''} /></td>
                    <td><LongText value={attempt.responseBody ?? ''} /></td>
                  </tr>
                ))}</tbody>
              </table>
            </Scroll>
          )}
        </>
      )}</Answer>
    </>
  );
}
