// The numbers, each a link to the events behind it.
import type { ComponentChildren } from 'preact';
import { ask, organizationPath, type Query, type Session } from './api';
import { amount, count, day, percent, zone as ownZone } from './format';
import { useLoad } from './load';
import { Plot, type Series } from './plot';
import { address, go, type Route } from './route';
import { Answer, Empty, Field, Heading, Name, Scroll, Text, Time, useNow } from './ui';

interface Range { from: string; to: string; step: string; by: string; zone: string }

const ranges = [[7, '7 days'], [30, '30 days'], [90, '90 days'], [365, 'A year']] as const;
const steps = [['hour', 'hour'], ['day', 'day'], ['week', 'week'], ['month', 'month'], ['quarter', 'quarter'], ['year', 'year']] as const;
const bys = [['', 'Nothing'], ['category', 'Category'], ['eventType', 'Type'], ['actor', 'Actor'], ['resource', 'Resource']] as const;

const dayOf = (moment: Date, zone: string) => // 2026-11-30
  new Intl.DateTimeFormat('en-CA', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(moment);

const known = (zone: string) => {
  try {
    new Intl.DateTimeFormat(undefined, { timeZone: zone });
    return true;
  } catch { return false; }
};

// The instant at which a day begins in a zone: the offset there, taken twice because a
// change of the clock may lie between.
function startOf(date: string, zone: string, later = 0): string {
  const [year = 1970, month = 1, dayOfMonth = 1] = date.split('-').map(Number);
  const wall = Date.UTC(year, month - 1, dayOfMonth + later);
  const offset = (at: number) => {
    const parts = Object.fromEntries(new Intl.DateTimeFormat('en-US', {
      timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric',
    }).formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    return Date.UTC(parts.year!, parts.month! - 1, parts.day, parts.hour, parts.minute, parts.second) - at;
  };
  return new Date(wall - offset(wall - offset(wall))).toISOString();
}

function rangeOf(query: URLSearchParams): Range {
  const asked = query.get('zone') ?? ownZone;
  const zone = known(asked) ? asked : 'UTC';
  const today = dayOf(new Date(), zone);
  const past = dayOf(new Date(Date.now() - 29 * 86_400_000), zone);
  const date = (name: string, preset: string) => /^\d{4}-\d{2}-\d{2}$/.test(query.get(name) ?? '') ? query.get(name)! : preset;
  const one = (name: string, of: readonly (readonly [string, string])[], preset: string) =>
    of.some(([value]) => value === query.get(name)) ? query.get(name)! : preset;
  return { from: date('from', past), to: date('to', today), step: one('step', steps, 'day'), by: one('by', bys, 'category'), zone };
}

const instants = (range: Range) => ({
  from: startOf(range.from, range.zone), to: startOf(range.to, range.zone, 1),
});

// Inclusive bounds, as the reports have them.
const reported = (range: Range) => {
  const { from, to } = instants(range);
  return { from, to: new Date(new Date(to).getTime() - 1).toISOString().replace('Z', '999Z') };
};

export function AnalyticsView({ session, route }: { session: Session; route: Route }) {
  const range = rangeOf(route.query);
  const events = (query: Query) => address('events', { from: range.from, to: range.to, ...query });
  const props = { session, range, events };
  return (
    <>
      <Heading title="Analytics">Analytics</Heading>
      <RangeBar range={range} />
      <Headline {...props} />
      <Timeline {...props} />
      <Amounts {...props} id="credits-time" title="Credits over time" measure="credits_burned" types={['credit.charge', 'credits.redeemed']} />
      <Usage {...props} />
      <Amounts {...props} id="revenue-time" title="Revenue over time" measure="revenue" types={['plan.purchased', 'order.created']} />
      <MrrTimeline {...props} />
      <Revenue {...props} />
      <Customers {...props} />
      <Members {...props} />
      <ActiveMembers {...props} />
    </>
  );
}

interface Props { session: Session; range: Range; events: (query: Query) => string }

function RangeBar({ range }: { range: Range }) {
  const change = (part: Partial<Range>) => go(address('analytics', { ...range, ...part }));
  const back = (days: number) => change({
    from: dayOf(new Date(Date.now() - (days - 1) * 86_400_000), range.zone), to: dayOf(new Date(), range.zone),
    step: days > 180 ? 'month' : 'day',
  });
  const zones = [...new Set([range.zone, ownZone, 'UTC', ...Intl.supportedValuesOf('timeZone')])];
  return (
    <form class="filters" onSubmit={(event) => event.preventDefault()}>
      <div class="buttons" role="group" aria-label="Range">{ranges.map(([days, name]) => (
        <button key={days} type="button" class="small" onClick={() => back(days)}>{name}</button>))}</div>
      <Field label="From">{(id) => <input id={id} type="date" value={range.from} max="9999-12-31" onChange={(event) => change({ from: event.currentTarget.value })} />}</Field>
      <Field label="To">{(id) => <input id={id} type="date" value={range.to} max="9999-12-31" onChange={(event) => change({ to: event.currentTarget.value })} />}</Field>
      <Field label="Step">{(id) => <Choice id={id} value={range.step} of={steps} onChange={(step) => change({ step })} />}</Field>
      <Field label="By">{(id) => <Choice id={id} value={range.by} of={bys} onChange={(by) => change({ by })} />}</Field>
      <Field label="Time zone">{(id) => <Choice id={id} value={range.zone} of={zones.map((zone) => [zone, zone] as const)} onChange={(zone) => change({ zone })} />}</Field>
    </form>
  );
}

function Choice({ id, value, of, onChange }: { id: string; value: string; of: readonly (readonly [string, string])[]; onChange: (value: string) => void }) {
  return (
    <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      {of.map(([one, name]) => <option key={one} value={one}>{name}</option>)}
    </select>
  );
}

const useReport = <T,>({ session, range }: Props, name: string, query: Query = reported(range)) =>
  useLoad((signal) => ask<T>('GET', organizationPath(session, `analytics/${name}`), { signal, query }), [name, JSON.stringify(query)]);

interface Mrr { mrr: string | null; activeSubscriptions: number; items: { currency: string | null; mrr: string; subscriptions: number }[] }
interface Conversion { sessions: number; purchases: number; conversionRate: number | null }

function Fact({ name, children, href }: { name: string; children: ComponentChildren; href?: string }) {
  return <div class="fact"><dt>{name}</dt><dd>{href ? <a href={href}>{children}</a> : children}</dd></div>;
}

function Headline(props: Props) {
  const mrr = useReport<Mrr>(props, 'mrr', { asOf: instants(props.range).to });
  const conversion = useReport<Conversion>(props, 'conversion');
  return (
    <section aria-label="At a glance">
      <Answer of={mrr} what="recurring revenue">{(data) => (
        <dl class="headline">
          {data.items.length === 0 ? <Fact name="Monthly recurring revenue">–</Fact> : data.items.map((item) =>
            <Fact key={item.currency} name={`Monthly recurring revenue, ${item.currency ?? 'no currency'}`} href={props.events({ type: 'subscription.*' })}>{amount(item.mrr)}</Fact>)}
          <Fact name="Paying subscriptions" href={props.events({ type: 'subscription.*' })}>{count(data.activeSubscriptions)}</Fact>
          {conversion.data && (
            <>
              <Fact name="Sign-ins" href={props.events({ type: 'auth.signin' })}>{count(conversion.data.sessions)}</Fact>
              <Fact name="Purchases" href={props.events({ type: 'plan.purchased' })}>{count(conversion.data.purchases)}</Fact>
              <Fact name="Conversion">{percent(conversion.data.conversionRate)}</Fact>
            </>
          )}
        </dl>
      )}</Answer>
    </section>
  );
}

interface Bucket { bucket: string; key: string | null; events: number }
const mostSeries = 7;

function Timeline(props: Props) {
  const { range } = props;
  const timeline = useReport<{ items: Bucket[] }>(props, 'timeline',
    { ...instants(range), step: range.step, timeZone: range.zone, by: range.by });
  return (
    <section aria-labelledby="timeline">
      <h2 id="timeline">Events</h2>
      <Answer of={timeline} what="events over time">{({ items }) => {
        const buckets = [...new Set(items.map((item) => item.bucket))].sort();
        const sums = new Map<string, number>();
        for (const item of items) sums.set(item.key ?? '', (sums.get(item.key ?? '') ?? 0) + item.events);
        const total = [...sums.values()].reduce((sum, n) => sum + n, 0);
        if (total === 0) return <Empty>Nothing happened in this time.</Empty>;
        const ranked = [...sums].filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]).map(([key]) => key);
        const shown = ranked.slice(0, ranked.length > mostSeries + 1 ? mostSeries : ranked.length);
        const times = buckets.map((bucket) => Date.parse(bucket) / 1000);
        const place = new Map(buckets.map((bucket, at) => [bucket, at]));
        const values = new Map<string, number[]>();
        for (const item of items) {
          const key = shown.includes(item.key ?? '') ? item.key ?? '' : 'others';
          if (!values.has(key)) values.set(key, buckets.map(() => 0));
          values.get(key)![place.get(item.bucket)!]! += item.events;
        }
        const name = (key: string) => key === '' ? range.by === '' ? 'events' : range.by === 'actor' ? 'system' : 'none' : key;
        const series: Series[] = [...shown, ...shown.length < ranked.length ? ['others'] : []]
          .map((key) => ({ name: name(key), values: values.get(key) ?? buckets.map(() => 0) }));
        const filter = (key: string): Query => key === '' ? {} : range.by === 'category' ? { type: `${key}.*` } :
          range.by === 'eventType' ? { type: key } : range.by === 'actor' ? { actor: key } : range.by === 'resource' ? { subject: key } : {};
        return (
          <>
            <Plot label="Events over time" times={times} series={{ name: 'events', values: buckets.map((_, at) => series.reduce((all, one) => all + one.values[at]!, 0)) }} unit="events" zone={range.zone} />
            {series.length > 1 && (
              <div class="multiples">{series.map((one, at) => (
                <figure key={one.name}>
                  <figcaption><Name value={one.name} /> <a class="number" href={props.events(filter(shown[at] ?? ''))} aria-label={`${one.name}, ${count(one.values.reduce((all, n) => all + n, 0))} events`}>{count(one.values.reduce((all, n) => all + n, 0))}</a></figcaption>
                  <Plot label={`Events, ${one.name}`} times={times} series={one} unit="events" zone={range.zone} height={130} />
                </figure>
              ))}</div>
            )}
            <details>
              <summary>The same as a table</summary>
              <Scroll label="Events over time">
                <table>
                  <thead><tr><th scope="col">From</th>{series.map((one) => <th scope="col" class="number" key={one.name}><Text>{one.name}</Text></th>)}</tr></thead>
                  <tbody>{buckets.map((bucket, at) => (
                    <tr key={bucket}>
                      <th scope="row"><time dateTime={bucket}>{new Date(bucket).toLocaleString(undefined, { timeZone: range.zone, dateStyle: 'medium', ...range.step === 'hour' ? { timeStyle: 'short' } : {} })}</time></th>
                      {series.map((one, column) => (
                        <td class="number" key={one.name}><a href={address('events', {
                          from: bucket, to: buckets[at + 1] ?? instants(range).to, ...filter(shown[column] ?? ''),
                        })}>{count(one.values[at] ?? 0)}</a></td>))}
                    </tr>
                  ))}</tbody>
                </table>
              </Scroll>
            </details>
          </>
        );
      }}</Answer>
    </section>
  );
}

