import { describe, expect, test } from 'vitest';
import { parseArguments } from './arguments.ts';

function parsed(line: string) {
  const result = parseArguments(line === '' ? [] : line.split(' '));
  if (!result.ok) throw new Error(result.error.message);
  const { command, ...rest } = result.value;
  return { ...rest, name: command.name, flags: Object.fromEntries(rest.flags) };
}

function refused(line: string): string {
  const result = parseArguments(line.split(' '));
  return result.ok ? 'accepted' : result.error.message;
}

describe('commands', () => {
  test('one and two words name a command', () => {
    expect(parsed('serve models')).toMatchObject({ name: 'serve', operands: ['models'] });
    expect(parsed('models doctor dir')).toMatchObject({
      name: 'models doctor',
      operands: ['dir'],
    });
    expect(parsed('setup cuda').name).toBe('setup cuda');
  });

  test('no word asks for help, and the usual flags stand for commands', () => {
    expect(parsed('').name).toBe('help');
    expect(parsed('--help').name).toBe('help');
    expect(parsed('models --help')).toMatchObject({ name: 'help', operands: ['models'] });
    expect(parsed('--version').name).toBe('version');
  });

  test('a wrong word is named with the one that was meant', () => {
    expect(refused('gatway')).toBe('unknown command "gatway"; did you mean gateway?');
    expect(refused('models dotcor')).toContain('"models doctor"');
    expect(refused('models labl')).toMatch(/; did you mean models label\?$/u);
    expect(refused('constructor')).toBe('unknown command "constructor"');
  });
});

describe('flags', () => {
  test('values come after a space or an equals sign', () => {
    expect(parsed('worker --models m --only=a,b').flags).toEqual({ models: 'm', only: 'a,b' });
  });

  test('help wins over everything else on the line', () => {
    expect(parsed('serve --nonsense -h')).toMatchObject({ name: 'serve', wantsHelp: true });
  });

  test('an unknown flag is named with the one that was meant', () => {
    expect(refused('serve --prot 1')).toBe('unknown flag --prot for "serve"; did you mean --port?');
    expect(refused('serve -x')).toContain('unknown flag -x');
    expect(refused('serve --__proto__ 1')).toContain('unknown flag');
  });

  test('a flag of another role says whose it is', () => {
    expect(refused('worker --port 1')).toContain('it is one of: serve, gateway');
  });

  test('a negative number is a value, and its range is told; a word with a dash is the next flag', () => {
    expect(parsed('bench m --seed -1').flags).toEqual({ seed: '-1' });
    expect(refused('bench m --seed --csv -')).toBe('--seed needs a value');
  });

  test('flags that may be repeated keep all their values, in order', () => {
    const { flags, lists } = parsed('bench m --input b --window 1 --input=a --header x:1');
    expect(flags).toEqual({ window: '1' });
    expect([...lists]).toEqual([
      ['input', ['b', 'a']],
      ['header', ['x:1']],
    ]);
  });

  test('a dash alone is a value', () => {
    expect(parsed('bench m --json - --csv=-').flags).toEqual({ json: '-', csv: '-' });
  });

  test('a missing, a superfluous and a repeated value are refused', () => {
    expect(refused('serve --port')).toBe('--port needs a value');
    expect(refused('serve --port --host 1')).toBe('--port needs a value');
    expect(refused('models doctor d --json=1')).toBe('--json takes no value');
    expect(refused('serve --port 1 --port 2')).toBe('--port is given twice');
  });

  test('arguments are counted', () => {
    expect(refused('serve a b')).toBe('"serve" does not take the argument "b"');
    expect(refused('models doctor')).toBe('"models doctor" needs DIR');
    expect(refused('gateway models')).toContain('does not take the argument');
  });
});
