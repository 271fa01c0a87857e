// That nothing was changed, and what was taken out on purpose.
import { useEffect, useRef, useState } from 'preact/hooks';
import { announce } from './announce';
import { ApiError, ask, askLines, organizationPath, type Session } from './api';
import { count, plural } from './format';
import { useLoad } from './load';
import { Answer, Empty, Failure, Heading, Scroll, Snippet, Text, Time, useNow } from './ui';

interface Checkpoint { position: number; hash: string; events: number; takenAt: string }
interface Finding { position: number | null; problem: string }
interface Progress { checking: 'chain' | 'completeness'; done: number; of: number }
interface Verdict { valid: boolean; position: number; events: number; hash: string; verifiedAt: string }
interface Verified extends Verdict { problems: Finding[]; found: number }
const mostShown = 1000;

export function ProofView({ session }: { session: Session }) {
  return (
    <>
      <Heading title="Proof">Proof</Heading>
      <p>Each event is chained to the one before it by a digest. Whoever changes, removes or slips in one breaks the chain from there on.</p>
      <Verification session={session} />
      <CheckpointSection session={session} />
      {session.capabilities.includes('administer') ? <><Holds session={session} /><Redactions session={session} /></> :
        <p class="state">Holds and redactions are shown to admins of the organization.</p>}
    </>
  );
}

type State = { is: 'idle' } | { is: 'running'; since: number; progress: Progress | null; found: number } | { is: 'done'; result: Verified } | { is: 'cancelled' } | { is: 'failed'; error: ApiError };

function Verification({ session }: { session: Session }) {
  const [state, setState] = useState<State>({ is: 'idle' });
  const abort = useRef<AbortController | null>(null);
  const verify = async () => {
    const stop = new AbortController();
    abort.current = stop;
    const since = Date.now();
    let progress: Progress | null = null;
    let verdict: Verdict | null = null;
    let found = 0;
    const problems: Finding[] = [];
    setState({ is: 'running', since, progress, found });
    try {
      await askLines<Progress | Finding | Verdict>(organizationPath(session, 'activity/verify'), { query: { progress: 'true' }, signal: stop.signal }, (lines) => {
        for (const line of lines) {
          if ('checking' in line) progress = line;
          else if ('valid' in line) verdict = line;
          else if (found++ < mostShown) problems.push(line);
        }
        setState({ is: 'running', since, progress, found });
      });
      if (verdict === null) throw new ApiError({ status: 0, code: 'broken_off', message: 'the verification broke off' }, null);
      const result: Verified = { ...verdict as Verdict, problems, found };
      setState({ is: 'done', result });
      announce(result.valid ? 'Verified, nothing was changed' : `${plural(result.found, 'problem')} found`);
    } catch (error) {
      if (stop.signal.aborted) setState({ is: 'cancelled' });
      else setState({ is: 'failed', error: error as ApiError });
    }
  };
  // Nobody waits for what he has left.
  useEffect(() => () => abort.current?.abort(), []);
  const now = useNow(250);
  return (
    <section aria-labelledby="verify">
      <h2 id="verify">Verify</h2>
      {state.is === 'running' ? (
        <>
          <p><progress aria-label="Verification" max={state.progress?.of || undefined} value={state.progress?.done} />{' '}
            <button type="button" onClick={() => abort.current?.abort()}>Cancel</button></p>
          <p class="quiet">{state.progress === null ? 'Starting' : <>
            {state.progress.checking === 'chain' ? 'Each event against the chain' : 'Whether events were slipped in'}: <span class="number">{count(state.progress.done)} of {count(state.progress.of)}</span></>}
            , <span class="number">{Math.max(0, Math.floor((now - state.since) / 1000))} s</span>{state.found > 0 && <>, <strong>{plural(state.found, 'problem')}</strong></>}</p>
        </>
      ) : <p><button type="button" class="primary" onClick={verify}>Verify the chain</button></p>}
      {state.is === 'cancelled' && <p class="state">Cancelled.</p>}
      {state.is === 'failed' && <Failure error={state.error} retry={verify} />}
      {state.is === 'done' && (state.result.valid ?
        <p class="state good">All {plural(state.result.events, 'event')} up to position {count(state.result.position)} verified: nothing was changed, removed, inserted or reordered.</p> : (
          <div class="state error" role="alert">
            <p><strong>{plural(state.result.found, 'problem')}.</strong>{state.result.found > mostShown && ` The first ${count(mostShown)} are shown.`} Compare with a checkpoint that you kept, and with a backup of that time.</p>
            <Scroll label="Problems"><table>
              <thead><tr><th scope="col" class="number">Position</th><th scope="col">Problem</th></tr></thead>
              <tbody>{state.result.problems.map((one, at) => <tr key={at}><th scope="row" class="number">{one.position ?? '–'}</th><td><Text>{one.problem}</Text></td></tr>)}</tbody>
            </table></Scroll>
          </div>
        ))}
    </section>
  );
}

