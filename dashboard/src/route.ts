// The address of what is on screen: `#/view/part?filter=value`. All that decides what a
// view shows stands there, so back, forward, reload and a pasted link show it again.
import { useEffect, useState } from 'preact/hooks';
import { search, type Query } from './api';

export interface Route { path: string[]; query: URLSearchParams }

const decode = (part: string) => {
  try { return decodeURIComponent(part); } catch { return part; }
};

export const currentRoute = (): Route => {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  return { path: path.split('/').filter((part) => part !== '').map(decode), query: new URLSearchParams(query) };
};

export const address = (path: string, query: Query = {}) => `#/${path}${search(query)}`;

const changed = new Event('activity:route');

export function go(to: string, replace = false): void {
  if (to === location.hash) return;
  if (replace) {
    history.replaceState(null, '', to);
    window.dispatchEvent(changed);
  } else location.hash = to;
}

export function useRoute(): Route {
  const [route, setRoute] = useState(currentRoute);
  useEffect(() => {
    const read = () => setRoute(currentRoute());
    window.addEventListener('hashchange', read);
    window.addEventListener('activity:route', read);
    return () => {
      window.removeEventListener('hashchange', read);
      window.removeEventListener('activity:route', read);
    };
  }, []);
  return route;
}
