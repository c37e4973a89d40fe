/** What was opened so far, closed again in the opposite order: at the end, or when a start fails midway. */
import { closeAll, type CloseStep } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';

export class OpenParts {
  readonly #steps: CloseStep[] = [];
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(name: string, close: () => Promise<void> | void): void {
    this.#steps.unshift({ name, close });
  }

  /** Every step runs; throws at the end when one failed. */
  close(): Promise<void> {
    return closeAll(this.#steps, (name, cause) =>
      this.#logger.error({ step: name, err: cause }, 'close failed'),
    );
  }
}
