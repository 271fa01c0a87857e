// Families and types with their counts, to pick from.
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { ask, organizationPath, type Session } from './api';
import { count } from './format';
import { useLoad } from './load';
import { Failure } from './ui';

interface TypeInfo { key: string; category: string; synonymOf: string | null }
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
    .map((type) => ({ key: type.key, category: type.category, events: events.get(type.key) ?? 0 }));
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

function Choices({ session, times, words, chosen, onChange }: { session: Session; times: Times; words: string; chosen: string[]; onChange: (types: string[]) => void }) {
  const types = useTypes(session, times);
  const set = new Set(chosen);
  const toggle = (word: string, category?: string) => {
    const next = new Set(set);
    if (!next.delete(word)) {
      next.add(word);
      // A family holds its types.
      if (category === undefined) for (const other of set) if (other.startsWith(`${word.slice(0, -1)}`)) next.delete(other);
    }
    onChange([...next]);
  };
  if (types.data === null) return types.error ? <Failure error={types.error} retry={types.reload} /> : <p class="quiet">Loading …</p>;
  const families = Map.groupBy(types.data.filter((type) => type.key.includes(words)), (type) => type.category);
  return (
    <>
      <div class="families">
        {[...families].map(([family, members]) => (
          <fieldset key={family}>
            <legend>
              <label><input type="checkbox" checked={set.has(`${family}.*`)} onChange={() => toggle(`${family}.*`)} />
                <strong>{family}</strong> <span class="quiet number">{count(members.reduce((sum, type) => sum + type.events, 0))}</span></label>
            </legend>
            {members.map((type) => (
              <label key={type.key} class={type.events === 0 ? 'none' : ''}>
                <input type="checkbox" checked={set.has(type.key) || set.has(`${family}.*`)} disabled={set.has(`${family}.*`)}
                  onChange={() => toggle(type.key, family)} />
                {type.key} <span class="quiet number">{count(type.events)}</span>
              </label>
            ))}
          </fieldset>
        ))}
        {families.size === 0 && <p class="quiet">No type has this in its name.</p>}
      </div>
      {chosen.length > 0 && <button type="button" class="small" onClick={() => onChange([])}>All types</button>}
    </>
  );
}
