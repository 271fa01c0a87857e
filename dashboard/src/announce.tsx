// What changes without the reader's doing is said to screen readers, in one place.
import { useEffect, useState } from 'preact/hooks';

const said = new EventTarget();

export const announce = (words: string) =>
  said.dispatchEvent(new CustomEvent('say', { detail: words }));

export function Announcer() {
  const [words, setWords] = useState('');
  useEffect(() => {
    const say = (event: Event) => setWords((event as CustomEvent<string>).detail);
    said.addEventListener('say', say);
    return () => said.removeEventListener('say', say);
  }, []);
  return <div class="unseen" role="status" aria-live="polite">{words}</div>;
}
