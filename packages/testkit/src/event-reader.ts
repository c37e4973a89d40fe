/** Reads an event stream as a browser does, for tests. */

export interface ReadEvent {
  readonly event: string;
  readonly id: string | undefined;
  /** As JSON. */
  readonly data: Record<string, unknown>;
}

export class EventReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #text = '';
  /** Everything that was read and no event: pings and pauses. */
  readonly others: string[] = [];

  constructor(response: Response) {
    if (response.body === null) throw new Error(`no body in an answer with ${response.status}`);
    this.#reader = response.body.getReader();
  }

  /** The next event, or undefined when the stream is over. */
  async next(): Promise<ReadEvent | undefined> {
    for (;;) {
      const end = this.#text.indexOf('\n\n');
      if (end === -1) {
        const { done, value } = await this.#reader.read();
        if (done) return undefined;
        this.#text += this.#decoder.decode(value, { stream: true });
        continue;
      }
      const block = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 2);
      const fields = new Map<string, string>();
      for (const line of block.split('\n')) {
        const [, name, value = ''] = /^(\w+): ?(.*)$/u.exec(line) ?? [];
        if (name !== undefined) fields.set(name, value);
      }
      const data = fields.get('data');
      if (data === undefined) this.others.push(block);
      else {
        return {
          event: fields.get('event') ?? 'message',
          id: fields.get('id'),
          data: JSON.parse(data) as Record<string, unknown>,
        };
      }
    }
  }

  /** The next event of this name; others before it are dropped. */
  async until(event: string): Promise<ReadEvent> {
    for (;;) {
      const next = await this.next();
      if (next === undefined) throw new Error(`the stream ended without ${event}`);
      if (next.event === event) return next;
    }
  }

  async all(): Promise<readonly ReadEvent[]> {
    const events: ReadEvent[] = [];
    for (let next = await this.next(); next !== undefined; next = await this.next()) {
      events.push(next);
    }
    return events;
  }

  /** The caller goes away. */
  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}