interface Amount { bucket: string; unit: string | null; amount: string }

// A plot for each unit, since units are never added up; the exact digits are in the table.
function Amounts({ id, title, measure, types, ...props }: Props & { id: string; title: string; measure: string; types: string[] }) {
  const { range } = props;
  const report = useReport<{ items: Amount[] }>(props, 'amounts', { ...instants(range), step: range.step, timeZone: range.zone, measure });
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      <Answer of={report} what={title.toLowerCase()}>{({ items }) =>
        <AmountPlots title={title} range={range} items={items} link={(from, to) => address('events', { from, to, type: types })} />}</Answer>
    </section>
  );
}

function MrrTimeline(props: Props) {
  const { range } = props;
  const report = useReport<{ items: { bucket: string; currency: string | null; mrr: string }[] }>(props, 'mrr-timeline',
    { ...instants(range), step: range.step, timeZone: range.zone });
  return (
    <section aria-labelledby="mrr-time">
      <h2 id="mrr-time">Monthly recurring revenue over time</h2>
      <Answer of={report} what="recurring revenue over time">{({ items }) =>
        <AmountPlots title="Monthly recurring revenue over time" range={range} link={(from, to) => address('events', { from, to, type: 'subscription.*' })}
          items={items.map(({ bucket, currency, mrr }) => ({ bucket, unit: currency, amount: mrr }))} />}</Answer>
    </section>
  );
}

