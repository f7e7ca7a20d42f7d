/** What keeps the disk bounded, and who tells it that something was released. */
import type { Config } from '../config.ts';
import type { Deployer } from '../deploy/deployer.ts';
import { createRetention, type Retention } from '../retention/retention.ts';
import type { RetentionParts } from '../retention/parts.ts';

export function wireRetention(parts: RetentionParts & { readonly config: Config }, stack: AsyncDisposableStack): Retention {
  const retention = createRetention(parts);
  retention.start();
  stack.defer(async () => await retention.close());
  return retention;
}

/** After each deploy and change, whether it went well or left an image of no use. Nobody waits for it. */
export function collectAfterwards(deployer: Deployer, { noteRelease }: Pick<Retention, 'noteRelease'>): Deployer {
  const noted = <R extends { readonly app: string }, T>(task: (request: R) => Promise<T>) => async (request: R): Promise<T> => {
    try {
      return await task(request);
    } finally {
      noteRelease(request.app);
    }
  };
  return { ...deployer, deploy: noted(deployer.deploy), change: noted(deployer.change), rollback: noted(deployer.rollback) };
}
