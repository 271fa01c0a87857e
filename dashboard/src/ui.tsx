// The small parts that every view is made of.
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { announce } from './announce';
import type { ApiError } from './api';
import { lostConnection } from './api';
import { exact, relative } from './format';
import type { Loaded } from './load';

export function useNow(every = 30_000): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), every);
    return () => window.clearInterval(timer);
  }, [every]);
  return now;
}

export function Time({ value, now }: { value: string | null | undefined; now: number }) {
  if (!value) return <span class="quiet">–</span>;
  return (
    <time dateTime={value} title={value}>
      <span class="exact">{exact(value)}</span> <span class="quiet">{relative(value, now)}</span>
    </time>
  );
}

// Names, ids and urls may be of any script, direction and length.
export function Text({ children, class: name = '' }: { children: ComponentChildren; class?: string }) {
  return <bdi class={`text ${name}`}>{children}</bdi>;
}

// What stands for somebody or something, in a place that has no room for all of it.
export function Name({ value }: { value: string | null | undefined }) {
  const words = value ?? '–';
  return <Text>{words.length > 120 ? `${words.slice(0, 120)}…` : words}</Text>;
}

const longest = 600;

export function LongText({ value, class: name = '' }: { value: string; class?: string }) {
  const [all, setAll] = useState(false);
  if (value.length <= longest) return <Text class={name}>{value}</Text>;
  return (
    <>
      <Text class={name}>{all ? value : value.slice(0, longest)}</Text>{' '}
      <button type="button" class="link" aria-expanded={all} onClick={() => setAll(!all)}>
        {all ? 'less' : `… all ${value.length.toLocaleString()} characters`}
      </button>
    </>
  );
}

// A view's heading takes the focus when one comes to the view.
export function Heading({ children, title }: { children: ComponentChildren; title: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Activity`;
    heading.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [title]);
  return <h1 ref={heading} tabIndex={-1}>{children}</h1>;
}

export function Loading({ what }: { what: string }) {
  return <p class="state" role="status">Loading {what} …</p>;
}

const advice: Record<string, string> = {
  not_a_member: 'Your membership has ended. An admin of the organization can invite you again.',
  missing_capability: 'An admin of the organization can do this, or give you the right.',
};

export function Failure({ error, retry }: { error: ApiError; retry?: () => void }) {
  const lost = lostConnection(error);
  const tier = error.code.includes('tier') || error.code.includes('feature');
  return (
    <div class={`state ${lost ? 'warning' : 'error'}`} role="alert">
      <p><strong>{lost ? 'No connection to the server.' : tier ? 'Not part of this plan.' : 'This did not work.'}</strong>{' '}
        {lost ? 'Trying again by itself.' : error.problem.detail ?? error.message}</p>
      <p class="quiet">{tier && !error.problem.hint ? 'It is there in the premium and enterprise plans; an upgrade shows it at once, with its past.' :
        error.problem.hint ?? advice[error.code] ?? ''}</p>
      {retry && <button type="button" onClick={retry}>Try again</button>}
    </div>
  );
}

// The old answer stays, dimmed, until the new one is there.
export function Answer<T>({ of, what, children }: { of: Loaded<T>; what: string; children: (data: T) => ComponentChildren }) {
  if (of.data === null)
    return of.error ? <Failure error={of.error} retry={of.reload} /> : <Loading what={what} />;
  return (
    <>
      {of.error && <Failure error={of.error} retry={of.reload} />}
      <div class={of.busy ? 'busy' : ''} aria-busy={of.busy}>{children(of.data)}</div>
    </>
  );
}

export function Empty({ children, code }: { children: ComponentChildren; code?: string }) {
  return (
    <div class="state empty">
      <p>{children}</p>
      {code && <Snippet code={code} />}
    </div>
  );
}

export function CopyButton({ value, what = 'Copy' }: { value: string; what?: string }) {
  const [done, setDone] = useState('');
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
      setDone('Copied');
    } catch { setDone('Select it and copy'); }
    announce('Copied');
    window.setTimeout(() => setDone(''), 2000);
  };
  return <button type="button" class="small" onClick={copy}>{done || what}</button>;
}

export function Snippet({ code, label }: { code: string; label?: string }) {
  return (
    <div class="snippet">
      {/* A wide one scrolls, so the keyboard must reach it. */}
      <pre tabIndex={0} aria-label={label ?? 'Example'}><code>{code}</code></pre>
      <CopyButton value={code} />
    </div>
  );
}

export function Badge({ kind, children }: { kind: 'good' | 'bad' | 'warn' | 'plain'; children: ComponentChildren }) {
  return <span class={`badge ${kind}`}>{children}</span>;
}

export function Field({ label, hint, children }: { label: string; hint?: string; children: (id: string, described?: string) => JSX.Element }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id, hint ? `${id}-hint` : undefined)}
      {hint && <span class="quiet" id={`${id}-hint`}>{hint}</span>}
    </div>
  );
}

// A modal dialog; the browser keeps the focus inside and gives it back.
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current?.showModal();
    return () => before?.focus();
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose}
      onClick={(event) => { if (event.target === dialog.current) dialog.current?.close(); }}>
      <div class="dialog">
        <header>
          <h2 id={id}>{title}</h2>
          <button type="button" class="small" onClick={() => dialog.current?.close()}>Close</button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

export function Confirm({ title, action, children, onYes, onClose }:
  { title: string; action: string; children: ComponentChildren; onYes: () => Promise<void>; onClose: () => void }) {
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const yes = async () => {
    setBusy(true);
    try {
      await onYes();
      onClose();
    } catch (caught) {
      setError(caught as ApiError);
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      {error && <Failure error={error} />}
      <p class="buttons"><button type="button" class="danger" disabled={busy} onClick={yes}>{action}</button></p>
    </Dialog>
  );
}

// A secret is shown once, and nowhere kept.
export function ShownOnce({ title, secret, children, onClose }:
  { title: string; secret: string; children: ComponentChildren; onClose: () => void }) {
  return (
    <Dialog title={title} onClose={onClose}>
      <p>This is the only time that it is shown. Keep it where your other secrets are.</p>
      <Snippet code={secret} label="Secret" />
      {children}
    </Dialog>
  );
}

export function Scroll({ label, children }: { label: string; children: ComponentChildren }) {
  return <div class="scroll" role="group" aria-label={label} tabIndex={0}>{children}</div>;
}

// Something that a click does in the database, with its failure told beside it.
export function useAction(): [boolean, ApiError | null, (work: () => Promise<void>) => void] {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const run = (work: () => Promise<void>) => {
    setBusy(true);
    setError(null);
    work().catch((caught) => setError(caught as ApiError)).finally(() => setBusy(false));
  };
  return [busy, error, run];
}
