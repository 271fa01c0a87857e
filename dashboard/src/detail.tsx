// All of one event.
import type { ComponentChildren } from 'preact';
import { ask, organizationPath, type ActivityEvent, type Session } from './api';
import { text } from './format';
import { useLoad } from './load';
import { address } from './route';
import { CopyButton, Failure, LongText, Name, Text, Time, useNow } from './ui';

interface Place { position: number | null; cursor: string | null; hash: string | null }

export function EventDetail({ session, event }: { session: Session; event: ActivityEvent }) {
  const now = useNow();
  const changes = changesOf(event);
  return (
    <div class="details">
      <section aria-label="Event">
        <h2>Event</h2>
        <dl>
          <Row name="Id"><Text>{event.id}</Text> <CopyButton value={event.id} /></Row>
          <Row name="Type"><a href={address('events', { type: event.eventType })}><code>{event.eventType}</code></a></Row>
          <Row name="Actor">{event.actorUserId === null ? 'system' :
            <><a href={address('events', { actor: event.actorUserId })}><Name value={event.actorUserId} /></a> <span class="quiet">{event.actor?.kind}</span></>}</Row>
          {event.onBehalfOf && <Row name="On behalf of"><a href={address('events', { onBehalfOf: event.onBehalfOf.id })}><Name value={event.onBehalfOf.name ?? event.onBehalfOf.id} /></a></Row>}
          <Row name="Occurred"><Time value={event.occurredAt} now={now} /></Row>
          {event.recordedAt !== event.occurredAt && <Row name="Recorded"><Time value={event.recordedAt} now={now} /></Row>}
          <Chain session={session} id={event.id} />
        </dl>
      </section>
      {changes.length > 0 && (
        <section aria-label="Changes">
          <h2>Changes</h2>
          <table>
            <thead><tr><th scope="col">Field</th><th scope="col">Before</th><th scope="col">After</th></tr></thead>
            <tbody>{changes.map(({ field, before, after }) => (
              <tr key={field}><th scope="row"><Name value={field} /></th><td><LongText value={text(before)} /></td><td><LongText value={text(after)} /></td></tr>
            ))}</tbody>
          </table>
        </section>
      )}
      <Values name="Subject" values={event.subject} link={typeof event.subject?.id === 'string' && event.subject.id !== '' ? address('events', { subject: event.subject.id }) : undefined} />
      <Values name="Metadata" values={event.metadata} />
      <Values name="Context" values={event.context} />
    </div>
  );
}

function Row({ name, children }: { name: string; children: ComponentChildren }) {
  return <><dt>{name}</dt><dd>{children}</dd></>;
}

function Values({ name, values, link }: { name: string; values: Record<string, unknown> | null; link?: string }) {
  const entries = Object.entries(values ?? {});
  if (entries.length === 0) return null;
  return (
    <section aria-label={name}>
      <h2>{name}</h2>
      <dl>{entries.map(([field, value]) => <Row key={field} name={field.slice(0, 200)}><LongText value={text(value)} /></Row>)}</dl>
      {link && <p><a href={link}>Everything about it</a></p>}
    </section>
  );
}

// Where it stands in the chain; not there for a moment after the event was recorded.
function Chain({ session, id }: { session: Session; id: string }) {
  const place = useLoad((signal) => ask<Place>('GET', organizationPath(session, `activity/${id}/position`), { signal }), [id]);
  if (place.error) return <Row name="Position"><Failure error={place.error} retry={place.reload} /></Row>;
  if (place.data === null) return <Row name="Position"><span class="quiet">…</span></Row>;
  if (place.data.position === null) return <Row name="Position"><span class="quiet">not given yet</span></Row>;
  return (
    <>
      <Row name="Position"><span class="number">{place.data.position}</span></Row>
      <Row name="Hash"><code class="text">{place.data.hash}</code> {place.data.hash && <CopyButton value={place.data.hash} />}</Row>
    </>
  );
}

// Tracking says what a field was as `previous_<field>`, beside what it is.
export function changesOf(event: ActivityEvent) {
  const metadata = event.metadata ?? {};
  return Object.entries(metadata).filter(([field]) => field.startsWith('previous_') && field.length > 9).map(([field, before]) => {
    const name = field.slice(9);
    return { field: name, before, after: metadata[name] ?? event.subject?.[name] };
  });
}
