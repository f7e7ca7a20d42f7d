/** Requests at a steady rate over kept connections, counting what went wrong. */
import { Agent, request } from 'node:http';

export interface LoadTarget {
  readonly port: number;
  readonly host: string;
  readonly path?: string;
  readonly perSecond: number;
}

export interface LoadResult {
  readonly answered: number;
  /** One line for each request that got no answer or not 200. */
  readonly failures: readonly string[];
  /** Different bodies, in the order of their first appearance. */
  readonly bodies: readonly string[];
}

export interface Load {
  readonly soFar: LoadResult;
  /** Stops asking, waits for what is under way. */
  stop(): Promise<LoadResult>;
}

export function startLoad({ port, host, path = '/', perSecond }: LoadTarget): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const failures: string[] = [];
  const bodies = new Set<string>();
  const pending = new Set<Promise<void>>();
  let answered = 0;
  const result = (): LoadResult => ({ answered, failures: [...failures], bodies: [...bodies] });
  const tick = setInterval(() => {
    const asked = askOnce({ agent, port, host, path })
      .then((body) => {
        answered += 1;
        bodies.add(body);
      })
      .catch((error: Error) => void failures.push(error.message))
      .finally(() => pending.delete(asked));
    pending.add(asked);
  }, 1000 / perSecond);
  return {
    get soFar() {
      return result();
    },
    stop: async () => {
      clearInterval(tick);
      await Promise.all(pending);
      agent.destroy();
      return result();
    },
  };
}

function askOnce({ agent, port, host, path }: { agent: Agent; port: number; host: string; path: string }): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request({ agent, host: '127.0.0.1', port, path, headers: { host: `${host}:${port}` } }, (response) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (part: string) => (body += part));
    response.on('error', reject);
    response.on('end', () => (response.statusCode === 200 ? resolve(body) : reject(new Error(`${response.statusCode}: ${body}`))));
  });
  asked.setTimeout(30_000, () => asked.destroy(new Error('no answer within 30 s')));
  asked.on('error', reject);
  asked.end();
  return promise;
}
