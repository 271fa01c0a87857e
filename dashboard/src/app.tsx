// Who is here, and which view: everything inside one session.
import { useEffect, useRef, useState } from 'preact/hooks';
import { Announcer } from './announce';
import { ApiError, ask, lostConnection, whenSessionEnds, type Session } from './api';
import { AnalyticsView } from './analytics';
import { EventsView } from './events';
import { Fence } from './fence';
import { ProofView } from './proof';
import { RealtimeView } from './realtime';
import { address, go, useRoute } from './route';
import { tellTabs, whenTabsMayDiffer } from './tabs';
import { ThemeChoice } from './theme';
import { Failure, Heading, Loading, Text, useAction } from './ui';
import { WebhooksView } from './webhooks';

const views = [
  { path: 'events', name: 'Events', View: EventsView },
  { path: 'realtime', name: 'Realtime', View: RealtimeView },
  { path: 'webhooks', name: 'Webhooks', View: WebhooksView },
  { path: 'analytics', name: 'Analytics', View: AnalyticsView },
  { path: 'proof', name: 'Proof', View: ProofView },
] as const;

type Entry = { is: 'asking' } | { is: 'out'; error: ApiError | null; left?: boolean } |
  { is: 'in'; session: Session } | { is: 'other'; session: Session } | { is: 'failed'; error: ApiError };

const who = ({ organization, member }: Session) => JSON.stringify([organization, member]);

export function App() {
  const route = useRoute();
  const [entry, setEntry] = useState<Entry>({ is: 'asking' });
  const begun = useRef(false);
  const code = route.path[0] === 'enter' ? route.path[1] : undefined;

  const asked = (work: Promise<Session>) => work.then(
    (session) => setEntry({ is: 'in', session }),
    (error: ApiError) => setEntry(lostConnection(error) ? { is: 'failed', error } : { is: 'out', error: error.code === 'no_token' || error.code === 'no_session' ? null : error }));
  const enter = () => {
    begun.current = true;
    if (code === undefined) return asked(ask<Session>('GET', 'session'));
    // The code leaves the address before anything else can read it.
    go(address('events'), true);
    return asked(ask<Session>('POST', 'session', { body: { code } }).then(() => ask<Session>('GET', 'session')).finally(tellTabs));
  };
  // Is the session still the one whose name stands above?
  const look = () => {
    ask<Session>('GET', 'session').then(
      (session) => setEntry((old) => old.is === 'in' && who(session) !== who(old.session) ? { is: 'other', session } : old),
      (error: ApiError) => setEntry((old) => old.is === 'in' && !lostConnection(error) ? { is: 'out', error } : old));
  };
  useEffect(() => {
    whenSessionEnds((error) => error.status === 401 ? setEntry({ is: 'out', error }) : look());
    return whenTabsMayDiffer(look);
  }, []);
  useEffect(() => {
    // Once the code has left the address there is nothing more to ask.
    if (code !== undefined || !begun.current) void enter();
  }, [code]);
  useEffect(() => {
    if (entry.is === 'in' && route.path.length === 0) go(address('events'), true);
  }, [entry.is, route]);

  if (entry.is === 'in' && code === undefined)
    return <Inside key={who(entry.session)} session={entry.session} onLeave={() => { setEntry({ is: 'out', error: null, left: true }); tellTabs(); }} />;
  return (
    <>
      <Announcer />
      <main class="outside">
        {entry.is === 'asking' || entry.is === 'in' ? <Loading what="your session" /> :
          entry.is === 'failed' ? <><Heading title="No connection">No connection</Heading><Failure error={entry.error} retry={enter} /></> :
            entry.is === 'other' ? <Other session={entry.session} onGoOn={() => { go(address('events')); setEntry({ is: 'in', session: entry.session }); }} /> :
              <Outside error={entry.error} left={entry.left} />}
      </main>
    </>
  );
}

function Other({ session, onGoOn }: { session: Session; onGoOn: () => void }) {
  return (
    <>
      <Heading title="Another session">Another session has begun</Heading>
      <p>This browser has come in as <Text>{session.member}</Text> of <Text>{session.organization}</Text> meanwhile, in another tab. It can be one at a time.</p>
      <button type="button" onClick={onGoOn}>Go on as <Text>{session.member}</Text></button>
    </>
  );
}

// That a cookie is gone or worth nothing is no more than the heading says.
const saysMore = (error: ApiError | null) => error !== null && error.code !== 'no_token' && error.code !== 'bad_token';

function Outside({ error, left }: { error: ApiError | null; left?: boolean }) {
  return (
    <>
      <Heading title="Signed out">{left ? 'You are signed out' : error ? 'Your session has ended' : 'Activity'}</Heading>
      <p>{error && saysMore(error) ? <>{sentence(error.problem.detail ?? error.message)} </> : null}
        To come in, open the activity page from the product that you use: it makes a new link, which works once and for a few minutes.</p>
      <p class="quiet">Whoever runs the product makes links by <code>SELECT activity.dashboard_link(organization, member)</code>.</p>
    </>
  );
}

const sentence = (words: string) => words.charAt(0).toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? '' : '.');

function Inside({ session, onLeave }: { session: Session; onLeave: () => void }) {
  const route = useRoute();
  const [busy, error, run] = useAction();
  const here = views.find((view) => view.path === (route.path[0] ?? 'events'));
  const leave = () => run(async () => {
    await ask('DELETE', 'session');
    onLeave();
  });
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById('main')?.focus(); }}>Skip to the content</a>
      <Announcer />
      <header class="top">
        <span class="organization"><img src="icon.svg" alt="" width="22" height="22" /> <Text>{session.organization}</Text></span>
        <nav aria-label="Views">
          {views.map(({ path, name }) => (
            <a key={path} href={address(path)} aria-current={here?.path === path ? 'page' : undefined}>{name}</a>
          ))}
        </nav>
        <span class="account">
          <ThemeChoice />
          <Text class="quiet">{session.member}</Text>
          <button type="button" class="small" disabled={busy} onClick={leave}>Sign out</button>
        </span>
      </header>
      <main id="main" tabIndex={-1}>
        {error && <Failure error={error} />}
        {here ? <Fence key={here.path}><here.View session={session} route={route} /></Fence> :
          <><Heading title="Not found">There is no such page</Heading><p><a href={address('events')}>To the events</a></p></>}
      </main>
    </>
  );
}
