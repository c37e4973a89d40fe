/** The process that measures one setting: takes one request, reports as it goes, and ends. */
import { availableParallelism } from 'node:os';
import { systemClock, systemRandom } from '@inferry/runtime';
import { createLogger } from '@inferry/telemetry';
import { createBackend, MeasuredModel } from '@inferry/worker';
import { measureSetup } from './measure-setup.ts';
import type { MeasureReport, MeasureRequest } from './messages.ts';

/** Share of the memory that is available at the start. */
const memoryShare = 0.8;

/** `kill`: ends this process at once; used when the command that asked is gone. */
export async function measureForParent(kill: () => void): Promise<number> {
  process.once('disconnect', kill);
  const request = await new Promise<MeasureRequest>((resolve) => {
    process.once('message', (message) => resolve(message as MeasureRequest));
  });
  await measure(request);
  process.off('disconnect', kill);
  process.disconnect();
  return 0;
}

async function measure(request: MeasureRequest): Promise<void> {
  const { device, goal, jpegDecoder, manifest, msMax, payloads, prepareIn, setup } = request;
  const startBytes = process.memoryUsage.rss();
  const peak = peakGauge(startBytes);
  const opened = await MeasuredModel.open({
    backend: createBackend({ clock: systemClock, abort: () => process.abort() }),
    manifest: { ...manifest, session: { ...manifest.session, intraOpThreads: setup.threads } },
    device,
    instances: setup.instances,
    cores: availableParallelism(),
    prepareIn,
    jpegDecoder,
    payloads,
    clock: systemClock,
    random: systemRandom,
    logger: createLogger({ role: 'worker', level: 'error', destination: process.stderr }),
  });
  if (!opened.ok) return report({ kind: 'unloadable', reason: opened.error });
  await report({ kind: 'loaded', preparedIn: opened.value.preparedIn });
  const { end } = await measureSetup(setup, goal, msMax, {
    clock: systemClock,
    model: opened.value,
    memory: {
      usedBytes: () => process.memoryUsage.rss(),
      bytesMax: startBytes + process.availableMemory() * memoryShare,
    },
    onPoint: (point) => void report({ kind: 'point', point, peakBytes: peak() }),
  });
  await report({ kind: 'done', end, peakBytes: peak() });
  await opened.value.close();
}

/** By how much the memory of this process has grown at its peak since now. */
function peakGauge(startBytes: number): () => number {
  // The start of the process itself may have had the higher peak.
  const before = process.resourceUsage().maxRSS;
  let mostBytes = startBytes;
  return () => {
    const { maxRSS } = process.resourceUsage();
    const everBytes = maxRSS > before ? maxRSS * 1_024 : 0;
    mostBytes = Math.max(mostBytes, process.memoryUsage.rss(), everBytes);
    return mostBytes - startBytes;
  };
}

function report(message: MeasureReport): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, () => resolve());
  });
}
