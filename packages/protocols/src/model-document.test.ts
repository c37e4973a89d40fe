/** What a model's document says about its answers. */
import { defaultLimits, type ModelManifest } from '@inferry/contracts';
import { expect, test } from 'vitest';
import { modelDocument } from './model-document.ts';
import { digits } from './models-fixture.test.ts';

const state = {
  versions: [{ version: '1', state: 'ready' }],
  defaultVersion: '1',
  status: 'ready',
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
