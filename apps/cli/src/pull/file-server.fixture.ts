/** A web server for tests that answers as each test says, and remembers what it was asked. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Asked {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

/** `nth` counts from 0. */
export type Answer = (response: ServerResponse, asked: Asked, nth: number) => void;

export interface FileServer {
  readonly url: string;
  readonly asked: readonly Asked[];
  answer: Answer;
  close(): Promise<void>;
}

export async function startFileServer(): Promise<FileServer> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const one = { path: request.url ?? '', headers: request.headers };
    asked.push(one);
    self.answer(response, one, asked.length - 1);
  });
  const self: FileServer = {
    url: '',
    asked,
    answer: (response) => response.writeHead(404).end(),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(self, { url: `http://127.0.0.1:${port}` });
}

/** As a server of files does: with ETag, and from where a Range begins if the ETag is still right. */
export function serving(bytes: Buffer, etag = '"1"'): Answer {
  return (response, { headers }) => {
    const start = startOf(headers, etag);
    const length = { 'content-length': bytes.length - start, etag };
    if (start === 0) response.writeHead(200, length);
    else response.writeHead(206, { ...length, 'content-range': rangeOf(bytes, start) });
    response.end(bytes.subarray(start));
  };
}

/** The same, but the connection breaks after `count` bytes, once they `hasArrived` (bytes since the beginning). */
export function breakingAfter(
  count: number,
  bytes: Buffer,
  hasArrived: (bytes: number) => Promise<void>,
  etag = '"1"',
): Answer {
  return (response, { headers }) => {
    const start = startOf(headers, etag);
    const length = { 'content-length': bytes.length - start, etag };
    if (start === 0) response.writeHead(200, length);
    else response.writeHead(206, { ...length, 'content-range': rangeOf(bytes, start) });
    response.write(bytes.subarray(start, start + count));
    void hasArrived(start + count).finally(() => response.destroy());
  };
}

function startOf(headers: IncomingHttpHeaders, etag: string): number {
  const from = /^bytes=(\d+)-$/u.exec(headers.range ?? '')?.[1];
  return from !== undefined && headers['if-range'] === etag ? Number(from) : 0;
}

function rangeOf(bytes: Buffer, start: number): string {
  return `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
}
