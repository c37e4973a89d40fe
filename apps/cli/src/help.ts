/** Help texts, made from the tables of commands and settings so that they cannot fall behind. */
import { tracingVariables } from '@inferry/telemetry';
import { type Command, commands, settingsTaken } from './commands.ts';
import type { Setting } from './settings.ts';

const columnsMax = 80;

/** What `inferry help` prints. */
export function overview(): string {
  return [
    'inferry: a queue-first inference server',
    '',
    'Usage: inferry COMMAND [flags]',
    '',
    ...list(commands),
    '',
    ...wrapped('inferry help COMMAND tells the flags, environment variables and defaults of it.'),
    ...wrapped('Exit status: 0 done, 1 failed, 2 wrong usage, configuration or model repository.'),
    '',
  ].join('\n');
}

/** What `inferry help models` and `inferry models --help` print; undefined where no command begins with the word. */
export function groupHelp(word: string): string | undefined {
  const group = commands.filter(({ name }) => name.startsWith(`${word} `));
  if (group.length === 0) return undefined;
  return [
    `Usage: inferry ${word} COMMAND [flags]`,
    '',
    ...list(group),
    '',
    ...wrapped(`inferry help ${word} COMMAND tells more of it.`),
    '',
  ].join('\n');
}

function list(shown: readonly Command[]): string[] {
  const width = Math.max(...shown.map((command) => usage(command).length)) + 2;
  return shown.flatMap((command) => {
    const [first = '', ...rest] = wrapped(command.summary, 2 + width);
    return [`  ${usage(command)}`.padEnd(2 + width) + first.trimStart(), ...rest];
  });
}

/** What `inferry help COMMAND` and `inferry COMMAND --help` print. */
export function commandHelp(command: Command): string {
  const hasFlags = command.role !== null || command.options.length > 0;
  const lines = [
    `Usage: inferry ${usage(command)}${hasFlags ? ' [flags]' : ''}`,
    '',
    ...wrapped([command.summary, ...command.details].join(' ')),
  ];
  if (command.options.length > 0) {
    lines.push('', 'Flags:');
    for (const option of command.options) {
      const value = option.placeholder === null ? '' : ` ${option.placeholder}`;
      const again = option.isRepeatable === true ? ' (may be repeated)' : '';
      lines.push(...entry(`--${option.flag}${value}${again}`, option.help));
    }
  }
  if (command.role !== null) {
    lines.push('', 'Settings, as a flag or in the environment (the flag wins):');
    for (const setting of settingsTaken(command)) lines.push(...settingEntry(setting));
    lines.push('', 'Tracing, with the variables of OpenTelemetry, in the environment only:');
    for (const { name, placeholder, help } of tracingVariables) {
      lines.push(...entry(`${name}=${placeholder}`, help));
    }
  }
  lines.push('', 'Examples:', ...command.examples.map((example) => `  ${example}`), '');
  return lines.join('\n');
}

function usage(command: Command): string {
  return [command.name, ...command.operands].join(' ');
}

function settingEntry(setting: Setting<unknown>): string[] {
  const shown = setting.fallbackWords ?? setting.fallback;
  const fallback = shown === null ? '' : ` Default: ${shown}.`;
  return entry(
    `--${setting.flag} ${setting.placeholder}, ${setting.env}`,
    `${setting.help}${fallback}`,
  );
}

/** A term on its own line and what it means below it. */
function entry(term: string, text: string): string[] {
  return [`  ${term}`, ...wrapped(text, 6)];
}

/** Lines that fit a terminal, each behind `indent` spaces. */
function wrapped(text: string, indent = 0): string[] {
  const [first = '', ...words] = text.split(' ');
  const lines: string[] = [];
  let line = ' '.repeat(indent) + first;
  for (const word of words) {
    if (line.length + 1 + word.length > columnsMax) {
      lines.push(line);
      line = ' '.repeat(indent) + word;
    } else line += ` ${word}`;
  }
  return [...lines, line];
}
