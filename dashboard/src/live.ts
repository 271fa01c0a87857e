// The stream over WebSocket: from where it was, after any disconnect, until it is told
// that it may not.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ActivityEvent, Session } from './api';
import { ApiError, fetchApi, organizationPath, parse } from './api';

export interface Frame { cursor: string; position: number; prev: number; event: ActivityEvent }

export type LiveState =
  | { is: 'connecting' | 'catching up' | 'live' }
  | { is: 'lost'; again: number }
  | { is: 'ended'; why: string };

interface Listener {
  types?: string[];
  // Called at most once a frame of the screen, with what came since.
  onFrames: (frames: Frame[]) => void;
  onState: (state: LiveState) => void;
  // The cursor could not be continued: what was missed must be read otherwise.
  onReset: () => void;
}

const mostKept = 5000; // between two screens; beyond it the oldest are only counted

export class Live {
  private socket: WebSocket | null = null;
  private cursor = 'now';
  private failures = 0;
  private timer = 0;
  private kept: Frame[] = [];
  private scheduled = false;
  private stopped = false;
  missed = 0;

  constructor(private readonly session: Session, private readonly listener: Listener) {
    window.addEventListener('online', this.now);
    this.open();
  }

  stop() {
    this.stopped = true;
    window.removeEventListener('online', this.now);
    window.clearTimeout(this.timer);
    this.socket?.close(1000);
  }

  private readonly now = () => {
    if (this.socket === null && !this.stopped) this.open();
  };

  private open() {
    window.clearTimeout(this.timer);
    const url = new URL(`api/v1/${organizationPath(this.session, 'stream')}`, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    url.hash = '';
    this.listener.onState({ is: 'connecting' });
    const socket = new WebSocket(url, ['activity.v1']);
    this.socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      socket.send(JSON.stringify({ op: 'subscribe', cursor: this.cursor, types: this.listener.types ?? [] }));
    };
    socket.onmessage = (message) => this.frame(parse(message.data as string) as Parameters<Live['frame']>[0]);
    socket.onclose = (end) => {
      if (this.socket !== socket) return;
      this.socket = null;
      if (!this.stopped && opened) this.closed(end.code, end.reason);
      else if (!this.stopped) void this.failed(end.code);
    };
  }

  // A refused handshake looks like any other failure to a page, so it asks by HTTP.
  private async failed(code: number) {
    const asking = new AbortController();
    const patience = window.setTimeout(() => asking.abort(), 10_000);
    let refusal: ApiError | null = null;
    try {
      await fetchApi('GET', organizationPath(this.session, 'stream'), { headers: { Accept: 'text/event-stream' }, signal: asking.signal });
    } catch (error) {
      if (error instanceof ApiError && (error.status === 401 || error.status === 403)) refusal = error;
    }
    window.clearTimeout(patience);
    asking.abort();
    if (this.stopped || this.socket !== null) return;
    if (refusal === null) this.closed(code, '');
    else this.listener.onState({ is: 'ended', why: refusal.message });
  }

  private frame(frame: { op: string; cursor?: string } & Partial<Frame>) {
    if (frame.op === 'hello') this.listener.onState({ is: 'catching up' });
    if (frame.op === 'live') {
      this.failures = 0;
      this.listener.onState({ is: 'live' });
    }
    if (frame.op === 'reset') {
      this.cursor = 'now';
      this.listener.onReset();
      return;
    }
    if (frame.cursor !== undefined) this.cursor = frame.cursor;
    if (frame.op !== 'event') return;
    if (this.kept.length >= mostKept) {
      this.kept.shift();
      this.missed += 1;
    }
    this.kept.push(frame as Frame);
    if (this.scheduled) return;
    this.scheduled = true;
    const flush = () => {
      this.scheduled = false;
      this.listener.onFrames(this.kept.splice(0));
    };
    if (document.hidden) window.setTimeout(flush, 1000);
    else window.requestAnimationFrame(flush);
  }

  private closed(code: number, reason: string) {
    if (code >= 4000 && code <= 4099 && code !== 4009) {
      this.listener.onState({ is: 'ended', why: reason || 'the right to listen has ended' });
      return;
    }
    this.failures += 1;
    const most = code >= 4200 && code <= 4299 ? 500 : Math.min(1000 * 2 ** this.failures, 30_000);
    const rest = most / 2 + Math.random() * most / 2;
    this.listener.onState({ is: 'lost', again: Date.now() + rest });
    this.timer = window.setTimeout(() => this.open(), rest);
  }
}

export function useLive(session: Session, onFrames: (frames: Frame[]) => void, onReset: () => void, on = true): LiveState {
  const [state, setState] = useState<LiveState>({ is: 'connecting' });
  const calls = useRef({ onFrames, onReset });
  calls.current = { onFrames, onReset };
  useEffect(() => {
    if (!on) return undefined;
    const live = new Live(session, {
      onFrames: (frames) => calls.current.onFrames(frames),
      onReset: () => calls.current.onReset(),
      onState: setState,
    });
    return () => live.stop();
  }, [session, on]);
  return state;
}
