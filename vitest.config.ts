import { defaultServerConditions } from 'vite';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Replaces Vite's own list, so that list is repeated: tests run from TypeScript sources. Without `module`,
  // which Node is told as well, and which stands for files of @opentelemetry/api that only bundlers can read.
  ssr: {
    resolve: {
      conditions: [
        '@inferry/source',
        ...defaultServerConditions.filter((condition) => condition !== 'module'),
      ],
    },
  },
  test: {
    // One less by default, which is half of two.
    maxWorkers: '100%',
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['{packages,apps}/*/src/**/*.test.ts', '{bench,infra/grafana}/src/**/*.test.ts'],
          exclude: [
            '**/*.redis.test.ts',
            '**/*.s3.test.ts',
            '**/*.python.test.ts',
            'packages/system-tests/**',
            '**/node_modules/**',
          ],
          testTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'redis',
          include: ['{packages,apps}/*/src/**/*.redis.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 's3',
          include: ['apps/cli/src/**/*.s3.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 90_000,
          env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
        },
      },
      {
        extends: true,
        test: {
          // Not part of `npm test`: they fetch packages of Python.
          name: 'python',
          include: ['{packages,apps}/*/src/**/*.python.test.ts'],
          testTimeout: 600_000,
        },
      },
      {
        extends: true,
        test: {
          // Not part of `npm test`: they fetch packages of Python.
          name: 'clients',
          include: ['packages/system-tests/src/clients/*.clients.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
      {
        extends: true,
        test: {
          // Not part of `npm test`: it fetches packages of Python, and takes minutes.
          name: 'schema',
          include: ['packages/system-tests/src/schema/*.schema.test.ts'],
          testTimeout: 900_000,
          hookTimeout: 600_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'system',
          include: ['packages/system-tests/src/**/*.test.ts'],
          exclude: ['**/*.clients.test.ts', '**/*.schema.test.ts', '**/node_modules/**'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
