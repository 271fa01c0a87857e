// The tabs of a browser have one cookie: who comes in, or leaves, in one of them has done
// so in all, and a page must not go on under a name that is no longer the session's.
const channel = new BroadcastChannel('activity.session');

export const tellTabs = () => channel.postMessage(null);

// Another tab has changed the session, or may have while this one was out of sight.
export function whenTabsMayDiffer(call: () => void): () => void {
  const seen = () => { if (!document.hidden) call(); };
  channel.addEventListener('message', call);
  document.addEventListener('visibilitychange', seen);
  return () => {
    channel.removeEventListener('message', call);
    document.removeEventListener('visibilitychange', seen);
  };
}
