// What a view shows while it asks for the next thing: the old one.
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, lostConnection } from './api';

export interface Loaded<T> {
  data: T | null;
  error: ApiError | null;
  busy: boolean;
  reload: () => void;
}

const asApiError = (error: unknown) => error instanceof ApiError ? error :
  new ApiError({ status: -1, code: 'unexpected', message: String(error) }, null);

// Loads again whenever one of the inputs changes, and, as long as the server can't be
// reached, by itself. Of several questions the last one's answer counts.
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, inputs: readonly unknown[]): Loaded<T> {
  const [state, setState] = useState<Omit<Loaded<T>, 'reload'>>({ data: null, error: null, busy: true });
  const [round, setRound] = useState(0);
  const failures = useRef(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    setState((old) => ({ ...old, busy: true }));
    load(abort.signal).then((data) => {
      if (abort.signal.aborted) return;
      failures.current = 0;
      setState({ data, error: null, busy: false });
    }, (error: unknown) => {
      if (abort.signal.aborted) return;
      setState((old) => ({ data: old.data, error: asApiError(error), busy: false }));
      if (!lostConnection(error)) return;
      failures.current += 1;
      const rest = Math.min(1000 * 2 ** failures.current, 30_000);
      timer = window.setTimeout(() => setRound((n) => n + 1), rest);
    });
    return () => { abort.abort(); window.clearTimeout(timer); };
  }, [...inputs, round]);
  useEffect(() => {
    const again = () => { if (lostConnection(state.error)) setRound((n) => n + 1); };
    window.addEventListener('online', again);
    return () => window.removeEventListener('online', again);
  }, [state.error]);
  return { ...state, reload: () => setRound((n) => n + 1) };
}

// The value, once it has stood still for so many milliseconds.
export function useSettled<T>(value: T, milliseconds: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled(value), milliseconds);
    return () => window.clearTimeout(timer);
  }, [value]);
  return settled;
}
