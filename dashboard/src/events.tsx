// The feed: filters, a page, what came since.
import { useEffect, useRef, useState } from 'preact/hooks';
import { announce } from './announce';
import { ask, organizationPath, type ActivityEvent, type Session } from './api';
import { EventDetail } from './detail';
import { ExportDialog } from './export';
import { FilterBar } from './filter_bar';
import { areNone, filtersOf, toAddress, toApi, type Filters } from './filters';
import { count, plural } from './format';
import { useLive } from './live';
import { LiveBadge } from './live_state';
import { useLoad } from './load';
import { address, go, type Route } from './route';
import { Answer, Empty, Heading, LongText, Name, Time, useNow } from './ui';

export interface Page {
  items: ActivityEvent[];
  total?: number | null;
  nextCursor: string | null;
  prevCursor: string | null;
  hasMore: boolean;
}

const limit = 50;

interface Place { before: string; after: string; page: number; number: number }

const placeOf = (query: URLSearchParams): Place => {
  const page = Math.max(1, Math.trunc(Number(query.get('page') ?? 1)) || 1);
  return {
    before: query.get('before') ?? '', after: query.get('after') ?? '', page,
    number: Math.max(1, Math.trunc(Number(query.get('n') ?? page)) || 1),
  };
};

export function EventsView({ session, route }: { session: Session; route: Route }) {
  const filters = filtersOf(route.query);
  const place = placeOf(route.query);
  const open = route.query.get('open');
  const [exporting, setExporting] = useState(false);
  const asked = JSON.stringify([toApi(filters), place]);
  const byCursor = place.before !== '' || place.after !== '';
  const page = useLoad((signal) => ask<Page>('GET', organizationPath(session, 'activity'), {
    signal, query: { ...toApi(filters), limit, ...byCursor ? { before: place.before, after: place.after } : { page: place.page } },
  }), [asked]);
  const total = useTotal(session, filters, page.busy ? undefined : page.data?.total);
  const show = (query: object, replace = false) =>
    go(address('events', { ...toAddress(filters), ...query }), replace);
  const change = (next: Filters, replace: boolean) => go(address('events', toAddress(next)), replace);
  const isFirst = !byCursor && place.page === 1;

  useEffect(() => {
    if (page.data && !page.busy)
      announce(page.data.items.length === 0 ? 'No events' : `${plural(page.data.items.length, 'event')}, page ${place.number}`);
  }, [page.data, page.busy]);

  return (
    <>
      <div class="title">
        <Heading title="Events">Events</Heading>
        <span class="buttons">
          <button type="button" onClick={() => setExporting(true)} disabled={page.data === null || page.data.items.length === 0}>Export</button>
        </span>
      </div>
      <FilterBar session={session} filters={filters} onChange={change} />
      <News session={session} filters={filters} page={page.busy ? null : page.data} isFirst={isFirst}
        onShow={() => isFirst ? page.reload() : show({})} />
      <Answer of={page} what="events">
        {(data) => data.items.length === 0 ? <Nothing filters={filters} place={place} session={session} /> : (
          <>
            <EventTable session={session} events={data.items} open={open}
              onOpen={(id) => show({ before: place.before, after: place.after, page: byCursor ? '' : place.page > 1 ? place.page : '', n: byCursor ? place.number : '', open: id }, true)} />
            <Pager place={place} page={data} total={total} onShow={show} />
          </>
        )}
      </Answer>
      {exporting && page.data && <ExportDialog session={session} filters={filters} page={page.data} total={total} onClose={() => setExporting(false)} />}
    </>
  );
}

// The total of the filters, asked apart where a page by cursor did not bring it.
function useTotal(session: Session, filters: Filters, told: number | null | undefined): number | null {
  const key = JSON.stringify(toApi(filters));
  const known = useRef<{ key: string; total: number } | null>(null);
  if (typeof told === 'number') known.current = { key, total: told };
  const missing = told !== undefined && known.current?.key !== key;
  const asked = useLoad<Page | null>((signal) => missing ?
    ask<Page>('GET', organizationPath(session, 'activity'), { signal, query: { ...toApi(filters), limit: 1, page: 1 } }) :
    Promise.resolve(null), [missing, key]);
  return known.current?.key === key ? known.current.total : asked.data?.total ?? null;
}

function Nothing({ filters, place, session }: { filters: Filters; place: Place; session: Session }) {
  if (place.number > 1 || place.page > 1)
    return <Empty>There is nothing on this page. <a href={address('events', toAddress(filters))}>To the newest</a></Empty>;
  if (!areNone(filters))
    return <Empty>No event passes these filters. <a href={address('events')}>Show all events</a></Empty>;
  return (
    <Empty code={`SELECT activity.track('memberships', 'membership');\n-- or one by hand:\nSELECT activity.record('${session.organization.replace(/'/g, '\'\'')}', 'auth.signin');`}>
      Nothing has happened yet. This fills the feed:
    </Empty>
  );
}

function EventTable({ session, events, open, onOpen }: { session: Session; events: ActivityEvent[]; open: string | null; onOpen: (id: string | null) => void }) {
  const now = useNow();
  return (
    <div class="scroll" role="group" aria-label="Events" tabIndex={0}>
      <table class="events">
        <caption class="unseen">Events, newest first; the button in each row shows all of it</caption>
        <thead><tr><th scope="col">When</th><th scope="col">Who</th><th scope="col">Action</th><th scope="col">Description</th><th scope="col">Subject</th></tr></thead>
        <tbody>
          {events.map((event) => <EventRow key={event.id} session={session} event={event} now={now} isOpen={open === event.id} onOpen={onOpen} />)}
        </tbody>
      </table>
    </div>
  );
}

