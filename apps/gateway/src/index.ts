export type { GatewayDeps } from './deps.ts';
export { FirstResponses } from './first-responses.ts';
export { createGateway, type Gateway } from './gateway.ts';
export type { ControlSettings } from './model-control.ts';
export { QueueLooks } from './queue-looks.ts';
export { collectQueueMetrics } from './queue-metrics.ts';
export { exportTritonMetrics } from './triton-metrics.ts';
export { createGatewayTelemetry, type GatewayTelemetry } from './telemetry.ts';
