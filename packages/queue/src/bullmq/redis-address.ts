/** Where a Redis is, out of its URL. */

export interface RedisAddress {
  /** A socket of the file system, or a host. */
  readonly at:
    | { readonly path: string }
    | { readonly host: string; readonly port: number; readonly isTls: boolean };
  /** Empty where none is given. */
  readonly username: string;
  readonly password: string;
  readonly database: number;
}

const defaultPort = 6_379;

/**
 * Of `redis://user:password@host:port/database`, `rediss://` (TLS), or
 * `unix:///path/to/redis.sock?db=0&username=user&password=password`.
 */
export function redisAddress(text: string): RedisAddress {
  const url = new URL(text);
  if (url.protocol === 'unix:') {
    const { searchParams: given } = url;
    return {
      at: { path: decodeURIComponent(url.pathname) },
      username: given.get('username') ?? '',
      password: given.get('password') ?? '',
      database: Number(given.get('db') ?? 0),
    };
  }
  return {
    at: {
      // An IPv6 address stands in brackets in a URL, and nowhere else.
      host: url.hostname.replace(/^\[|\]$/gu, ''),
      port: url.port === '' ? defaultPort : Number(url.port),
      isTls: url.protocol === 'rediss:',
    },
    username: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: Number(url.pathname.slice(1)),
  };
}
