/** Two sockets joined after a 101: bytes pass both ways, each side as fast as the other reads. */
import type { Duplex } from 'node:stream';
import { delay } from '../wait.ts';
import { closeFrameToApp, closeFrameToClient, createFrameTracker } from './websocket-frames.ts';
import type { Tunnel } from './target.ts';

interface Direction {
  readonly from: Duplex;
  readonly to: Duplex;
  readonly goodbye: () => Buffer;
}

/** How long one side gets to take what is left for it once the other one is gone. */
const lingerMs = 10_000;

/** Joins them; `onEnd` is called once when both are closed. */
export function openTunnel(client: Duplex, app: Duplex, options: { readonly isWebSocket: boolean; readonly onEnd: () => void }): Tunnel {
  const over = new AbortController();
  const destroy = (): void => {
    client.destroy();
    app.destroy();
  };
  const closers = [
    join({ from: app, to: client, goodbye: closeFrameToClient }, options.isWebSocket),
    join({ from: client, to: app, goodbye: closeFrameToApp }, options.isWebSocket),
  ];
  let open = 2;
  for (const [side, other] of [[client, app], [app, client]] as const) {
    side.on('error', destroy);
    side.on('close', () => {
      open -= 1;
      if (open === 0) {
        over.abort();
        options.onEnd();
        return;
      }
      // Not destroyed: its last bytes may still be on the way, and unread ones of its own would turn its end into a reset.
      other.end();
      other.resume();
      void delay(lingerMs, over.signal).then(destroy, () => undefined);
    });
  }
  return {
    destroy,
    close() {
      for (const close of closers) close();
    },
  };
}

/** Pipes one direction; the function it returns ends that direction, for WebSockets with a close frame between two frames. */
function join({ from, to, goodbye }: Direction, isWebSocket: boolean): () => void {
  from.pipe(to);
  if (!isWebSocket) return () => to.end();
  const frames = createFrameTracker();
  let isClosing = false;
  let isClosed = false;
  const closeBetweenFrames = (): void => {
    if (isClosed || !isClosing || !frames.isBetweenFrames) return;
    isClosed = true;
    from.unpipe(to);
    from.resume();
    to.end(goodbye());
  };
  from.on('data', (chunk: Buffer) => {
    frames.track(chunk);
    closeBetweenFrames();
  });
  return () => {
    isClosing = true;
    closeBetweenFrames();
  };
}
