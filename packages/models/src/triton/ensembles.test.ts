/** Ensembles of a Triton repository: served as they lie there, and refused as Triton refuses them, with the line. */
import { describe, expect, test } from 'vitest';
import { writeOnnx, type WrittenTensor } from '../onnx-writer.test.ts';
import { load, put } from './config-fixture.test.ts';

function fp32(name: string, ...shape: (number | null)[]): WrittenTensor {
  return { name, type: 1, shape };
}

async function putModels(): Promise<void> {
  const resize = { inputs: [fp32('RAW', null, 4)], outputs: [fp32('SMALL', null, 2)] };
  const label = { inputs: [fp32('IN', null, 2)], outputs: [fp32('OUT', null, 3)] };
  for (const [name, model] of [
    ['resize', resize],
    ['label', label],
  ] as const) {
    await put(`${name}/1/model.onnx`, writeOnnx(model));
    await put(`${name}/config.pbtxt`, 'max_batch_size: 8\ndynamic_batching { }\n');
  }
}

const photo = `name: "photo"
platform: "ensemble"
max_batch_size: 4
input [ { name: "IMAGE" data_type: TYPE_FP32 dims: [ 4 ] } ]
output [ { name: "SCORES" data_type: TYPE_FP32 dims: [ 3 ] label_filename: "names.txt" } ]
ensemble_scheduling {
  step [
    {
      model_name: "resize"
      model_version: -1
      input_map { key: "RAW" value: "IMAGE" }
      output_map { key: "SMALL" value: "small" }
    },
    {
      model_name: "label"
      model_version: 1
      input_map { key: "IN" value: "small" }
      output_map { key: "OUT" value: "SCORES" }
    }
  ]
}
`;

/** With the models of its steps, unless they are there already. */
async function loadPhoto(config: string, models: () => Promise<void> = putModels) {
  await models();
  await put('photo/1/.keep', '');
  await put('photo/names.txt', 'a\nb\nc\n');
  await put('photo/config.pbtxt', config);
  const found = await load();
  return { ...found, manifest: found.models.find(({ name }) => name === 'photo') };
}

describe('an ensemble', () => {
  test('is served as its config.pbtxt says, from a folder without a model file', async () => {
    const { manifest, problems, warnings } = await loadPhoto(photo);
    expect({ problems, warnings }).toEqual({ problems: [], warnings: [] });
    expect(manifest).toMatchObject({
      version: '1',
      backend: 'ensemble',
      file: null,
      instances: [],
      maxBatchSize: 4,
      concurrentMax: 64,
      inputs: [{ name: 'IMAGE', datatype: 'FP32', shape: [-1, 4] }],
      outputs: [{ name: 'SCORES', datatype: 'FP32', shape: [-1, 3] }],
      outputLabels: { SCORES: ['a', 'b', 'c'] },
      ensemble: {
        steps: [
          { model: 'resize', version: null, inputs: { RAW: 'IMAGE' }, outputs: { SMALL: 'small' } },
          { model: 'label', version: '1', inputs: { IN: 'small' }, outputs: { OUT: 'SCORES' } },
        ],
      },
    });
  });

  test('is told as Triton tells it, with the version of each step', async () => {
    const { manifest } = await loadPhoto(photo.replace('      model_version: -1\n', ''));
    expect(manifest?.modelConfig).toMatchObject({
      name: 'photo',
      platform: 'ensemble',
      backend: '',
      max_batch_size: 4,
      instance_group: [],
      default_model_filename: '',
      ensemble_scheduling: {
        step: [
          { model_name: 'resize', model_version: -1, input_map: { RAW: 'IMAGE' } },
          { model_name: 'label', model_version: 1, output_map: { OUT: 'SCORES' } },
        ],
      },
    });
    expect(manifest?.modelConfig).not.toHaveProperty('dynamic_batching');
  });

  test('has as many jobs under way in a worker as it may have requests in flight', async () => {
    const limited = photo.replace('  step [', '  max_inflight_requests: 16\n  step [');
    expect((await loadPhoto(limited)).manifest).toMatchObject({ concurrentMax: 16 });
    const many = await loadPhoto(limited.replace('16', '5000'));
    expect(many.manifest).toMatchObject({ concurrentMax: 1_024 });
    expect(many.warnings).toEqual([
      'photo/config.pbtxt:7: ensemble_scheduling.max_inflight_requests: is taken as 1024, the most there is',
    ]);
  });

  test('has tags and buckets of its own among metrics', async () => {
    const measured = `${photo}
metric_tags { key: "team" value: "a" }
model_metrics { metric_control {
  metric_identifier { family: "nv_inference_first_response_histogram_ms" }
  histogram_options { buckets: [ 5, 50 ] }
} }`;
    expect(await loadPhoto(measured)).toMatchObject({
      manifest: { metricTags: { team: 'a' }, firstResponseBucketsMs: [5, 50] },
      warnings: [],
    });
  });

  test('may have no rows where the models of its steps have them, and the other way round', async () => {
    const single = photo.replace('max_batch_size: 4', 'max_batch_size: 0');
    expect((await loadPhoto(single)).problems).toEqual([]);
    const whole = single
      .replace('dims: [ 4 ]', 'dims: [ -1, 4 ]')
      .replace('dims: [ 3 ]', 'dims: [ -1, 3 ]');
    expect((await loadPhoto(whole)).problems).toEqual([]);
    const rowless = async () => {
      await putModels();
      await put('resize/config.pbtxt', 'max_batch_size: 0\n');
      await put(
        'resize/1/model.onnx',
        writeOnnx({ inputs: [fp32('RAW', 4)], outputs: [fp32('SMALL', 2)] }),
      );
    };
    expect((await loadPhoto(photo, rowless)).problems).toEqual([]);
  });
});

