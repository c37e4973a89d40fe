export { citedPaths } from './cited-paths.ts';
