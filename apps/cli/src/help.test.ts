import { describe, expect, test } from 'vitest';
import { commands, settingsTaken } from './commands.ts';
import { commandHelp, groupHelp, overview } from './help.ts';

const columnsMax = 80;

test('the overview names every command, and fits a terminal', () => {
  for (const command of commands) expect(overview()).toContain(`  ${command.name}`);
  for (const line of overview().split('\n')) expect(line.length).toBeLessThanOrEqual(columnsMax);
});

test('a word that several commands begin with tells them', () => {
  const models = groupHelp('models') ?? '';
  for (const { name } of commands) {
    expect(models.includes(`\n  ${name} `)).toBe(name.startsWith('models '));
  }
  expect(models.replaceAll(/\s+/gu, ' ')).toContain(
    'Goes back to the version that was stable before.',
  );
  for (const line of models.split('\n')) expect(line.length).toBeLessThanOrEqual(columnsMax);
  expect(groupHelp('model')).toBeUndefined();
});

describe.each(commands)('help of $name', (command) => {
  const text = commandHelp(command);

  test('tells its flags, their variables and defaults', () => {
    for (const setting of settingsTaken(command)) {
      expect(text).toContain(`--${setting.flag} ${setting.placeholder}, ${setting.env}\n`);
      const fallback = setting.fallbackWords ?? setting.fallback;
      if (fallback !== null) {
        expect(text.replaceAll(/\s+/gu, ' ')).toContain(`Default: ${fallback}.`);
      }
    }
    for (const option of command.options) expect(text).toContain(`--${option.flag}`);
  });

  test('tells how to trace, where the command is a role', () => {
    expect(text.includes('OTEL_EXPORTER_OTLP_ENDPOINT=URL')).toBe(command.role !== null);
  });

  test('has an example and fits a terminal', () => {
    expect(text).toMatch(/Examples:\n {2}(?:\S+=\S+ )*inferry /u);
    const description = text.slice(0, text.indexOf('Examples:'));
    for (const line of description.split('\n')) expect(line.length).toBeLessThanOrEqual(columnsMax);
  });
});
