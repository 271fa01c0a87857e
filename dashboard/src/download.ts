// A download with progress that can be stopped. What is larger than fits into a page is
// left to the browser, which has a progress of its own.
import { fetchApi, search, type Query } from './api';

export interface Progress { bytes: number; rows: number }

export async function download(path: string, query: Query, name: string, lineIsRow: boolean,
  signal: AbortSignal, onProgress: (progress: Progress) => void): Promise<Progress> {
  const response = await fetchApi('GET', path, { query, signal });
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  const progress = { bytes: 0, rows: 0 };
  const reader = response.body!.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    progress.bytes += value.length;
    if (lineIsRow) for (const byte of value) if (byte === 10) progress.rows += 1;
    onProgress({ ...progress });
  }
  save(new Blob(pieces, { type: response.headers.get('content-type') ?? 'application/octet-stream' }), name);
  return progress;
}

function save(blob: Blob, name: string) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export const directAddress = (path: string, query: Query) => `api/v1/${path}${search(query)}`;
