import { startProcess } from '../run-process.ts';
import { protocolEnvironment, receivePackArgs, type GitMode } from './git-args.ts';
import { connectStreams, type ServiceStreams } from './connect-streams.ts';

export interface ReceivePack extends ServiceStreams {
  readonly repositoryPath: string;
  readonly hooksPath: string;
  readonly mode: GitMode;
  readonly maxPackBytes: number;
  readonly gitProtocol: string | undefined;
  /** The whole environment; the hook inherits it. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Runs `git receive-pack` and resolves to its exit status. It is never killed, by a signal to forge's process group
 * neither: killed, it leaves its quarantine behind, and nobody would know whether the ref moved.
 */
export async function receivePack(options: ReceivePack): Promise<number> {
  const env = { ...options.env, ...protocolEnvironment(options.gitProtocol) };
  return await connectStreams(startProcess('git', receivePackArgs(options), { env, detached: true }), options);
}
