export type { GatewayDeps } from './deps.ts';
export { createGateway, type Gateway } from './gateway.ts';
export { collectQueueMetrics, createGatewayTelemetry, type GatewayTelemetry } from './telemetry.ts';
