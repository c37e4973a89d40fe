/** What a model's document says about its answers, and of its versions to three kinds of clients. */
import { defaultLimits, type ModelManifest } from '@inferry/contracts';
import { expect, test } from 'vitest';
import { modelDocument, modelSchema } from './model-document.ts';
import { adder, digits, iris } from './models-fixture.test.ts';

const state = {
  versions: [{ version: '1', state: 'ready', readyWorkers: 1, failure: null }],
  defaultVersion: '1',
  labels: { stable: '1' },
  shares: [{ version: '1', weight: 1 }],
  status: 'ready',
  isReady: true,
  queue: null,
  workers: { ready: 1 },
} as const;

test('a detector answers boxes with its labels, as many as it may', () => {
  const detector: ModelManifest = {
    ...digits,
    postprocess: {
      kind: 'detect',
      head: { family: 'yolov8', output: 'logits', units: 'pixels' },
      inputWidth: 8,
      inputHeight: 8,
      labels: ['cat', 'dog'],
      scoreThreshold: 0.5,
      iouThreshold: 0.45,
      isClassAgnostic: false,
      isMultiLabel: false,
      candidatesMax: 1000,
      detectionsMax: 7,
    },
  };
  const { output_schema } = modelDocument(detector, state, defaultLimits);
  expect(output_schema).toMatchObject({
    anyOf: [
      {
        required: ['detections'],
        properties: {
          detections: {
            maxItems: 7,
            items: {
              required: ['label', 'score', 'box'],
              properties: {
                label: { enum: ['cat', 'dog'] },
                box: { required: ['x', 'y', 'width', 'height'] },
              },
            },
          },
        },
      },
      { required: ['outputs'] },
    ],
  });
});

test('the versions are told to our clients, to those of TensorFlow Serving and to those of KServe', () => {
  const version = (name: string, status: 'ready' | 'loading' | 'retiring' | 'unloaded') => {
    return { version: name, state: status, readyWorkers: 0, failure: null };
  };
  const failed = { version: '5', state: 'failed', readyWorkers: 0, failure: 'no memory' } as const;
  const versions = [
    version('1', 'unloaded'),
    version('2', 'retiring'),
    { ...version('3', 'ready'), readyWorkers: 2 },
    version('4', 'loading'),
    failed,
  ];
  for (const manifest of [iris, digits, adder]) {
    const all = { ...state, versions, defaultVersion: '3' };
    const document = modelSchema.parse(modelDocument(manifest, all, defaultLimits));
    const fine = { error_code: 'OK', error_message: '' };
    expect(document).toMatchObject({
      id: manifest.name,
      name: manifest.name,
      ready: true,
      default_version: '3',
      versions: ['3', '4', '5'],
      labels: { stable: '1' },
      traffic: [{ version: '1', weight: 1 }],
      model_version_status: [
        {
          version: '5',
          state: 'END',
          status: { error_code: 'INTERNAL', error_message: 'no memory' },
        },
        { version: '4', state: 'LOADING', status: fine },
        { version: '3', state: 'AVAILABLE', status: fine },
        { version: '2', state: 'UNLOADING', status: fine },
        { version: '1', state: 'END', status: fine },
      ],
    });
    expect(document.version_status.slice(2)).toEqual([
      { version: '3', status: 'ready', ready_workers: 2, failure: null },
      { version: '4', status: 'loading', ready_workers: 0, failure: null },
      { version: '5', status: 'failed', ready_workers: 0, failure: 'no memory' },
    ]);
  }
});
