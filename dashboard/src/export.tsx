// Exports of what is on screen, or of everything that passes the filters.
import { useEffect, useRef, useState } from 'preact/hooks';
import { announce } from './announce';
import { ApiError, organizationPath, type Session } from './api';
import { directAddress, download, type Progress } from './download';
import type { Page } from './events';
import { areNone, toApi, type Filters } from './filters';
import { bytes, count, plural } from './format';
import { Dialog, Failure, Field } from './ui';

const formats = [
  { format: 'csv', name: 'CSV, for spreadsheets', ending: 'csv' },
  { format: 'json', name: 'JSON', ending: 'json' },
  { format: 'ndjson', name: 'JSON, an event a line', ending: 'ndjson' },
  { format: 'cloudevents', name: 'CloudEvents', ending: 'ndjson' },
  { format: 'ocsf', name: 'OCSF, for security tools', ending: 'ndjson' },
  { format: 'proof', name: 'Proof, to verify without us', ending: 'proof' },
];
const mostInPage = 200_000; // events; more are downloaded by the browser itself

const after = (time: string) => { // the next microsecond
  const [, whole = '', fraction = ''] = /^(.*?)(?:\.(\d+))?Z$/.exec(time) ?? [];
  const next = Number(fraction.padEnd(6, '0').slice(0, 6)) + 1;
  return next < 1_000_000 ? `${whole}.${String(next).padStart(6, '0')}Z` :
    new Date(new Date(`${whole}Z`).getTime() + 1000).toISOString();
};

export function ExportDialog({ session, filters, page, total, onClose }:
  { session: Session; filters: Filters; page: Page; total: number | null; onClose: () => void }) {
  const [scope, setScope] = useState<'page' | 'all'>('all');
  const [format, setFormat] = useState(formats[0]!);
  const [progress, setProgress] = useState<Progress | null>(null);
  const [done, setDone] = useState('');
  const [error, setError] = useState<ApiError | null>(null);
  const abort = useRef<AbortController | null>(null);
  const first = page.items[0]!;
  const last = page.items[page.items.length - 1]!;
  const expected = scope === 'page' ? page.items.length : total;
  const query = {
    ...toApi(filters), format: format.format,
    ...scope === 'page' ? { from: last.occurredAt, to: after(first.occurredAt) } : {},
  };
  const path = organizationPath(session, 'activity/export');
  const name = `activity.${format.ending}`;
  const start = async () => {
    abort.current = new AbortController();
    setDone('');
    setError(null);
    setProgress({ bytes: 0, rows: 0 });
    try {
      const end = await download(path, query, name, format.ending !== 'json', abort.current.signal, setProgress);
      setDone(`Saved ${name}, ${bytes(end.bytes)}.`);
      announce('Saved');
    } catch (caught) {
      if (caught instanceof ApiError) setError(caught);
      else setDone(abort.current.signal.aborted ? 'Cancelled. Nothing was saved.' : 'The export broke off. Nothing was saved.');
    }
    setProgress(null);
  };
  const close = () => {
    abort.current?.abort();
    onClose();
  };
  // Whoever goes back in the browser leaves without closing.
  useEffect(() => () => abort.current?.abort(), []);
  const isLarge = expected !== null && expected > mostInPage;
  return (
    <Dialog title="Export" onClose={close}>
      <form onSubmit={(event) => { event.preventDefault(); void start(); }}>
        <fieldset disabled={progress !== null}>
          <legend>What</legend>
          <label><input type="radio" name="scope" checked={scope === 'all'} onChange={() => setScope('all')} />
            {areNone(filters) ? 'Everything' : 'Everything that passes the filters'}{total !== null && <span class="quiet"> {plural(total, 'event')}</span>}</label>
          <label><input type="radio" name="scope" checked={scope === 'page'} onChange={() => setScope('page')} />
            What is on screen <span class="quiet">{plural(page.items.length, 'event')}</span></label>
        </fieldset>
        <Field label="Format" hint={format.format === 'csv' ? 'Cells that a spreadsheet would run begin with an apostrophe.' : undefined}>{(id, described) => (
          <select id={id} aria-describedby={described} disabled={progress !== null} value={format.format} onChange={(event) => setFormat(formats.find((one) => one.format === event.currentTarget.value)!)}>
            {formats.map((one) => <option key={one.format} value={one.format}>{one.name}</option>)}
          </select>
        )}</Field>
        {progress !== null && (
          <p>
            <progress aria-label="Export" max={expected ?? undefined} value={expected === null || progress.rows === 0 ? undefined : Math.min(progress.rows, expected)} />{' '}
            {progress.rows > 0 ? `${count(progress.rows)} of ${expected === null ? '?' : count(expected)} events, ` : ''}{bytes(progress.bytes)}
          </p>
        )}
        {error && <Failure error={error} />}
        {done && <p role="status">{done}</p>}
        <p class="buttons">
          {progress !== null ? <button type="button" onClick={() => abort.current?.abort()}>Cancel</button> :
            isLarge ? <a class="button" href={directAddress(path, query)} download={name}>Export</a> :
              <button type="submit" class="primary">Export</button>}
        </p>
        <p class="quiet">An export is itself an event: who, what, and how much.</p>
      </form>
    </Dialog>
  );
}
