/** From the words after `inferry` to a command, its flags and its arguments. Wrong words are named. */
import { parseArgs } from 'node:util';
import { err, ok, type Result } from '@inferry/runtime';
import { type Command, type CommandName, commands, settingsTaken } from './commands.ts';
import { settings } from './settings.ts';
import { didYouMean } from './suggest.ts';

export interface Invocation {
  readonly command: Command & { readonly name: CommandName };
  /** True when `--help` was among the flags: then nothing else was checked. */
  readonly wantsHelp: boolean;
  /** Values by flag name, without dashes; an empty text for a flag without a value. */
  readonly flags: ReadonlyMap<string, string>;
  /** All values, in order, of flags that may be repeated. */
  readonly lists: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

export interface UsageProblem {
  readonly message: string;
  /** The command whose help would tell, where one was recognized. */
  readonly command: CommandName | null;
}

const helpFlags: ReadonlySet<string> = new Set(['help', 'h']);

/** Parses the words after `inferry`. No words at all ask for help. */
export function parseArguments(words: readonly string[]): Result<Invocation, UsageProblem> {
  const first = words[0];
  if (first === undefined || first === '--help' || first === '-h') {
    return parseFlags(commandNamed('help'), words.slice(1));
  }
  if (first === '--version' || first === '-v') {
    return parseFlags(commandNamed('version'), words.slice(1));
  }
  const pair = commands.find((command) => command.name === `${first} ${words[1] ?? ''}`);
  if (pair !== undefined) return parseFlags(pair, words.slice(2));
  const single = commands.find((command) => command.name === first);
  if (single !== undefined) return parseFlags(single, words.slice(1));
  const asksHelp = words[1] === '--help' || words[1] === '-h';
  if (asksHelp) return parseFlags(commandNamed('help'), [first]);
  return err({ message: unknownCommand(words), command: null });
}

/** The command of that name; the name comes from the table, or from what a user asked help for. */
export function findCommand(name: string): Invocation['command'] | undefined {
  return commands.find((command) => command.name === name);
}

/** `unknown command "sevre"; did you mean serve?` */
export function unknownCommand(words: readonly string[]): string {
  const first = words[0] ?? '';
  const group = commands.filter((command) => command.name.startsWith(`${first} `));
  const names = commands.map((command) => command.name as string);
  const ofTwo = didYouMean(words.slice(0, 2).join(' '), names);
  if (group.length > 0) {
    const wanted = group.map((command) => `"${command.name}"`).join(', ');
    return `"${first}" is followed by another word: ${wanted}${ofTwo}`;
  }
  const suggestion = didYouMean(first, names) || ofTwo;
  return `unknown command "${first}"${suggestion}`;
}

function parseFlags(
  command: Invocation['command'],
  words: readonly string[],
): Result<Invocation, UsageProblem> {
  const wrong = (message: string): Result<Invocation, UsageProblem> =>
    err({ message, command: command.name });
  const known = flagsOf(command);
  const repeatable = new Set(
    (command as Command).options.filter((one) => one.isRepeatable).map((one) => one.flag),
  );
  const { tokens } = parseArgs({
    args: [...words],
    options: Object.fromEntries(
      [...known].map(([flag, takesValue]) => [flag, { type: takesValue ? 'string' : 'boolean' }]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const flags = new Map<string, string>();
  const lists = new Map<string, string[]>();
  const operands: string[] = [];
  if (tokens.some((token) => token.kind === 'option' && helpFlags.has(token.name))) {
    return ok({ command, wantsHelp: true, flags, lists, operands });
  }
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const takesValue = known.get(token.name);
    if (takesValue === undefined)
      return wrong(unknownFlag(command, token.rawName, [...known.keys()]));
    const isRepeatable = repeatable.has(token.name);
    if (flags.has(token.name) && !isRepeatable) return wrong(`${token.rawName} is given twice`);
    // Without "=", a word that begins with a dash is the next flag and not this one's value; a dash alone
    // stands for standard output, and of a negative number the range is told.
    const isNextFlag = token.inlineValue === false && /^-[^\d]/u.test(token.value);
    if (takesValue && (token.value === undefined || isNextFlag)) {
      return wrong(`${token.rawName} needs a value`);
    }
    if (!takesValue && token.value !== undefined) return wrong(`${token.rawName} takes no value`);
    if (isRepeatable) lists.set(token.name, [...(lists.get(token.name) ?? []), token.value ?? '']);
    else flags.set(token.name, token.value ?? '');
  }
  const problem = operandProblem(command, operands);
  return problem === undefined
    ? ok({ command, wantsHelp: false, flags, lists, operands })
    : wrong(problem);
}

/** Flag names of a command, each with whether it takes a value. */
function flagsOf(command: Command): ReadonlyMap<string, boolean> {
  const own = command.options.map((option) => [option.flag, option.placeholder !== null] as const);
  const taken = settingsTaken(command).map((setting) => [setting.flag, true] as const);
  return new Map([...own, ...taken]);
}

function unknownFlag(command: Command, rawName: string, known: readonly string[]): string {
  const name = rawName.replace(/^-+/u, '');
  const elsewhere = Object.values(settings).find((setting) => setting.flag === name);
  if (elsewhere !== undefined && command.role !== null) {
    return `${rawName} is not a flag of "${command.name}" (it is one of: ${elsewhere.roles.join(', ')})`;
  }
  const dashed = known.map((flag) => `--${flag}`);
  return `unknown flag ${rawName} for "${command.name}"${didYouMean(`--${name}`, dashed)}`;
}

function operandProblem(command: Command, operands: readonly string[]): string | undefined {
  // "help" takes the name of a command, which may be of two words.
  if (command.name === 'help') return undefined;
  const isEndless = command.operands.at(-1)?.includes('...') === true;
  const extra = isEndless ? undefined : operands[command.operands.length];
  if (extra !== undefined) return `"${command.name}" does not take the argument "${extra}"`;
  const missing = command.operands.find(
    (operand, index) => !operand.startsWith('[') && operands[index] === undefined,
  );
  return missing === undefined ? undefined : `"${command.name}" needs ${missing}`;
}

function commandNamed(name: CommandName): Invocation['command'] {
  const found = findCommand(name);
  if (found === undefined) throw new Error(`no command ${name}`);
  return found;
}
