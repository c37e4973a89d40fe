import { expect, test } from 'vitest';
import { Emitter } from './emitter.ts';

type Events = { said: string; counted: number };

test('listeners hear the events of their name, in the order in which they came', () => {
  const emitter = new Emitter<Events>();
  const heard: unknown[] = [];
  emitter.on('said', (text) => heard.push(['first', text]));
  emitter.on('said', (text) => heard.push(['second', text]));
  emitter.on('counted', (count) => heard.push(count));
  emitter.emit('said', 'a');
  emitter.emit('counted', 2);
  expect(heard).toEqual([['first', 'a'], ['second', 'a'], 2]);
});

test('an event nobody listens to is dropped', () => {
  expect(() => new Emitter<Events>().emit('said', 'a')).not.toThrow();
});

test('a listener that throws breaks neither the others nor the emitting code', () => {
  const errors: unknown[] = [];
  const emitter = new Emitter<Events>((cause) => errors.push(cause));
  const heard: string[] = [];
  const failure = new Error('in a listener');
  emitter.on('said', () => {
    throw failure;
  });
  emitter.on('said', (text) => heard.push(text));
  emitter.emit('said', 'a');
  emitter.emit('said', 'b');
  expect(heard).toEqual(['a', 'b']);
  expect(errors).toEqual([failure, failure]);
});

test('a removed listener hears nothing more, and removing it twice is harmless', () => {
  const emitter = new Emitter<Events>();
  const heard: string[] = [];
  const remove = emitter.on('said', (text) => heard.push(text));
  emitter.on('said', (text) => heard.push(`other ${text}`));
  emitter.emit('said', 'a');
  remove();
  remove();
  emitter.emit('said', 'b');
  expect(heard).toEqual(['a', 'other a', 'other b']);
});

test('listeners removed during an event: itself heard it, one not yet reached does not', () => {
  const emitter = new Emitter<Events>();
  const heard: string[] = [];
  const removeFirst = emitter.on('said', () => {
    heard.push('first');
    removeFirst();
    removeLast();
  });
  emitter.on('said', () => heard.push('middle'));
  const removeLast = emitter.on('said', () => heard.push('last'));
  emitter.emit('said', 'a');
  expect(heard).toEqual(['first', 'middle']);
  emitter.emit('said', 'b');
  expect(heard).toEqual(['first', 'middle', 'middle']);
});
