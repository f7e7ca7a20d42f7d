/** A client's request body on its way to an app: read only as fast as the app takes it. */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

/**
 * Not the request itself, because whoever sends a stream also destroys it, and destroying a request closes the
 * client's connection with the answer still on its way. When the app answers before it has read everything,
 * only this stream ends, and the rest of the body is read and dropped.
 */
export class RequestBody extends Readable {
  readonly #request: IncomingMessage;
  readonly #onData = (chunk: Buffer): void => {
    if (!this.push(chunk)) this.#request.pause();
  };
  readonly #onEnd = (): void => {
    this.push(null);
  };
  readonly #onClose = (): void => {
    if (!this.#request.complete) this.destroy(new Error('the client left before its request was complete'));
  };
  #isStarted = false;

  constructor(request: IncomingMessage) {
    super();
    this.#request = request;
    // A body that ends early reaches the exchange through the client's connection; nobody else need hear of it.
    this.on('error', () => undefined);
    request.on('close', this.#onClose);
  }

  /** Whether anything was read: then the request cannot be given to another target. */
  get isStarted(): boolean {
    return this.#isStarted;
  }

  override _read(): void {
    if (!this.#isStarted) {
      this.#isStarted = true;
      this.#request.on('data', this.#onData);
      this.#request.on('end', this.#onEnd);
    }
    this.#request.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#request.off('data', this.#onData);
    this.#request.off('end', this.#onEnd);
    this.#request.off('close', this.#onClose);
    this.#request.resume();
    callback(error);
  }
}
