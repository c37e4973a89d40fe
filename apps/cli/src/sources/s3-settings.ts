/** How S3 is reached, from the environment as every tool for S3 reads it. Nothing here is ever printed whole. */
import { err, ok, type Result } from '@inferry/runtime';

interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface S3Settings {
  /** Of a server that speaks S3; null: Amazon's. */
  readonly endpoint: string | null;
  /** Null: as the profile says. */
  readonly region: string | null;
  /** Null: of the profile, or the role of the container or machine. */
  readonly credentials: S3Credentials | null;
}

/** Servers of others check signatures, and have no regions. */
const regionElsewhere = 'us-east-1';

/** The error names the variable. */
export function parseS3Settings(
  env: Readonly<Record<string, string | undefined>>,
): Result<S3Settings, string> {
  const of = (name: string): string | null => {
    const value = env[name];
    return value === undefined || value === '' ? null : value;
  };
  const isIgnored = of('AWS_IGNORE_CONFIGURED_ENDPOINT_URLS')?.toLowerCase() === 'true';
  const names = isIgnored ? [] : ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'];
  const name = names.find((one) => of(one) !== null) ?? '';
  const endpoint = of(name);
  if (endpoint !== null && !isEndpoint(endpoint)) {
    return err(
      `${name} must look like http://host:port or https://host, without a user and a path`,
    );
  }
  const accessKeyId = of('AWS_ACCESS_KEY_ID');
  const secretAccessKey = of('AWS_SECRET_ACCESS_KEY');
  const sessionToken = of('AWS_SESSION_TOKEN');
  if ((accessKeyId === null) !== (secretAccessKey === null)) {
    return err('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together');
  }
  const hasKey = accessKeyId !== null && secretAccessKey !== null;
  const token = sessionToken === null ? {} : { sessionToken };
  return ok({
    endpoint,
    region:
      of('AWS_REGION') ?? of('AWS_DEFAULT_REGION') ?? (endpoint === null ? null : regionElsewhere),
    credentials: hasKey ? { accessKeyId, secretAccessKey, ...token } : null,
  });
}

function isEndpoint(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { hash, password, pathname, protocol, search, username } = new URL(text);
  const isBare = `${username}${password}${search}${hash}` === '' && pathname === '/';
  return isBare && (protocol === 'http:' || protocol === 'https:');
}
