/** The task, tried at each call until it has succeeded once. Calls meanwhile wait for the one under way; failures go to `onError`. */
export function untilDone(task: () => Promise<void>, onError: (error: unknown) => void): () => Promise<void> {
  let last: Promise<void> | undefined;
  return async () => {
    last ??= task().catch((error: unknown) => {
      last = undefined;
      onError(error);
    });
    await last;
  };
}
