/** What S3, or the way to it, said instead of doing what it was asked, in words that say what to set. */
import type { S3Settings } from './s3-settings.ts';

export interface S3Failure {
  /**
   * `absent`: no such object. `changed`: it is another one than was expected. `unsupported`: the server cannot do
   * that. `passing`: it may go on later. `refused`: it will not.
   */
  readonly kind: 'absent' | 'changed' | 'unsupported' | 'passing' | 'refused';
  readonly text: string;
}

const passingCodes =
  /^(?:ECONN.*|EPIPE|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|HPE_.*|ERR_SSL_.*|ERR_STREAM_PREMATURE_CLOSE)$/u;
const lastingCodes = /^(?:ENOTFOUND|ERR_TLS_.*|CERT_.*|.*_CERT|.*_CERT_.*|UNABLE_TO_.*)$/u;
const slowDown = /^(?:SlowDown|Throttl.*|TooManyRequests.*|RequestTimeout|RequestLimitExceeded)$/u;

/** Undefined for an error that is neither of S3 nor of the way to it. Messages of others are left out: they may quote keys. */
export function failureOf(
  cause: unknown,
  bucket: string,
  { endpoint }: S3Settings,
): S3Failure | undefined {
  if (!(cause instanceof Error)) return undefined;
  const { name } = cause;
  const where = endpoint ?? 'Amazon S3';
  const status = statusOf(cause);
  if (status !== undefined) return answered(name, status, bucket, where);
  if (/credential/iu.test(`${name} ${cause.message}`)) {
    return refused(
      'there are no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a role gives them',
    );
  }
  if (cause.message.startsWith('Region is missing')) {
    return refused('AWS_REGION must be set, to the region of the bucket, or AWS_ENDPOINT_URL');
  }
  if (cause.message.startsWith('Region not accepted')) {
    return refused('AWS_REGION must be the name of a region, as in eu-west-1');
  }
  const code = codeOf(cause);
  if (name === 'TimeoutError') return { kind: 'passing', text: `${where} does not answer in time` };
  if (code === undefined) return undefined;
  const text = `no connection to ${where} (${code}); AWS_ENDPOINT_URL says where it is`;
  if (lastingCodes.test(code)) return refused(text);
  return passingCodes.test(code) ? { kind: 'passing', text } : undefined;
}

/** Of what the client threw before it had an answer, and {@link failureOf} does not know: not to be tried again. */
export function unasked(cause: unknown): S3Failure {
  const { code = '', name = '', path, syscall } = Object(cause) as Partial<NodeJS.ErrnoException>;
  if (syscall !== undefined) {
    return refused(`what says how S3 is reached cannot be read (${code} ${path ?? syscall})`);
  }
  return refused(`S3 cannot be asked (${code === '' ? name : code}); check the AWS_ variables`);
}

function answered(name: string, status: number, bucket: string, where: string): S3Failure {
  const said = /^[A-Z][A-Za-z]{2,60}$/u.test(name) ? `${status} ${name}` : String(status);
  if (name === 'NoSuchBucket') return refused(`${where} has no bucket ${bucket}`);
  if (name === 'NoSuchKey' || status === 404) {
    return { kind: 'absent', text: `${where} answered ${said}` };
  }
  if (status === 412 || status === 416) {
    return { kind: 'changed', text: `${where} has another object now` };
  }
  if (status === 501) return { kind: 'unsupported', text: `${where} answered ${said}` };
  if (/^(?:InvalidAccessKeyId|SignatureDoesNotMatch)$/u.test(name)) {
    return refused(
      `${where} does not take the credentials (${name}): AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be a pair that it knows`,
    );
  }
  if (/^(?:ExpiredToken|InvalidToken|TokenRefreshRequired)$/u.test(name)) {
    return refused(
      `${where} does not take the session (${name}): AWS_SESSION_TOKEN must be that of the keys, and not over`,
    );
  }
  if (status === 301 || name === 'AuthorizationHeaderMalformed') {
    return refused(`${where} answered ${said}: AWS_REGION must be the region of bucket ${bucket}`);
  }
  if (status === 401 || status === 403) {
    return refused(
      `${where} answered ${said} for bucket ${bucket}: the credentials must be allowed to list, read and, to push, write it`,
    );
  }
  if (status >= 500 || status === 408 || status === 429 || status === 409 || slowDown.test(name)) {
    return { kind: 'passing', text: `${where} answered ${said}` };
  }
  return refused(`${where} answered ${said} for bucket ${bucket}`);
}

function refused(text: string): S3Failure {
  return { kind: 'refused', text };
}

function statusOf(cause: Error): number | undefined {
  const { $metadata } = cause as { readonly $metadata?: { readonly httpStatusCode?: number } };
  return $metadata?.httpStatusCode;
}

function codeOf(cause: Error): string | undefined {
  if ('code' in cause && typeof cause.code === 'string') return cause.code;
  // Of several addresses that were all tried.
  if (cause instanceof AggregateError) return codeOf(cause.errors[0] as Error);
  return cause.message === 'aborted' ? 'ECONNRESET' : undefined;
}