function AmountPlots({ title, range, items, link }: { title: string; range: Range; items: Amount[]; link: (from: string, to: string) => string }) {
  const buckets = [...new Set(items.map((item) => item.bucket))].sort();
  const units = [...new Set(items.filter((item) => Number(item.amount) !== 0).map((item) => item.unit))];
  if (units.length === 0) return <Empty>There was none in this time.</Empty>;
  const exact = new Map(items.map((item) => [`${item.bucket} ${item.unit}`, item.amount]));
  const times = buckets.map((bucket) => Date.parse(bucket) / 1000);
  return (
    <>
      <div class="multiples">{units.map((unit) => (
        <figure key={unit}>
          <figcaption><Name value={unit ?? 'no unit'} /></figcaption>
          <Plot label={`${title}, ${unit ?? 'no unit'}`} times={times} unit={unit ?? ''} zone={range.zone} height={150}
            series={{ name: unit ?? '', values: buckets.map((bucket) => Number(exact.get(`${bucket} ${unit}`) ?? 0)) }} />
        </figure>
      ))}</div>
      <details>
        <summary>The same as a table</summary>
        <Scroll label={`${title}, table`}>
          <table>
            <thead><tr><th scope="col">From</th>{units.map((unit) => <th scope="col" class="number" key={unit}>{unit ?? 'no unit'}</th>)}</tr></thead>
            <tbody>{buckets.map((bucket, at) => (
              <tr key={bucket}>
                <th scope="row"><time dateTime={bucket}>{new Date(bucket).toLocaleString(undefined, { timeZone: range.zone, dateStyle: 'medium', ...range.step === 'hour' ? { timeStyle: 'short' } : {} })}</time></th>
                {units.map((unit) => (
                  <td class="number" key={unit}><a href={link(bucket, buckets[at + 1] ?? instants(range).to)}>{amount(exact.get(`${bucket} ${unit}`) ?? '0')}</a></td>))}
              </tr>
            ))}</tbody>
          </table>
        </Scroll>
      </details>
    </>
  );
}

