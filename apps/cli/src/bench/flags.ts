/** The flags of `inferry bench`, for the table of commands; their values are read in options.ts. */

export const benchFlags = [
  {
    flag: 'url',
    placeholder: 'URL',
    help: 'The server to measure. Default: http://127.0.0.1:8000.',
  },
  {
    flag: 'api',
    placeholder: 'jobs|v2',
    help: 'The job API (the request is held; a job that it answers with instead is waited for), or infer of the Open Inference Protocol, which other servers have too. Default: jobs.',
  },
  {
    flag: 'concurrency',
    placeholder: 'LIST',
    help: 'Closed loop: so many requests are open at any time, each on a connection of its own. A list like 1,2,4,8 or a range like 1:16:4 (step 4) or 1:16:*2 (doubling); each is measured for itself. Default: 1.',
  },
  {
    flag: 'request-rate',
    placeholder: 'LIST',
    help: 'Open loop instead: so many requests are begun a second, whether or not answers come. A list or range as above. Latencies count from the instant a request was due.',
  },
  {
    flag: 'arrivals',
    placeholder: 'poisson|constant',
    help: 'The instants of an open loop: at random, or evenly spaced. Default: poisson.',
  },
  {
    flag: 'in-flight-max',
    placeholder: 'N',
    help: 'Open requests of an open loop at most; what is due beyond counts as an error "not_sent". Default: 1000.',
  },
  {
    flag: 'input',
    placeholder: 'PATH',
    isRepeatable: true,
    help: 'What to send: a JSON file (the "input" of the job API; with --api v2 the whole body), an image or .bin file, which is sent as it is, or a folder of them. Several are sent in turn.',
  },
  {
    flag: 'data',
    placeholder: 'zeros|random',
    help: 'Where no input is given: what fills the tensors that the server says the model takes. Random floats are from 0 to 1, integers from 0 to 9. Default: random.',
  },
  {
    flag: 'shape',
    placeholder: 'NAME:DIMS',
    isRepeatable: true,
    help: 'Shape of a generated tensor, like input:8,3,224,224. Needed where dimensions vary; the first is 1 by itself.',
  },
  {
    flag: 'header',
    placeholder: 'NAME:VALUE',
    isRepeatable: true,
    help: 'A header for every request, like "Authorization: Bearer x".',
  },
  { flag: 'tenant', placeholder: 'NAME', help: 'The same as --header Inferry-Tenant:NAME.' },
  {
    flag: 'warmup',
    placeholder: 'TIME',
    help: 'How long each load runs before it is measured. Times are in seconds, or like 500ms, 10s, 2m. Default: 2.',
  },
  {
    flag: 'warmup-requests',
    placeholder: 'N',
    help: 'The warm-up ends when so many requests have ended, too. Default: 0.',
  },
  {
    flag: 'window',
    placeholder: 'TIME',
    help: 'What is measured at a time; longer where fewer than 10 requests end in it. Default: 5.',
  },
  {
    flag: 'max-windows',
    placeholder: 'N',
    help: 'A load that is not stable after so many windows is reported as not stable. Default: 10.',
  },
  {
    flag: 'stability',
    placeholder: 'PERCENT',
    help: 'A load is stable when throughput and latency of three windows in a row differ by no more (the largest against the smallest); of an open loop, latency and the share of requests that succeeds. Default: 10.',
  },
  {
    flag: 'percentile',
    placeholder: 'P',
    help: 'The latency that has to be stable, like 95. Default: the mean.',
  },
  {
    flag: 'timeout',
    placeholder: 'TIME',
    help: 'An answer that takes longer is an error. Default: 30.',
  },
  {
    flag: 'max-errors',
    placeholder: 'PERCENT',
    help: 'Exit with 1 when more of the measured requests fail, are refused or are not sent. Default: 0.',
  },
  {
    flag: 'metrics-url',
    placeholder: 'URL',
    isRepeatable: true,
    help: 'Prometheus metrics of a process that takes part (/metrics unless the URL has a path): tells its CPU time a request.',
  },
  { flag: 'seed', placeholder: 'N', help: 'Of random arrivals and random data. Default: 1.' },
  {
    flag: 'json',
    placeholder: 'FILE',
    help: 'Writes everything as one JSON document; - is standard output, and the tables then go to standard error.',
  },
  {
    flag: 'csv',
    placeholder: 'FILE',
    help: 'Writes one line a load; - is standard output.',
  },
] as const;
