/** Ports for servers that tests start. */
import { createServer } from 'node:net';

/**
 * A loopback TCP port nobody listens on right now. Another process may take it before its user
 * does, so whoever can should ask for port 0 instead.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === 'string') {
          reject(new Error('the system gave no port'));
        } else resolve(address.port);
      });
    });
  });
}