function Table<T>({ id, title, report, columns, empty, code, list, foot }:
  { id: string; title: string; report: ReturnType<typeof useLoad<T>>; list: (data: T) => readonly unknown[]; columns: [string, 'text' | 'number', (row: never) => ComponentChildren][]; empty: string; code?: string; foot?: (data: T) => ComponentChildren }) {
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      <Answer of={report} what={title.toLowerCase()}>{(data) => list(data).length === 0 ? <Empty code={code}>{empty}</Empty> : (
        <>
          <Scroll label={title}>
            <table>
              <thead><tr>{columns.map(([name, kind]) => <th scope="col" class={kind} key={name}>{name}</th>)}</tr></thead>
              <tbody>{list(data).map((row, at) => (
                <tr key={at}>{columns.map(([name, kind, cell], column) => column === 0 ?
                  <th scope="row" key={name}>{cell(row as never)}</th> : <td class={kind} key={name}>{cell(row as never)}</td>)}</tr>
              ))}</tbody>
            </table>
          </Scroll>
          {foot?.(data)}
        </>
      )}</Answer>
    </section>
  );
}

interface UsageItem { planId: string | null; planName: string | null; creditsBurned: string; uniqueUsers: number; unit?: string | null; events?: number }

function Usage(props: Props) {
  const report = useReport<{ items: UsageItem[] }>(props, 'usage');
  return (
    <Table id="usage" title="Credits by plan" report={report} list={(data) => data.items}
      empty="No credits were used in this time." code={`SELECT activity.record('${props.session.organization.replace(/'/g, '\'\'')}', 'credit.charge',\n  subject => '{"kind": "plan", "id": "pro"}', metadata => '{"amount": 3}');`}
      columns={[
        ['Plan', 'text', (row: UsageItem) => <Name value={row.planName || row.planId || 'no plan'} />],
        ['Credits', 'number', (row: UsageItem) => <a href={props.events({ type: 'credit.charge,credits.redeemed', ...row.planId ? { subject: row.planId } : {} })}>{amount(row.creditsBurned)}</a>],
        ['Users', 'number', (row: UsageItem) => count(row.uniqueUsers)],
      ]} />
  );
}

