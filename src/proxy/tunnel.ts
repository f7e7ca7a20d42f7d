/** Two sockets joined after a 101: bytes pass both ways, each side as fast as the other reads. */
import type { Duplex } from 'node:stream';
import { closeFrameToApp, closeFrameToClient, createFrameTracker } from './websocket-frames.ts';
import type { Tunnel } from './target.ts';

interface Direction {
  readonly from: Duplex;
  readonly to: Duplex;
  readonly goodbye: () => Buffer;
}

/** Joins them; `onEnd` is called once when both are closed. A tunnel ends as soon as either side is gone. */
export function openTunnel(client: Duplex, app: Duplex, options: { readonly isWebSocket: boolean; readonly onEnd: () => void }): Tunnel {
  let open = 2;
  const destroy = (): void => {
    client.destroy();
    app.destroy();
  };
  for (const side of [client, app]) {
    side.on('error', destroy);
    side.on('close', () => {
      destroy();
      open -= 1;
      if (open === 0) options.onEnd();
    });
  }
  const closers = [
    join({ from: app, to: client, goodbye: closeFrameToClient }, options.isWebSocket),
    join({ from: client, to: app, goodbye: closeFrameToApp }, options.isWebSocket),
  ];
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
