import { afterAll, beforeAll, expect, it } from 'vitest';
import { appFolder, bootForge, until, writeFiles, type RunningForge } from '../support/forge.ts';
import { startVisitors, type Visitors } from '../support/start-visitors.ts';
import { visitedApp, type AppFacts } from '../support/visited-app.ts';

const [streams, streamSeconds, webSockets] = [3, 6, 5];

let forge: RunningForge;
let folder: string;
let visitors: Visitors;

beforeAll(async () => {
  // WebSockets get their close frame soon, so that the scenario sees it.
  forge = await bootForge({ hasOwnProxy: true, settings: { webSocketGrace: '1' } });
  folder = await appFolder(visitedApp('0'));
  expect(await forge.push(folder, 'site')).toMatchObject({ exitCode: 0 });
  visitors = await startVisitors({ port: forge.http, host: 'site.localhost', perSecond: 120, streams, streamSeconds, webSockets, maxSeconds: 300 });
});
afterAll(async () => await forge.remove());

const facts = async (): Promise<AppFacts> => JSON.parse((await forge.get('site', '/facts')).body) as AppFacts;
const run = async (...words: readonly string[]): Promise<void> => expect(await forge.ssh$(words)).toMatchObject({ exitCode: 0 });
const oneIsLeft = async (): Promise<boolean> => (await forge.instances('site')).length === 1;

it('deploys, rollbacks, config changes, scaling, restarts and a kill -9 lose no request, cut no stream and close WebSockets with a frame only', async () => {
  for (const text of ['1', '2', '3']) {
    await writeFiles(folder, visitedApp(text));
    expect(await forge.push(folder, 'site')).toMatchObject({ exitCode: 0 });
    expect((await facts()).text).toBe(text);
  }
  await run('releases:rollback', 'site');
  expect((await facts()).text).toBe('2');
  await run('config:set', 'site', 'COLOR=green');
  expect((await facts()).color).toBe('green');
  await run('ps:scale', 'site', 'web=3');
  await run('ps:restart', 'site');
  await run('ps:scale', 'site', 'web=1');
  // In the middle of draining: the next start of forge goes on with it.
  await forge.end('SIGKILL');
  const { answered } = await visitors.soFar();
  await until('requests are answered without it', async () => (await visitors.soFar()).answered > answered + 100);
  await forge.begin();
  await until('what was replaced is gone', oneIsLeft, 60_000);
  const result = await visitors.stop();
  expect(result).toMatchObject({ failures: [], streamsCut: [], webSocketsCut: [], connectionsClosed: 0 });
  expect(Object.keys(result.closeCodes)).toEqual(['1012']);
  expect(result.closeCodes['1012']).toBeGreaterThanOrEqual(webSockets);
  expect(result.streamsEnded).toBeGreaterThanOrEqual(streams);
  expect(result.answered).toBe(result.sent);
});
