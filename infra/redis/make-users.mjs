/**
 * Users of a Redis that others can reach: writes an ACL file and prints the connection strings.
 *
 *   node infra/redis/make-users.mjs --out infra/redis/users.acl >> redis-users.env
 *   redis-server infra/redis/redis.conf --dir /data --aclfile infra/redis/users.acl
 *
 * Passwords are made up here and printed once; the file holds their SHA-256 alone. Rules are for Redis 7;
 * a server refuses to start with a rule about a command that it does not know.
 */
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const values = given();
if (values.out === undefined) fail('--out FILE must be given: where the ACL file goes');
if (!/^[A-Za-z0-9_-]{1,32}$/u.test(values.prefix)) {
  fail('--prefix must be 1 to 32 letters, digits, - or _, as INFERRY_REDIS_PREFIX');
}

if (!URL.canParse(`redis://${values.host}/0`) || /[/@?#]/u.test(values.host)) {
  fail('--host must be HOST:PORT, an IPv6 address in brackets');
}

/** Keys of ours, and the channels on which outcomes travel. */
const own = `~${values.prefix}:* resetchannels &${values.prefix}:*`;

const users = {
  // Whoever looks after the server. Nothing of Inferry uses it.
  admin: '~* &* +@all',
  // Gateways, workers and the command line. Not FLUSHALL, KEYS, CONFIG, SHUTDOWN, nor keys of others.
  inferry: `${own} -@all +@read +@write +@string +@hash +@list +@set +@sortedset +@stream +@pubsub +@scripting +@transaction +@blocking +@connection -@dangerous -@admin +info +time +client -client|kill -client|pause -client|unpause -client|no-evict -script|flush -script|kill -function`,
  // redis_exporter reads how the server is, and no payload.
  exporter: `resetchannels -@all +@connection +ping +info +config|get +latency +slowlog +client|list +dbsize`,
  // KEDA looks whether jobs wait, by a script that asks for a length.
  keda: `~${values.prefix}:* resetchannels -@all +@connection +ping +eval +type +llen +zcard +scard +hlen +xlen`,
};

const lines = ['user default off'];
const variables = [];
for (const [name, rules] of Object.entries(users)) {
  const password = randomBytes(24).toString('base64url');
  const digest = createHash('sha256').update(password).digest('hex');
  lines.push(`user ${name} on #${digest} ${rules}`);
  const variable = name === 'inferry' ? 'REDIS_URL' : `REDIS_URL_${name.toUpperCase()}`;
  variables.push(`${variable}=redis://${name}:${password}@${values.host}/0`);
}
try {
  // Another run would lock out whoever holds the passwords of this one.
  writeFileSync(values.out, `${lines.join('\n')}\n`, { flag: 'wx', mode: 0o644 });
} catch (cause) {
  fail(`${values.out} cannot be written: ${cause.message}`);
}
// Passwords of users that exist, and no others.
console.log(variables.join('\n'));

function given() {
  try {
    return parseArgs({
      options: {
        out: { type: 'string' },
        prefix: { type: 'string', default: 'inferry' },
        host: { type: 'string', default: '127.0.0.1:6379' },
      },
    }).values;
  } catch (cause) {
    return fail(cause.message);
  }
}

function fail(message) {
  console.error(`make-users: ${message}`);
  process.exit(2);
}