export function Who({ event }: { event: ActivityEvent }) {
  if (event.actor === null || event.actorUserId === null) return <span class="quiet">{event.actor?.name ?? 'system'}</span>;
  return (
    <>
      <Name value={event.actor.name ?? event.actorUserId} />
      {event.onBehalfOf && <span class="quiet"> for <Name value={event.onBehalfOf.name ?? event.onBehalfOf.id} /></span>}
    </>
  );
}

export function Subject({ event }: { event: ActivityEvent }) {
  if (event.subject === null) return <span class="quiet">–</span>;
  const { kind, id, name } = event.subject as { kind?: string; id?: string; name?: string };
  return <><span class="quiet">{kind}</span> <Name value={name ?? id} /></>;
}

function EventRow({ session, event, now, isOpen, onOpen }:
  { session: Session; event: ActivityEvent; now: number; isOpen: boolean; onOpen: (id: string | null) => void }) {
  return (
    <>
      <tr class={isOpen ? 'open' : ''}>
        <td class="when"><Time value={event.occurredAt} now={now} /></td>
        <td class="who"><Who event={event} /></td>
        <td class="action">
          <button type="button" class="link" aria-expanded={isOpen} onClick={() => onOpen(isOpen ? null : event.id)}>
            <code>{event.eventType}</code>
          </button>
        </td>
        <td class="description"><LongText value={event.description ?? ''} /></td>
        <td class="subject"><Subject event={event} /></td>
      </tr>
      {isOpen && <tr class="detail"><td colSpan={5}><EventDetail session={session} event={event} /></td></tr>}
    </>
  );
}

function Pager({ place, page, total, onShow }: { place: Place; page: Page; total: number | null; onShow: (query: object) => void }) {
  const pages = total === null ? null : Math.max(1, Math.ceil(total / limit));
  const [wanted, setWanted] = useState(String(place.number));
  useEffect(() => setWanted(String(place.number)), [place.number]);
  const jump = (event: Event) => {
    event.preventDefault();
    const number = Math.trunc(Number(wanted));
    if (number >= 1) onShow(number === 1 ? {} : { page: number });
  };
  const newer = () => onShow(place.number <= 2 || page.prevCursor === null ? {} : { after: page.prevCursor, n: place.number - 1 });
  return (
    <nav class="pager" aria-label="Pages">
      <button type="button" disabled={place.number <= 1} onClick={newer}>Newer</button>
      <form onSubmit={jump}>
        <label>Page <input type="number" min={1} max={pages ?? undefined} value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} /></label>
        {pages !== null && <span class="quiet"> of {count(pages)}, {plural(total!, 'event')}</span>}
        <button type="submit" class="small">Go</button>
      </form>
      <button type="button" disabled={!page.hasMore || page.nextCursor === null}
        onClick={() => onShow({ before: page.nextCursor, n: place.number + 1 })}>Older</button>
    </nav>
  );
}

// What came since the page was read: the stream says that something did, the API says
// what of it passes the filters. Nothing moves until the reader asks for it, and what is
// told stays until something else is known.
function News({ session, filters, page, isFirst, onShow }:
  { session: Session; filters: Filters; page: Page | null; isFirst: boolean; onShow: () => void }) {
  const [seen, setSeen] = useState(0);
  const state = useLive(session, () => setSeen((n) => n + 1), () => setSeen((n) => n + 1), session.capabilities.includes('stream') || session.capabilities.includes('read'));
  const settled = useThrottled(seen);
  const key = JSON.stringify(filters);
  const news = useLoad<{ key: string; newest: Page } | null>((signal) => settled === 0 || !isFirst ? Promise.resolve(null) :
    ask<Page>('GET', organizationPath(session, 'activity'), { signal, query: { ...toApi(filters), limit: 100, page: 1, count: 'false' } })
      .then((newest) => ({ key, newest })), [settled, isFirst, key]);
  const fresh = isFirst && page !== null && news.data?.key === key ? freshOf(news.data.newest, page) : null;
  const words = fresh && (fresh.more ? `${count(fresh.number)} or more` : count(fresh.number));
  const show = () => {
    // The button goes with what it told.
    document.getElementById('main')?.focus({ preventScroll: true });
    onShow();
  };
  useEffect(() => {
    if (fresh) announce(fresh.more ? `${words} new events` : plural(fresh.number, 'new event'));
  }, [fresh !== null]);
  return (
    <div class="news">
      <LiveBadge state={state} />
      {fresh && <button type="button" class="small" onClick={show}>{words} new – show</button>}
      {!isFirst && seen > 0 && <button type="button" class="small" onClick={show}>New events – to the newest</button>}
    </div>
  );
}

// What is not on the page and stands above its end. Not what is newer than its first
// event: that one may be of a year to come, and what is imported has its place below.
function freshOf(newest: Page, page: Page): { number: number; more: boolean } | null {
  const known = new Set(page.items.map(({ id }) => id));
  const last = page.hasMore ? page.items.at(-1)?.id : undefined;
  const end = newest.items.findIndex(({ id }) => id === last);
  const fresh = newest.items.slice(0, end < 0 ? undefined : end).filter(({ id }) => !known.has(id));
  return fresh.length === 0 ? null : { number: fresh.length, more: newest.hasMore && fresh.at(-1) === newest.items.at(-1) };
}

// At most one new value a second, and the last one always.
function useThrottled(value: number): number {
  const [shown, setShown] = useState(value);
  const latest = useRef(value);
  const timer = useRef(0);
  latest.current = value;
  useEffect(() => {
    if (value === shown || timer.current !== 0) return;
    timer.current = window.setTimeout(() => {
      timer.current = 0;
      setShown(latest.current);
    }, 1000);
  }, [value, shown]);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  return shown;
}
