/** The flags of `inferry models push`, for the table of commands; their values are read in options.ts. */

export const pushFlags = [
  {
    flag: 'models',
    placeholder: 'DIR',
    help: 'The repository that the model comes from. Default: models.',
  },
  {
    flag: 'force',
    placeholder: null,
    help: 'A version that is already there with other content is replaced.',
  },
  { flag: 'json', placeholder: null, help: 'One JSON document on stdout instead.' },
] as const;
