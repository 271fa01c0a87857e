// The filters above the events. What is typed goes into the address once the hand
// rests, in place of the entry before, so that back does not spell.
import { useEffect, useState } from 'preact/hooks';
import type { Session } from './api';
import { areNone, noFilters, timesOf, type Filters } from './filters';
import { useSettled } from './load';
import { TypeChoice } from './type_choice';
import { Field } from './ui';

type Texts = Pick<Filters, 'text' | 'actor' | 'subject' | 'onBehalfOf'>;

export function FilterBar({ session, filters, onChange }:
  { session: Session; filters: Filters; onChange: (filters: Filters, replace: boolean) => void }) {
  const { text, actor, subject, onBehalfOf } = filters;
  const [typed, setTyped] = useState<Texts>({ text, actor, subject, onBehalfOf });
  const settled = useSettled(typed, 250);
  // Somebody went back, or pasted an address.
  useEffect(() => setTyped({ text, actor, subject, onBehalfOf }), [text, actor, subject, onBehalfOf]);
  useEffect(() => {
    if (settled !== typed) return;
    if (settled.text === text && settled.actor === actor && settled.subject === subject && settled.onBehalfOf === onBehalfOf) return;
    onChange({ ...filters, ...settled }, true);
  }, [settled]);
  const input = (name: keyof Texts) => (id: string) => (
    <input id={id} type="search" value={typed[name]} maxLength={500} autocomplete="off" spellcheck={false}
      onInput={(event) => setTyped({ ...typed, [name]: event.currentTarget.value })} />
  );
  const date = (name: 'from' | 'to') => (id: string) => filters[name] === '' || /^\d{4}-\d{2}-\d{2}$/.test(filters[name]) ? (
    <input id={id} type="date" value={filters[name]} max="9999-12-31"
      onChange={(event) => onChange({ ...filters, [name]: event.currentTarget.value }, false)} />
  ) : (
    <input id={id} type="text" value={filters[name]}
      onChange={(event) => onChange({ ...filters, [name]: event.currentTarget.value }, false)} />
  );
  return (
    <search>
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <Field label="Search">{input('text')}</Field>
        <TypeChoice session={session} times={timesOf(filters)} chosen={filters.types} onChange={(types) => onChange({ ...filters, types }, false)} />
        <Field label="Actor">{input('actor')}</Field>
        <Field label="Subject">{input('subject')}</Field>
        <Field label="On behalf of">{input('onBehalfOf')}</Field>
        <Field label="From">{date('from')}</Field>
        <Field label="To">{date('to')}</Field>
        {!areNone(filters) && <button type="button" class="small" onClick={() => onChange(noFilters, false)}>Clear</button>}
      </form>
    </search>
  );
}
