/** Orderly shutdown: every step runs, whatever the others do. */
export interface CloseStep {
  readonly name: string;
  readonly close: () => Promise<void> | void;
}

/**
 * Closes in the given order. A failing step is reported and never skips the next; all failures are
 * thrown together at the end.
 */
export async function closeAll(
  steps: readonly CloseStep[],
  report: (name: string, cause: unknown) => void,
): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      await step.close();
    } catch (cause) {
      failures.push(cause);
      report(step.name, cause);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'shutdown was not clean');
}
