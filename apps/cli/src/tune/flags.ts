/** The flags of `inferry tune`, for the table of commands; their values are read in options.ts. */

export const tuneFlags = [
  {
    flag: 'models',
    placeholder: 'DIR',
    help: 'The model repository. Default: INFERRY_MODELS, or models.',
  },
  {
    flag: 'latency-target',
    placeholder: 'MS',
    help: "From acceptance to answer. Default: the model's latency_target_ms; without any, the most rows a second are looked for.",
  },
  {
    flag: 'input',
    placeholder: 'PATH',
    isRepeatable: true,
    help: "An image, a JSON file with a row (an object, or a list of them), or a folder of these: the pipeline's own cost is measured too, as INFERRY_PREPARE_IN and INFERRY_JPEG_DECODER set the workers. Without it the model runs on zeros.",
  },
  {
    flag: 'device',
    placeholder: 'DEVICE',
    help: 'cpu, or cuda:N. Default: INFERRY_DEVICE, or cpu.',
  },
  {
    flag: 'max-batch',
    placeholder: 'ROWS',
    help: 'Largest batch to try. Default: 256, or what the model has as max_batch_size if more.',
  },
  {
    flag: 'max-seconds',
    placeholder: 'N',
    help: 'Time to measure, for all settings together; loading comes on top. Default: 60.',
  },
  { flag: 'json', placeholder: null, help: 'One JSON document on stdout instead.' },
  {
    flag: 'write',
    placeholder: null,
    help: 'Writes the best settings into model.yaml, which keeps its comments, and with REDIS_URL the measured curve for the next worker to start from.',
  },
] as const;
