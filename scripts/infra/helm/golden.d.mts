/** See golden.mjs. */
export const chart: string;
export const golden: string;
export const digestFile: string;
export function cases(): readonly string[];
export function chartDigest(): string;
