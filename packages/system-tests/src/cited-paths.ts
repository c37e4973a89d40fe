/** Finds the paths of the repository that a document names, so that a test can hold it to them. */

/**
 * Relative links, and code spans that begin with a folder of the repository, without anchors and line
 * numbers. Fenced blocks are left out, and so are patterns (`*`, `<name>`) and examples (`my-model`).
 */
export function citedPaths(markdown: string): readonly string[] {
  const prose = markdown.replaceAll(/^```[\s\S]*?^```/gmu, '');
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/gu)].map((match) => match[1] ?? '');
  const spans = [...prose.matchAll(/`([^`\s]+)`/gu)]
    .map((match) => match[1] ?? '')
    .filter((span) => /^(?:\.ci|apps|bench|docs|infra|k6|models|packages|scripts)\//u.test(span));
  return [...links, ...spans]
    .filter((cited) => !/^(?:[a-z]+:|#)|[*<{…$]/u.test(cited))
    .map((cited) => cited.replace(/(?:#|:\d).*$/u, ''))
    .filter((cited) => !/(?:^|\/)my[-_]/u.test(cited));
}