interface RevenueItem { agentId: string | null; agentName: string | null; totalRevenue: string; transactionCount: number; currency: string | null }

function Revenue(props: Props) {
  const report = useReport<{ items: RevenueItem[]; totalRevenue: string | null }>(props, 'revenue');
  return (
    <Table id="revenue" title="Revenue" report={report} list={(data) => data.items}
      empty="No purchase was recorded in this time."
      columns={[
        ['Product', 'text', (row: RevenueItem) => <Name value={row.agentName || row.agentId || 'no product'} />],
        ['Revenue', 'number', (row: RevenueItem) => <a href={props.events({ type: 'plan.purchased,order.created' })}>{amount(row.totalRevenue)}</a>],
        ['Currency', 'text', (row: RevenueItem) => row.currency ?? '–'],
        ['Transactions', 'number', (row: RevenueItem) => count(row.transactionCount)],
      ]} />
  );
}

interface Customer { customerId: string; userId: string; name?: string | null; totalSpent: string; currency?: string | null; firstSeenAt: string; lastActiveAt: string }

function Customers(props: Props) {
  const now = useNow();
  const report = useReport<{ items: Customer[]; totalCustomers: number }>(props, 'customers', { ...reported(props.range), limit: 20 });
  return (
    <Table id="customers" title="Customers" report={report} list={(data) => data.items}
      empty="Nobody bought anything in this time."
      columns={[
        ['Customer', 'text', (row: Customer) => <a href={props.events({ actor: row.userId })}><Name value={row.name ?? row.userId} /></a>],
        ['Spent', 'number', (row: Customer) => <a href={props.events({ actor: row.userId, type: 'plan.purchased,order.created' })}>{amount(row.totalSpent)}</a>],
        ['Currency', 'text', (row: Customer) => row.currency ?? '–'],
        ['First seen', 'text', (row: Customer) => day(row.firstSeenAt)],
        ['Last active', 'text', (row: Customer) => <Time value={row.lastActiveAt} now={now} />],
      ]} />
  );
}

interface Member { memberId: string | null; name: string | null; unit: string | null; totalCreditsBurned: string; burnCount: number; lastBurnAt: string | null }

function Members(props: Props) {
  const now = useNow();
  const report = useReport<{ items: Member[] }>(props, 'credits-by-member');
  return (
    <Table id="members" title="Credits by member" report={report} list={(data) => data.items}
      empty="No member used credits in this time."
      columns={[
        ['Member', 'text', (row: Member) => row.memberId === null ? 'system' : <a href={props.events({ actor: row.memberId })}><Name value={row.name ?? row.memberId} /></a>],
        ['Credits', 'number', (row: Member) => <a href={props.events({ type: 'credit.charge,credits.redeemed', ...row.memberId ? { actor: row.memberId } : {} })}>{amount(row.totalCreditsBurned)}</a>],
        ['Times', 'number', (row: Member) => count(row.burnCount)],
        ['Last', 'text', (row: Member) => <Time value={row.lastBurnAt} now={now} />],
      ]} />
  );
}

function ActiveMembers(props: Props) {
  const { range } = props;
  const report = useReport<{ items: { bucket: string; members: number }[] }>(props, 'active-members',
    { ...instants(range), step: range.step, timeZone: range.zone });
  return (
    <section aria-labelledby="active">
      <h2 id="active">Active members</h2>
      <Answer of={report} what="active members">{({ items }) => items.every((item) => item.members === 0) ?
        <Empty>Nobody was active in this time.</Empty> :
        <Plot label="Active members" times={items.map((item) => Date.parse(item.bucket) / 1000)} unit="members" zone={range.zone}
          series={{ name: 'members', values: items.map((item) => item.members) }} />}</Answer>
    </section>
  );
}
