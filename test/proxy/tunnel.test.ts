import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { openTunnel } from '../../src/proxy/tunnel.ts';
import { eventually } from './stage.ts';

/** One side of a tunnel: `written` is what has reached it, `take` lets it take what waits. */
function openSide({ isSlow }: { readonly isSlow: boolean }) {
  const written: string[] = [];
  let waiting: (() => void) | undefined;
  const side = new Duplex({
    // As undici's sockets, which end when the app ends; node:http's stay half open.
    allowHalfOpen: isSlow,
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk.toString('latin1'));
      if (isSlow) waiting = done;
      else done();
    },
  });
  const take = (): void => {
    const done = waiting;
    waiting = undefined;
    done?.();
  };
  return { side, written, take };
}

test('what an app said last reaches a client that takes it slowly, although the app is gone', async () => {
  const client = openSide({ isSlow: true });
  const app = openSide({ isSlow: false });
  let isOver = false;
  openTunnel(client.side, app.side, { isWebSocket: true, onEnd: () => (isOver = true) });
  for (const text of ['first', 'last']) app.side.push(text);
  app.side.push(null);
  await eventually(() => app.side.destroyed);
  // What it still sends goes nowhere, and must not stay unread: that would turn its end into a reset.
  client.side.push('are you there?');
  client.take();
  await eventually(() => client.written.join('') === 'firstlast');
  client.take();
  await eventually(() => client.side.writableFinished);
  expect(isOver).toBe(false);
  client.side.push(null);
  await eventually(() => isOver);
});

test('a side that fails takes the other one with it', async () => {
  const [client, app] = [openSide({ isSlow: true }), openSide({ isSlow: false })];
  let isOver = false;
  openTunnel(client.side, app.side, { isWebSocket: false, onEnd: () => (isOver = true) });
  app.side.push('never taken');
  client.side.destroy(new Error('reset'));
  await eventually(() => isOver);
  expect(app.side.destroyed).toBe(true);
});
