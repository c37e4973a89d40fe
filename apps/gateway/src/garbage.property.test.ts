import fc from 'fast-check';
import { expect, test } from 'vitest';

import { testGateway } from './gateway-fixture.test.ts';
import { digits, iris } from './models-fixture.test.ts';

/** Parts that lead deep into the handlers when they come together by chance. */
const path = fc.constantFrom(
  '/v1/models/iris/jobs',
  '/v1/models/digits/jobs',
  '/v1/jobs',
  `/v1/jobs/job_${'0'.repeat(26)}/cancel`,
  '/v2/models/iris/infer',
  '/v2/models/digits/versions/1/infer',
  '/bento/iris',
  '/bento/digits',
  '/v1/models/iris:predict',
  '/v1/models/digits/versions/1:predict',
  '/v1/models/digits:classify',
  '/v2/models/%F0%9F/ready',
  '/v1/models/@@/jobs',
);
const contentType = fc.constantFrom(
  'application/json',
  'multipart/form-data; boundary=x',
  'multipart/form-data',
  'image/png',
  '',
  'text/csv',
);
const input = fc.oneof(
  fc.jsonValue(),
  fc.record({ length: fc.jsonValue(), width: fc.jsonValue() }),
  fc.record({ image: fc.oneof(fc.jsonValue(), fc.record({ $b64: fc.jsonValue() })) }),
  fc.record({ inputs: fc.array(fc.record({ name: fc.constant('image'), shape: fc.jsonValue() })) }),
);
const rows = fc.oneof(
  fc.jsonValue(),
  fc.array(fc.oneof(input, fc.record({ b64: fc.jsonValue() })), { maxLength: 3 }),
);
const body = fc.oneof(
  fc.record({ instances: rows }).map((value) => JSON.stringify(value)),
  fc.record({ examples: rows }).map((value) => JSON.stringify(value)),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => new Uint8Array(bytes)),
  fc.string().map((text) => `--x\r\n${text}\r\n--x--\r\n`),
  fc.record({ input }).map((value) => JSON.stringify(value)),
  fc.record({ input, deadline_ms: fc.jsonValue() }).map((value) => JSON.stringify(value)),
);
const headers = fc.record({
  'Content-Type': contentType,
  Prefer: fc.constantFrom('wait=x', 'respond-async', ',,;='),
  'Idempotency-Key': fc.constantFrom('a', '"b"', '"', 'c d'),
  'Cancel-After': fc.constantFrom('1h', '5', '-1', '99999999999'),
});

test('no request, however odd, is answered 500 or without a problem document', async () => {
  // Nobody answers those that are accepted by chance.
  const models = [digits, iris].map((model) => ({ ...model, timeoutMs: 1 }));
  const gateway = testGateway({ deadlineMsMax: 1_000 }, { models });
  await fc.assert(
    fc.asyncProperty(path, headers, body, async (target, given, content) => {
      const init = { method: 'POST', headers: given, body: content };
      const response = await gateway.request(target, init);
      expect(response.status).not.toBe(500);
      if (response.ok) return;
      expect(response.headers.get('content-type')).toBe('application/problem+json');
      const document = (await response.json()) as Record<string, unknown>;
      expect(document['code']).toEqual(expect.any(String));
    }),
    { numRuns: 300 },
  );
  await gateway.close();
});
