// Families and types with their counts, to pick from.
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { ask, organizationPath, type Session } from './api';
import { count } from './format';
import { useLoad } from './load';
import { Failure } from './ui';

interface TypeInfo { key: string; category: string; family: string; synonymOf: string | null }
interface Counted { key: string; category: string; family: string; events: number }
interface Count { dimension: string; key: string | null; events: number }
interface Times { from?: string; to?: string }

// Synonyms are found with what they are synonyms of.
const useTypes = (session: Session, times: Times) => useLoad(async (signal) => {
  const [types, counts] = await Promise.all([
    ask<{ items: TypeInfo[] }>('GET', organizationPath(session, 'activity/types'), { signal }),
    ask<{ items: Count[] }>('GET', organizationPath(session, 'activity/summary'), { signal, query: { from: times.from ?? '0001-01-01', to: times.to } }),
  ]);
  const events = new Map(counts.items.filter((one) => one.dimension === 'eventType').map((one) => [one.key, one.events]));
  return types.items.filter((type) => type.synonymOf === null || events.has(type.key))
    .map(({ key, category, family }): Counted => ({ key, category, family, events: events.get(key) ?? 0 }));
}, [session, times.from, times.to]);

function label(chosen: string[]) {
  if (chosen.length === 0) return 'All types';
  return chosen.length === 1 ? chosen[0]! : `${chosen.length} chosen`;
}

export function TypeChoice({ session, times = {}, chosen, onChange }: { session: Session; times?: Times; chosen: string[]; onChange: (types: string[]) => void }) {
  const [open, setOpen] = useState(false);
  const [words, setWords] = useState('');
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  useEffect(() => {
    if (!open) return undefined;
    const outside = (event: Event) => { if (!box.current?.contains(event.target as Node)) setOpen(false); };
    document.addEventListener('pointerdown', outside);
    document.addEventListener('focusin', outside);
    return () => {
      document.removeEventListener('pointerdown', outside);
      document.removeEventListener('focusin', outside);
    };
  }, [open]);
  const close = (event: KeyboardEvent) => {
    if (event.key !== 'Escape' || !open) return;
    event.preventDefault(); // or a dialog around it would close, too
    setOpen(false);
    button.current?.focus();
  };
  return (
    <div class="field choice" ref={box} onKeyDown={close}>
      <span class="label" id={`${id}-label`}>Type</span>
      <button type="button" ref={button} aria-expanded={open} aria-controls={id} aria-labelledby={`${id}-label ${id}-value`} onClick={() => setOpen(!open)}>
        <span id={`${id}-value`}>{label(chosen)}</span> <span aria-hidden="true">▾</span>
      </button>
      {open && (
        <div class="panel" id={id} role="group" aria-label="Event types">
          <input type="search" aria-label="Find a type" placeholder="Find a type" value={words} autofocus
            onInput={(event) => setWords(event.currentTarget.value)} />
          <Choices session={session} times={times} words={words.trim().toLowerCase()} chosen={chosen} onChange={onChange} />
        </div>
      )}
    </div>
  );
}

const sum = (types: Counted[]) => types.reduce((all, type) => all + type.events, 0);
const whole = (category: string) => `${category}.*`;

// A family is some categories, a category some types; what is larger holds what is smaller.
function Choices({ session, times, words, chosen, onChange }: { session: Session; times: Times; words: string; chosen: string[]; onChange: (types: string[]) => void }) {
  const types = useTypes(session, times);
  if (types.data === null) return types.error ? <Failure error={types.error} retry={types.reload} /> : <p class="quiet">Loading …</p>;
  const set = new Set(chosen);
  const pick = (on: boolean, add: string[], hold: string[]) => {
    const next = chosen.filter((word) => !add.includes(word) && !hold.includes(word));
    onChange(on ? [...next, ...add] : next);
  };
  const found = types.data.filter((type) => type.key.includes(words) || type.family.toLowerCase().includes(words));
  return (
    <>
      <div class="families">
        {[...Map.groupBy(found, (type) => type.family)].map(([family, members]) => {
          const categories = Map.groupBy(members, (type) => type.category);
          const all = [...categories.keys()].map(whole);
          const isAll = all.every((word) => set.has(word));
          return (
            <fieldset key={family}>
              <legend><Choice on={isAll} onChange={(on) => pick(on, all, members.map((type) => type.key))} events={sum(members)}><strong>{family}</strong></Choice></legend>
              {[...categories].map(([category, own]) => (
                <div key={category}>
                  <Choice on={set.has(whole(category))} onChange={(on) => pick(on, [whole(category)], own.map((type) => type.key))} events={sum(own)}>{whole(category)}</Choice>
                  <div class="types">{own.map((type) => (
                    <Choice key={type.key} on={set.has(type.key) || set.has(whole(category))} off={set.has(whole(category))}
                      onChange={(on) => pick(on, [type.key], [])} events={type.events}>{type.key}</Choice>
                  ))}</div>
                </div>
              ))}
            </fieldset>
          );
        })}
        {found.length === 0 && <p class="quiet">No type has this in its name.</p>}
      </div>
      {chosen.length > 0 && <button type="button" class="small" onClick={() => onChange([])}>All types</button>}
    </>
  );
}

function Choice({ on, off = false, events, onChange, children }: { on: boolean; off?: boolean; events: number; onChange: (on: boolean) => void; children: ComponentChildren }) {
  return (
    <label class={events === 0 ? 'quiet' : ''}>
      <input type="checkbox" checked={on} disabled={off} onChange={(event) => onChange(event.currentTarget.checked)} />
      {children} <span class="quiet number">{count(events)}</span>
    </label>
  );
}
