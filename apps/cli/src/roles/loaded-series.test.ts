import { classOf } from '@inferry/contracts';
import { createMetrics } from '@inferry/telemetry';
import { expect, test } from 'vitest';
import { LoadedSeries } from './loaded-series.ts';

test('what tells of a model goes with its last version, and what another version needs stays', async () => {
  const metrics = createMetrics('worker', { version: '0', revision: 'r', onnxruntime: 'none' });
  const series = new LoadedSeries(metrics);
  const told = async (): Promise<readonly string[]> =>
    (await metrics.text())
      .split('\n')
      .filter((line) => /^inferry_(model_loaded|execution_provider|preparation)_info\{/u.test(line))
      .map((line) => line.replace(/^inferry_(.*)_info\{(.*)\} 1$/u, '$1 $2').replaceAll('"', ''));
  const cpu = { expected: 'cpu', provider: 'cpu', device: 'cpu' } as const;
  series.add('composed', '1', null);
  expect(await told()).toEqual(['model_loaded model=composed,version=1']);
  series.remove('composed', '1');
  series.add('m', '1', cpu);
  series.add('m', '1', cpu);
  series.add('m', '2', { ...cpu, expected: 'cuda' });
  series.prepare({ model: 'm', where: 'threads', jpeg_decoder: 'none' });
  series.remove('m', '2');
  expect(await told()).toEqual([
    'model_loaded model=m,version=1',
    'execution_provider model=m,expected=cpu,provider=cpu,device=cpu',
    'preparation model=m,where=threads,jpeg_decoder=none',
  ]);
  series.remove('m', '1');
  expect(await told()).toEqual([]);
});

test('what is counted by version stays for a while, and not for ever', async () => {
  const metrics = createMetrics('worker', { version: '0', revision: 'r', onnxruntime: 'none' });
  const series = new LoadedSeries(metrics);
  const counted = async (): Promise<readonly string[]> => {
    const found = (await metrics.text()).matchAll(
      /^inferry_version_requests_total\{queue="([^"]*)"/gmu,
    );
    return [...new Set([...found].flatMap(([, queue]) => queue ?? []))];
  };
  const serveAndDrop = (version: string): void => {
    series.declare('m', classOf('m', version));
    series.remove('m', version);
  };
  serveAndDrop('1');
  serveAndDrop('2');
  expect(await counted()).toEqual(['m@1', 'm@2']);
  series.declare('m', classOf('m', '1'));
  for (let version = 3; version <= 60; version += 1) serveAndDrop(String(version));
  const left = await counted();
  expect(left).toHaveLength(51);
  expect(left).toContain('m@1');
  expect(left).not.toContain('m@2');
  expect(left).toContain('m@60');
});
