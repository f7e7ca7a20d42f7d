import { startProcess } from '../run-process.ts';
import { protocolEnvironment, uploadPackArgs, type GitMode } from './git-args.ts';
import { connectStreams, type ServiceStreams } from './connect-streams.ts';

export interface UploadPack extends ServiceStreams {
  readonly repositoryPath: string;
  readonly mode: GitMode;
  readonly gitProtocol: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

/** Runs `git upload-pack` and resolves to its exit status. It only reads: it is ended when the client leaves. */
export async function uploadPack(options: UploadPack): Promise<number> {
  const env = { ...options.env, ...protocolEnvironment(options.gitProtocol) };
  const child = startProcess('git', uploadPackArgs(options), { env });
  const kill = (): void => void child.kill('SIGTERM');
  if (options.signal.aborted) kill();
  options.signal.addEventListener('abort', kill, { once: true });
  try {
    return await connectStreams(child, options);
  } finally {
    options.signal.removeEventListener('abort', kill);
  }
}
