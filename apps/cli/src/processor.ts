/** What `processor.ts` of a model imports for its types: `import type { ProcessorContext } from 'inferry/processor'`. */
export type {
  Generate,
  GivenTensor,
  GivenTensors,
  ProcessorContext,
  ProcessorTensor,
  ProcessorTensors,
  StepError,
  StepOptions,
} from '@inferry/worker/processor';