function CheckpointSection({ session }: { session: Session }) {
  const checkpoint = useLoad((signal) => ask<Checkpoint>('GET', organizationPath(session, 'activity/checkpoint'), { signal }), [session]);
  return (
    <section aria-labelledby="checkpoint">
      <h2 id="checkpoint">Checkpoint</h2>
      <p>Keep this where whoever runs the database can't write: later it shows that the past was not made anew.</p>
      <Answer of={checkpoint} what="the checkpoint">{(data) => <Snippet label="Checkpoint" code={JSON.stringify({ organization: session.organization, ...data }, null, 2)} />}</Answer>
      <p><button type="button" class="small" onClick={checkpoint.reload}>Take a new one</button></p>
    </section>
  );
}

interface Hold { id: string; reason: string; actor: string | null; subject: string | null; from: string | null; to: string | null; placedAt: string; placedBy: string | null; releasedAt: string | null }

function Holds({ session }: { session: Session }) {
  const now = useNow();
  const holds = useLoad((signal) => ask<{ items: Hold[] }>('GET', organizationPath(session, 'holds'), { signal }), [session]);
  return (
    <section aria-labelledby="holds">
      <h2 id="holds">Holds</h2>
      <Answer of={holds} what="holds">{({ items }) => items.length === 0 ?
        <Empty code={`SELECT activity.place_hold('${session.organization.replace(/'/g, '\'\'')}', 'case 2026-17');`}>Nothing is held: events expire by the organization's retention.</Empty> : (
          <Scroll label="Holds"><table>
            <thead><tr><th scope="col">Reason</th><th scope="col">What</th><th scope="col">Placed</th><th scope="col">By</th><th scope="col">Released</th></tr></thead>
            <tbody>{items.map((hold) => (
              <tr key={hold.id}>
                <th scope="row"><Text>{hold.reason}</Text></th>
                <td>{hold.actor && <>actor <Text>{hold.actor}</Text> </>}{hold.subject && <>subject <Text>{hold.subject}</Text> </>}
                  {hold.from && <>since <Time value={hold.from} now={now} /> </>}{hold.to && <>until <Time value={hold.to} now={now} /></>}
                  {!hold.actor && !hold.subject && !hold.from && !hold.to && 'everything'}</td>
                <td><Time value={hold.placedAt} now={now} /></td>
                <td><Text>{hold.placedBy ?? 'system'}</Text></td>
                <td><Time value={hold.releasedAt} now={now} /></td>
              </tr>
            ))}</tbody>
          </table></Scroll>
        )}</Answer>
    </section>
  );
}

interface Redaction { id: string; reason: string; redactedAt: string; actor: string | null; pseudonym: string | null; events: number; deliveries: number }

function Redactions({ session }: { session: Session }) {
  const now = useNow();
  const redactions = useLoad((signal) => ask<{ items: Redaction[] }>('GET', organizationPath(session, 'redactions'), { signal }), [session]);
  return (
    <section aria-labelledby="redactions">
      <h2 id="redactions">Redactions</h2>
      <Answer of={redactions} what="redactions">{({ items }) => items.length === 0 ?
        <Empty>Nothing personal was taken out. Where it is, type, time, position and digest stay.</Empty> : (
          <Scroll label="Redactions"><table>
            <thead><tr><th scope="col">When</th><th scope="col">Reason</th><th scope="col" class="number">Events</th><th scope="col">By</th></tr></thead>
            <tbody>{items.map((one) => (
              <tr key={one.id}>
                <th scope="row"><Time value={one.redactedAt} now={now} /></th>
                <td><Text>{one.reason}</Text></td>
                <td class="number">{count(one.events)}</td>
                <td><Text>{one.actor ?? 'system'}</Text></td>
              </tr>
            ))}</tbody>
          </table></Scroll>
        )}</Answer>
    </section>
  );
}
