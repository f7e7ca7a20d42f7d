/** Which ports the processes of a container listen on, as the kernel tells: pure, from `/proc/<pid>/net/tcp` and `tcp6`. */

export interface Listener {
  readonly port: number;
  /** Reachable from inside the container only. */
  readonly isLoopback: boolean;
}

const listening = '0A';
/** Docker's resolver lives at 127.0.0.11 in every container of a network. */
const engineResolver = '0B00007F';

/** The listeners of both tables, without Docker's own resolver. */
export function parseListeners(tcp: string, tcp6: string): Listener[] {
  return [...rowsOf(tcp), ...rowsOf(tcp6)]
    .filter(({ state, address }) => state === listening && address !== engineResolver)
    .map(({ address, port }) => ({ port, isLoopback: isLoopback(address) }));
}

function rowsOf(table: string): { readonly address: string; readonly port: number; readonly state: string }[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.length > 3)
    .map((fields) => {
      const [address = '', port = ''] = (fields[1] ?? '').split(':');
      return { address, port: Number.parseInt(port, 16), state: fields[3] ?? '' };
    });
}

/** Addresses are printed as 32-bit words in the machine's byte order; both architectures that forge runs on are little endian. */
function isLoopback(address: string): boolean {
  if (address.length === 8) return address.endsWith('7F');
  const isMapped = address.startsWith('0000000000000000FFFF0000');
  return address === '00000000000000000000000001000000' || (isMapped && address.endsWith('7F'));
}
