import fc from 'fast-check';
import { expect, test } from 'vitest';

import { eventText, parseEventId, pingText, retryText } from './event-stream.ts';

/** A reader as the standard has it, for lines that end in a line feed. */
function readEvents(text: string) {
  const events: { event: string; data: string; id: string | undefined }[] = [];
  for (const block of text.split('\n\n')) {
    const data: string[] = [];
    let event = 'message';
    let id: string | undefined;
    for (const line of block.split('\n')) {
      const [, name, value = ''] = /^(\w+): ?(.*)$/su.exec(line) ?? [];
      if (name === 'data') data.push(value);
      if (name === 'event') event = value;
      if (name === 'id') id = value;
    }
    if (data.length > 0) events.push({ event, data: data.join('\n'), id });
  }
  return events;
}

test('what is written is read as it was, with pings and pauses between', () => {
  const event = fc.record({
    event: fc.constantFrom('state', 'output', 'done'),
    data: fc.oneof(fc.json(), fc.string(), fc.constantFrom('', 'a\nb', '\n', 'a\n\nb')),
    id: fc.option(fc.constantFrom('done', '1-2'), { nil: undefined }),
  });
  const isOneLineEnd = (data: string): boolean => !data.includes('\r');
  fc.assert(
    fc.property(fc.array(event), (events) => {
      const written = events.filter(({ data }) => isOneLineEnd(data));
      const text = written.map(({ id, ...rest }) =>
        eventText(id === undefined ? rest : { ...rest, id }),
      );
      expect(readEvents([retryText(2_000), ...text].join(pingText))).toEqual(written);
    }),
  );
});

test('carriage returns end lines too: none reaches the reader inside one', () => {
  const text = eventText({ data: 'a\r\nb\rc' });
  expect(text).toBe('data: a\ndata: b\ndata: c\n\n');
});

test('ids are places in the partial outputs of a job', () => {
  expect(parseEventId('3-17')).toEqual({ epoch: 3, number: 17 });
  expect(parseEventId('done')).toBe('done');
  for (const id of ['', '3', '3-', '-1-2', '1-2-3', '1763662921031-0', 'x-1', '1-2 ']) {
    expect(parseEventId(id), id).toBeUndefined();
  }
});
