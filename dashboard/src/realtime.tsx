// One's own connection secrets, how to connect, and the stream as it comes.
import { Component } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ask, organizationPath, type Session } from './api';
import { plural } from './format';
import { useLive, type Frame } from './live';
import { LiveBadge } from './live_state';
import { useLoad } from './load';
import { Answer, Badge, Confirm, Empty, Failure, Field, Heading, Scroll, ShownOnce, Snippet, Text, Time, useAction, useNow } from './ui';
import { Subject, Who } from './events';

interface Secret { id: string; label: string | null; lastFour: string; createdAt: string; lastUsedAt: string | null; status: string }
interface NewSecret extends Secret { secret: string }

export function RealtimeView({ session }: { session: Session }) {
  return (
    <>
      <Heading title="Realtime">Realtime</Heading>
      <Tail session={session} />
      <Secrets session={session} />
      <Guide session={session} />
    </>
  );
}

const kept = 200; // rows of the tail
const mostAFrame = 20; // rows that a frame of the screen adds, so that it stays short

function Tail({ session }: { session: Session }) {
  const [frames, setFrames] = useState<Frame[]>([]);
  const [number, setNumber] = useState(0);
  const [paused, setPaused] = useState(false);
  const waiting = useRef<Frame[]>([]); // oldest first; older than would be kept are only counted
  const request = useRef(0);
  const now = useNow(10_000);
  const show = () => {
    request.current = 0;
    const more = waiting.current.splice(0, mostAFrame).reverse();
    if (more.length > 0) setFrames((old) => [...more, ...old].slice(0, kept));
    if (waiting.current.length > 0) request.current = window.requestAnimationFrame(show);
  };
  const take = (more: Frame[]) => {
    setNumber((n) => n + more.length);
    waiting.current = [...waiting.current, ...more].slice(-kept);
    if (!paused && request.current === 0) request.current = window.requestAnimationFrame(show);
  };
  useEffect(() => () => window.cancelAnimationFrame(request.current), []);
  const state = useLive(session, take, () => setFrames([]));
  const toggle = () => {
    if (paused) show();
    else window.cancelAnimationFrame(request.current);
    if (!paused) request.current = 0;
    setPaused(!paused);
  };
  return (
    <section aria-labelledby="tail">
      <div class="title">
        <h2 id="tail">Live tail</h2>
        <span class="buttons"><LiveBadge state={state} /> <span class="quiet number">{plural(number, 'event')} since you came</span>
          <button type="button" class="small" aria-pressed={paused} onClick={toggle}>{paused ? 'Go on' : 'Pause'}</button></span>
      </div>
      {frames.length === 0 ? <p class="state empty">Nothing yet. Whatever is recorded from now on comes here at once.</p> : (
        <Scroll label="Live tail">
          <table class="events tail">
            <thead><tr><th scope="col">Position</th><th scope="col">When</th><th scope="col">Who</th><th scope="col">Action</th><th scope="col">Description</th><th scope="col">Subject</th></tr></thead>
            <tbody>{frames.map((frame) => <TailRow key={frame.cursor} frame={frame} now={now} />)}</tbody>
          </table>
        </Scroll>
      )}
    </section>
  );
}

// A row is drawn once, and again when the time has gone on.
class TailRow extends Component<{ frame: Frame; now: number }> {
  override shouldComponentUpdate(next: { frame: Frame; now: number }) {
    return next.frame !== this.props.frame || next.now !== this.props.now;
  }

  override render() {
    const { frame, now } = this.props;
    return (
      <tr>
        <td class="number">{frame.position}</td>
        <td><Time value={frame.event.occurredAt} now={now} /></td>
        <td class="who"><Who event={frame.event} /></td>
        <td><code>{frame.event.eventType}</code></td>
        <td class="description"><Text>{(frame.event.description ?? '').slice(0, 300)}</Text></td>
        <td class="subject"><Subject event={frame.event} /></td>
      </tr>
    );
  }
}

