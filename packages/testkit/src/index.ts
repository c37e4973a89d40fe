export {
  type AppProcess,
  type AppProcessOptions,
  type ProcessExit,
  startProcess,
} from './app-process.ts';
export { EventReader, type ReadEvent } from './event-reader.ts';
export { freePort } from './free-port.ts';
export { liveResources, registerLive } from './live-resources.ts';
export {
  type RedisLogin,
  type RedisServer,
  type RedisServerOptions,
  startRedisServer,
} from './redis-server.ts';
export { repositoryFiles, type RepositoryFile } from './repository-files.ts';
export { repositoryPath } from './repository-path.ts';
export { type S3Server, startS3Server } from './s3-server.ts';
export { waitFor, type WaitForOptions } from './wait-for.ts';
export { testManifest } from './test-manifest.ts';
