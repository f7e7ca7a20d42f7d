/** Which ports an instance listens on, for the person whose app does not answer. */
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Docker } from '../docker/connect.ts';
import { inspectContainer } from '../docker/containers.ts';
import type { Instance } from '../domain.ts';
import { type Listener, parseListeners } from './listeners.ts';

/** Tried where the kernel's tables cannot be read: what frameworks listen on unless they are told. */
const usualPorts = [80, 1323, 3000, 3001, 4000, 4200, 4567, 5000, 5173, 8000, 8080, 8081, 8501, 8888, 9000, 9292];
const probeMs = 500;

/**
 * From the kernel's tables for the container's processes, which anybody may read. A forge that runs in a container
 * does not see those processes: it knocks at the usual ports, and cannot tell what listens on 127.0.0.1 only.
 */
export async function findListeners(docker: Docker, { containerId, address }: Pick<Instance, 'containerId' | 'address'>, signal: AbortSignal): Promise<readonly Listener[]> {
  return (await fromKernel(docker, containerId)) ?? (await fromOutside(address, signal));
}

async function fromKernel(docker: Docker, containerId: string): Promise<readonly Listener[] | undefined> {
  try {
    const { State } = await inspectContainer(docker, containerId);
    const [cgroup, tcp, tcp6] = await Promise.all(['cgroup', 'net/tcp', 'net/tcp6'].map((name) => readFile(`/proc/${State.Pid}/${name}`, 'utf8').catch(() => '')));
    // In another process namespace the same number is another process.
    return cgroup?.includes(containerId) ? parseListeners(tcp ?? '', tcp6 ?? '') : undefined;
  } catch {
    // It ended in between: its exit is what gets reported.
    return [];
  }
}

async function fromOutside(address: string, signal: AbortSignal): Promise<readonly Listener[]> {
  const open = await Promise.all(usualPorts.map((port) => isOpen(address, port, signal)));
  return usualPorts.filter((_, index) => open[index]).map((port) => ({ port, isLoopback: false }));
}

function isOpen(host: string, port: number, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host, port, signal, timeout: probeMs });
  const end = (answer: boolean) => {
    socket.destroy();
    resolve(answer);
  };
  socket.once('connect', () => end(true)).once('timeout', () => end(false)).on('error', () => end(false));
  return promise;
}