function Secrets({ session }: { session: Session }) {
  const path = organizationPath(session, 'realtime/secrets');
  const secrets = useLoad((signal) => ask<Secret[]>('GET', path, { signal }), [session]);
  const [label, setLabel] = useState('');
  const [shown, setShown] = useState<string | null>(null);
  const [asking, setAsking] = useState<{ secret: Secret; to: 'rotate' | 'revoke' } | null>(null);
  const [busy, error, run] = useAction();
  const now = useNow();
  const create = (event: Event) => {
    event.preventDefault();
    run(async () => {
      const made = await ask<NewSecret>('POST', path, { body: { label: label.trim() } });
      setLabel('');
      setShown(made.secret);
      secrets.reload();
    });
  };
  const confirmed = async () => {
    const { secret, to } = asking!;
    if (to === 'revoke') await ask('DELETE', `${path}/${secret.id}`);
    else setShown((await ask<NewSecret>('POST', `${path}/${secret.id}/rotate`)).secret);
    secrets.reload();
  };
  return (
    <section aria-labelledby="secrets">
      <h2 id="secrets">Your connection secrets</h2>
      <Answer of={secrets} what="secrets">{(list) => list.length === 0 ?
        <Empty>You have no secret yet. One is needed wherever this page is not: in a script, a server, an app.</Empty> : (
          <Scroll label="Connection secrets">
            <table>
              <thead><tr><th scope="col">Label</th><th scope="col">Ends in</th><th scope="col">State</th><th scope="col">Made</th><th scope="col">Last used</th><th scope="col"><span class="unseen">Do</span></th></tr></thead>
              <tbody>{list.map((secret) => (
                <tr key={secret.id}>
                  <th scope="row"><Text>{secret.label ?? '–'}</Text></th>
                  <td><code>…{secret.lastFour}</code></td>
                  <td><Badge kind={secret.status === 'active' ? 'good' : 'plain'}>{secret.status}</Badge></td>
                  <td><Time value={secret.createdAt} now={now} /></td>
                  <td><Time value={secret.lastUsedAt} now={now} /></td>
                  <td class="buttons">{secret.status === 'active' && (
                    <>
                      <button type="button" class="small" aria-label={`Rotate ${secret.label}`} onClick={() => setAsking({ secret, to: 'rotate' })}>Rotate</button>
                      <button type="button" class="small" aria-label={`Revoke ${secret.label}`} onClick={() => setAsking({ secret, to: 'revoke' })}>Revoke</button>
                    </>
                  )}</td>
                </tr>
              ))}</tbody>
            </table>
          </Scroll>
        )}</Answer>
      <form class="inline" onSubmit={create}>
        <Field label="Label of a new secret">{(id) =>
          <input id={id} required maxLength={80} value={label} onInput={(event) => setLabel(event.currentTarget.value)} />}</Field>
        <button type="submit" class="primary" disabled={busy || label.trim() === ''}>Make a secret</button>
      </form>
      {error && <Failure error={error} />}
      {shown !== null && <ShownOnce title="Your secret" secret={shown} onClose={() => setShown(null)}>{null}</ShownOnce>}
      {asking && (
        <Confirm title={`${asking.to === 'rotate' ? 'Rotate' : 'Revoke'} a secret`} action={asking.to === 'rotate' ? 'Rotate' : 'Revoke'} onYes={confirmed} onClose={() => setAsking(null)}>
          <p>Whoever is connected with <Text>{asking.secret.label ?? `…${asking.secret.lastFour}`}</Text> is cut off within a second.</p>
        </Confirm>
      )}
    </section>
  );
}

function Guide({ session }: { session: Session }) {
  const url = new URL(`api/v1/${organizationPath(session, 'stream')}`, location.href);
  url.hash = '';
  const socket = url.href.replace(/^http/, 'ws');
  return (
    <section aria-labelledby="guide">
      <h2 id="guide">Connect</h2>
      <p>Keep the cursor of what you have handled, and pass it the next time: nothing is skipped.</p>
      <h3>curl</h3>
      <Snippet label="curl" code={`curl -N -H "Authorization: Bearer $SECRET" -H "Accept: text/event-stream" \\\n  "${url.href}?cursor=earliest"`} />
      <h3>JavaScript</h3>
      <Snippet label="JavaScript" code={`const socket = new WebSocket('${socket}',\n  ['activity.v1', 'activity.auth.' + secret]);\nsocket.onopen = () => socket.send(JSON.stringify({ op: 'subscribe', cursor, types: ['credit.*'] }));\nsocket.onmessage = ({ data }) => {\n  const frame = JSON.parse(data);\n  if (frame.op === 'event') handle(frame.event);\n  if (frame.cursor) keep(frame.cursor);\n};`} />
    </section>
  );
}
