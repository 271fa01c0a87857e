import { useEffect } from 'preact/hooks';
import { announce } from './announce';
import type { LiveState } from './live';

const words: Record<LiveState['is'], string> = {
  connecting: 'Connecting …',
  'catching up': 'Catching up …',
  live: 'Live',
  lost: 'Connection lost; it comes back by itself and misses nothing',
  ended: 'Live events have ended',
};

export function LiveBadge({ state }: { state: LiveState }) {
  const alarming = state.is === 'lost' || state.is === 'ended';
  useEffect(() => { if (alarming) announce(words[state.is]); }, [state.is]);
  return (
    <span class={`live ${state.is.replace(' ', '-')}`}>
      <span class="dot" aria-hidden="true" />
      {words[state.is]}{state.is === 'ended' && `: ${state.why}`}
    </span>
  );
}
