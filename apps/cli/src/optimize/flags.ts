/** The flags of `inferry models optimize`, for the table of commands; their values are read in options.ts. */

export const optimizeFlags = [
  {
    flag: 'to',
    placeholder: 'VARIANT',
    isRepeatable: true,
    help: 'graph (the graph optimised beforehand, which loads faster), fp16, int8 (weights; for MatMul and the like) or int8-static (Conv too, calibrated on half of the samples). Default: graph.',
  },
  {
    flag: 'samples',
    placeholder: 'PATH',
    isRepeatable: true,
    help: 'Images or JSON files with rows that the variant is judged by, or a folder of them. In a folder of folders the inner ones are labels; a JSON row may be {"input": {...}, "label": "..."}.',
  },
  {
    flag: 'min-agreement',
    placeholder: 'SHARE',
    help: 'Share of the samples, 0 to 1, on which variant and original have to agree: on the label, or, where the model gives none, to a cosine of 0.99 in every output. Default: 0.99.',
  },
  {
    flag: 'level',
    placeholder: 'LEVEL',
    help: 'Of graph: basic, extended (fused operators that only ONNX Runtime has), or all, which also suits layouts to the processor of this machine and is for machines like it. Default: extended.',
  },
  {
    flag: 'out',
    placeholder: 'DIR',
    help: 'Where the variants go, each in a folder <version>-<variant>. Default: .optimized in the folder of the model, which is not served.',
  },
  {
    flag: 'install',
    placeholder: null,
    help: 'Makes the virtual environment that fp16 and int8 need: python3 with onnx and onnxruntime, pinned, from the package index.',
  },
  {
    flag: 'venv',
    placeholder: 'DIR',
    help: 'That virtual environment. Default: inferry/optimize in XDG_CACHE_HOME or ~/.cache.',
  },
  { flag: 'json', placeholder: null, help: 'One JSON document on stdout instead.' },
] as const;
