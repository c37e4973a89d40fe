/** The list of tenants as a setting says it: `acme:4,beta`. */
import { defaultLimits } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u;
const weightMax = 100;
/** A list of a thousand slips is one slip, told a few times. */
const toldMax = 10;

/** Weights by name, in the order given. The error tells of every entry that is wrong. */
export function tenantWeights(text: string): Result<ReadonlyMap<string, number>, string> {
  const entries = text.split(',').map((entry) => entry.trim());
  const weights = new Map<string, number>();
  const problems: string[] = [];
  for (const entry of entries) {
    const [name = '', weight = '1', ...rest] = entry.split(':');
    const shown = JSON.stringify(entry.slice(0, 80));
    if (!namePattern.test(name) || rest.length > 0) {
      problems.push(`${shown} is no name of 1 to 64 letters, digits, ".", "_" or "-"`);
    } else if (weights.has(name)) {
      problems.push(`"${name}" is there twice`);
    } else if (!/^\d{1,3}$/u.test(weight) || Number(weight) < 1 || Number(weight) > weightMax) {
      problems.push(`${shown} has no weight from 1 to ${weightMax}`);
    }
    weights.set(name, Number(weight));
  }
  const { tenantsMax } = defaultLimits;
  if (entries.length > tenantsMax)
    problems.push(`there are ${entries.length}, at most ${tenantsMax}`);
  if (problems.length === 0) return ok(weights);
  const more = problems.length > toldMax ? `; and ${problems.length - toldMax} more` : '';
  const told = problems.slice(0, toldMax).join('; ');
  return err(`must be tenants like acme:4,beta: ${told}${more}`);
}
