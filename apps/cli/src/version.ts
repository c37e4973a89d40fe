/** The version of this command, read from the package it is part of. */
import { readFileSync } from 'node:fs';

export function ownVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  // Our own file: it has a version, or nothing of ours was installed.
  return (JSON.parse(text) as { readonly version: string }).version;
}
