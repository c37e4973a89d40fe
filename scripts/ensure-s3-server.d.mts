/** See ensure-s3-server.mjs. Returns the path of a Python that has moto; throws an Error with advice. */
export function ensureS3Server(): string;
