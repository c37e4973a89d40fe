/** The commands that work on a repository, as the table of commands has them. */
import type { Command } from './commands.ts';
import { optimizeFlags } from './optimize/flags.ts';
import { pullFlags } from './pull/flags.ts';
import { pushFlags } from './push/flags.ts';

const modelsFlag = { flag: 'models', placeholder: 'DIR', help: 'The repository. Default: models.' };
const modelsOrS3Flag = {
  ...modelsFlag,
  help: 'The repository, a directory or s3://bucket/folder. Default: models.',
};
const gatewayFlag = {
  flag: 'url',
  placeholder: 'URL',
  help: 'A gateway, where INFERRY_MODEL_CONTROL allows it. Default: http://127.0.0.1:8000.',
};
const jsonFlag = { flag: 'json', placeholder: null, help: 'One JSON document on stdout instead.' };

export const modelCommands = [
  {
    name: 'models doctor',
    operands: ['DIR'],
    summary: 'Says what a repository would serve and how, what not, and why.',
    details: [
      'For each model version: its file, inputs and outputs, batches, instances, why it is served (policy, label,',
      'traffic) and what it is served without; for what is not served the reason, with file and line. Reads',
      'model.yaml, versions.yaml and the config.pbtxt of Triton.',
      'Exits 2 when something is not served. Loads no model.',
    ],
    role: null,
    options: [{ flag: 'json', placeholder: null, help: 'One JSON document on stdout instead.' }],
    examples: ['inferry models doctor models', 'inferry models doctor models --json'],
  },
  {
    name: 'models pull',
    operands: ['SOURCE'],
    summary: 'Fetches a model into a repository, checked, and all of it or nothing.',
    details: [
      'SOURCE is a URL (https, http or s3) or a path: one .onnx file, an archive (.tar, .tar.gz, .tgz) or, in S3 and',
      'as a path, a folder. s3://bucket/folder/MODEL[/VERSION] is what "models push" put there, checked against the',
      'SHA-256 of every file, or what others did, checked by what S3 tells of it; which, is printed. A download that',
      'breaks off is gone on with, also by the next call. The model must be one that would be served, and lands',
      'beside the others by a rename; the digest of a model is not its SHA-256 here. Labels and traffic stay behind.',
      'Gateways and workers that run take it up within seconds. Exits with 1 when nothing has changed.',
    ],
    role: null,
    options: pullFlags,
    examples: [
      'inferry models pull https://models.example/resnet50.tar.gz --sha256 9f86d0...0a08',
      'inferry models pull /mnt/export/resnet50.onnx --version 2 --models /srv/models',
      'inferry models pull file:///srv/triton-models --name densenet --replace --json',
      'inferry models pull s3://models/production/resnet50/3',
    ],
  },
  {
    name: 'models push',
    operands: ['MODEL', 'TARGET'],
    summary: 'Puts a model, or a version of it, into another repository, in S3 or a directory.',
    details: [
      'MODEL is a name, for all of its versions, or name@version; it must be one that would be served. TARGET is',
      's3://bucket/folder or a directory, where the model becomes a folder. A version is seen there when all of it',
      'has arrived; one that is there with other content stays, without --force. Labels and traffic stay behind.',
      'S3 is reached as AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_PROFILE and',
      'AWS_ENDPOINT_URL say, or with the role of the container.',
    ],
    role: null,
    options: pushFlags,
    examples: [
      'inferry models push resnet50@3 s3://models/production',
      'AWS_ENDPOINT_URL=http://minio:9000 inferry models push digits s3://models --force',
      'inferry models push digits /mnt/models --models models --json',
    ],
  },
  {
    name: 'models list',
    operands: ['[REPOSITORY]'],
    summary: 'Lists the versions that a repository serves.',
    details: [
      'REPOSITORY is a directory or s3://bucket/folder; --models takes either as well.',
      'For each its name, version, what describes it (model.yaml, config.pbtxt or nothing), the bytes in its',
      'folder, its digest, its labels and its share of the traffic. What is not served is told on stderr, and',
      'then the command exits with 2.',
    ],
    role: null,
    options: [modelsOrS3Flag, jsonFlag],
    examples: [
      'inferry models list',
      'inferry models list --models /srv/models --json',
      'inferry models list s3://models/production',
    ],
  },
  {
    name: 'models show',
    operands: ['MODEL'],
    summary: 'Tells one model in full: inputs, outputs, batches, size, digest, why it is served.',
    details: ['MODEL is a name, for all of its versions, or name@version.'],
    role: null,
    options: [modelsOrS3Flag, jsonFlag],
    examples: ['inferry models show digits', 'inferry models show digits@1 --models models --json'],
  },
  {
    name: 'models rm',
    operands: ['MODEL'],
    summary: 'Removes a model, or one of its versions, from a repository.',
    details: [
      'MODEL is a name or name@version. It is moved away in one step before it is deleted. Workers that run',
      'serve what waits for it first. A version that has a label or traffic stays, unless --force takes these',
      'away with it; in S3, --models s3://bucket/folder, versions.yaml is yours to change first. Without --yes it',
      'only says what would go, and exits with 1.',
    ],
    role: null,
    options: [
      modelsOrS3Flag,
      {
        flag: 'force',
        placeholder: null,
        help: 'Also a version that has a label or traffic; requests go to the others.',
      },
      { flag: 'yes', placeholder: null, help: 'Removes it; there is no way back.' },
      jsonFlag,
    ],
    examples: [
      'inferry models rm digits@1 --yes',
      'inferry models rm old --models /srv/models --yes',
    ],
  },
  {
    name: 'models label',
    operands: ['MODEL', '[LABEL]'],
    summary: 'Gives a version of a model a label, such as stable or canary.',
    details: [
      'MODEL is name@version. Requests may name the label in place of a version, and the version is served,',
      'whatever the policy. Those that name no version get the one called stable, or without one the latest.',
      'Written to versions.yaml of the model, which processes that run read again within seconds.',
    ],
    role: null,
    options: [
      modelsFlag,
      { flag: 'remove', placeholder: 'LABEL', help: 'Takes it away; MODEL is a name.' },
      jsonFlag,
    ],
    examples: [
      'inferry models label digits@2 stable',
      'inferry models label digits --remove canary --models /srv/models',
    ],
  },
  {
    name: 'models traffic',
    operands: ['MODEL', '[VERSION=WEIGHT...]'],
    summary: 'Shares out requests that name no version between versions, by weight.',
    details: [
      'Each such request gets one of the versions, drawn by weight; one that is not ready is left out. These',
      'versions are served whatever the policy. Written to versions.yaml of the model, which processes that run',
      'read again within seconds.',
    ],
    role: null,
    options: [
      modelsFlag,
      {
        flag: 'clear',
        placeholder: null,
        help: 'All of them get the version called stable again, or without one the latest.',
      },
      jsonFlag,
    ],
    examples: [
      'inferry models traffic digits 2=90 3=10',
      'inferry models traffic digits --clear --models /srv/models',
    ],
  },
  {
    name: 'models rollback',
    operands: ['MODEL'],
    summary: 'Goes back to the version that was stable before.',
    details: [
      'The label stable moves to the version that it had before; where none is noted, to the one before the',
      'version that requests get now. Traffic is not shared out any more: every request that names no version',
      'gets stable. Once more goes forward again. Nothing is removed.',
    ],
    role: null,
    options: [modelsFlag, jsonFlag],
    examples: [
      'inferry models rollback digits',
      'inferry models rollback digits --models /srv/models',
    ],
  },
  {
    name: 'models load',
    operands: ['MODEL'],
    summary: 'Has all workers load a model, or load it again.',
    details: [
      'What its folder holds now is loaded beside what is served, which goes on until it is ready, and stays',
      'where it cannot be loaded. Ends when every worker is done; exits with 1 when one could not.',
    ],
    role: null,
    options: [gatewayFlag],
    examples: [
      'inferry models load digits',
      'inferry models load digits --url http://10.0.0.7:8000',
    ],
  },
  {
    name: 'models unload',
    operands: ['MODEL'],
    summary: 'Has all workers unload a model.',
    details: [
      'Requests that wait are still served, new ones are refused. It stays unloaded, also in workers that start',
      'later, until it is loaded. Nothing is removed from the repository.',
    ],
    role: null,
    options: [gatewayFlag],
    examples: ['inferry models unload digits'],
  },
  {
    name: 'models optimize',
    operands: ['DIR/MODEL'],
    summary: 'Makes faster or smaller variants of a model, and says what they cost in accuracy.',
    details: [
      "Each variant answers the samples beside the original, through the model's own pipeline: the report has",
      'the differences of every output, how often the answers agree, size and speed. One that agrees too',
      'seldom is not kept, and the command exits with 1. The original is only read; nothing that is made is',
      'served unless you move it.',
    ],
    role: null,
    options: optimizeFlags,
    examples: [
      'inferry models optimize models/digits --samples models/digits/samples',
      'inferry models optimize models/digits --to fp16 --to int8-static --samples photos --install',
      'inferry models optimize models/digits@1 --to int8 --samples photos --min-agreement 0.95 --json',
    ],
  },
] as const satisfies readonly Command[];
