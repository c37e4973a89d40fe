/** The flags of `inferry models pull`, for the table of commands; their values are read in options.ts. */

export const pullFlags = [
  {
    flag: 'models',
    placeholder: 'DIR',
    help: 'The repository that the model goes into; made when it is not there. Default: models.',
  },
  {
    flag: 'name',
    placeholder: 'NAME',
    help: 'What the model is called here. Of a source with several models: the one that is meant. Default: as its folder or file is called.',
  },
  {
    flag: 'version',
    placeholder: 'VERSION',
    help: 'The version that a single model file becomes (default 1); of a model with several, the only one that is taken.',
  },
  {
    flag: 'sha256',
    placeholder: 'HEX',
    help: 'What the SHA-256 of the fetched file must be, in 64 hex digits. Required for a URL.',
  },
  {
    flag: 'insecure-no-digest',
    placeholder: null,
    help: 'Takes whatever the URL answers, and tells its SHA-256.',
  },
  {
    flag: 'replace',
    placeholder: null,
    help: 'A version that is already there is replaced, and so are model.yaml and the like.',
  },
  {
    flag: 'max-gib',
    placeholder: 'N',
    help: 'Largest size in GiB, as fetched and as unpacked, 1 to 1024. Default: 16.',
  },
  { flag: 'json', placeholder: null, help: 'One JSON document on stdout instead.' },
] as const;