test.each<readonly [what: string, from: string, to: string, problem: string]>([
  [
    'another platform',
    'platform: "ensemble"',
    'platform: "onnxruntime_onnx"',
    ':2: platform: must be "ensemble" where there is ensemble_scheduling',
  ],
  [
    'instances',
    'max_batch_size: 4',
    'instance_group { count: 2 }',
    ':3: instance_group: is not taken of an ensemble',
  ],
  [
    'no inputs',
    photo.slice(photo.indexOf('input ['), photo.indexOf('output [')),
    '',
    ':1: input: is required of an ensemble',
  ],
  [
    'a reshape',
    'dims: [ 4 ]',
    'dims: [ 4 ] reshape { shape: [ 2, 2 ] }',
    ':4: input[0].reshape: is not served of an ensemble',
  ],
  [
    'no steps',
    photo.slice(photo.indexOf('  step ['), photo.lastIndexOf('}')),
    '',
    ':6: ensemble_scheduling.step: ',
  ],
  [
    'a step without a model',
    '      model_name: "resize"\n',
    '',
    ':8: ensemble_scheduling.step[0].model_name: is required',
  ],
  [
    'version 0',
    'model_version: 1',
    'model_version: 0',
    ':16: ensemble_scheduling.step[1].model_version: is 0; it is at least 1, or -1 for the latest',
  ],
  [
    'a namespace',
    'model_version: 1',
    'model_namespace: "other"',
    ':16: ensemble_scheduling.step[1].model_namespace: is not served',
  ],
  [
    'a version that is not there',
    'model_version: 1',
    'model_version: 7',
    ':15: ensemble_scheduling.step[1].model_name: model "label" has no version "7"; it has: 1',
  ],
  [
    'a model that is not there',
    '"label"',
    '"lable"',
    ':15: ensemble_scheduling.step[1].model_name: the repository serves no model "lable"',
  ],
  [
    'a tensor that nothing gives',
    'value: "small" }\n      output_map { key: "OUT"',
    'value: "smal" }\n      output_map { key: "OUT"',
    ':17: ensemble_scheduling.step[1].input_map.IN: "smal" is no input of the ensemble',
  ],
  [
    'an output that no step gives',
    'value: "SCORES"',
    'value: "scores"',
    ':5: output[0].name: "SCORES" is given by no step',
  ],
  [
    'an input that no step takes',
    'value: "IMAGE"',
    'value: "small2"',
    ':4: input[0].name: "IMAGE" is taken by no step',
  ],
  [
    'a tensor given twice',
    'value: "SCORES"',
    'value: "small"',
    ':18: ensemble_scheduling.step[1].output_map.OUT: "small" is given by step 1 too',
  ],
  [
    'an input that its model does not have',
    'key: "RAW"',
    'key: "RAWR"',
    ':11: ensemble_scheduling.step[0].input_map.RAWR: "resize" has no input "RAWR"; it has: RAW',
  ],
  [
    'other dimensions',
    'dims: [ 4 ]',
    'dims: [ 5 ]',
    ':11: ensemble_scheduling.step[0].input_map.RAW: "IMAGE" is [-1, 5] as input "IMAGE" of the ensemble, and [-1, 4] as input "RAW" of "resize"',
  ],
  [
    'another datatype',
    'TYPE_FP32 dims: [ 3 ]',
    'TYPE_INT64 dims: [ 3 ]',
    ':5: output[0].name: "SCORES" is FP32 as output "OUT" of "label", and INT64 as output "SCORES" of the ensemble',
  ],
  [
    'more rows than a model takes',
    'max_batch_size: 4',
    'max_batch_size: 9',
    ':9: ensemble_scheduling.step[0].model_name: "resize" takes 8 rows at most, and the ensemble 9',
  ],
])('is refused with %s', async (_, from, to, problem) => {
  expect(photo).toContain(from);
  const { manifest, problems } = await loadPhoto(photo.replace(from, to));
  expect(manifest).toBeUndefined();
  expect(problems.join('\n')).toContain(`photo/config.pbtxt${problem}`);
});

test('sections that mean nothing for an ensemble are told', async () => {
  const { manifest, warnings } = await loadPhoto(
    `${photo}optimization { }\nmodel_warmup { name: "w" }\nresponse_cache { enable: true }\n`,
  );
  expect(manifest).toBeDefined();
  expect(warnings).toEqual([
    'photo/config.pbtxt:22: optimization: has no effect: an ensemble has no session',
    'photo/config.pbtxt:23: model_warmup: has no effect: an ensemble has no session',
    'photo/config.pbtxt:24: response_cache.enable: has no effect: what it answers may change with the models of its steps',
  ]);
  expect(manifest?.hasResponseCache).toBeUndefined();
});
