/**
 * What containers may reach on the machine, and what the proxy may reach from it: pure. Through its bridge's gateway a
 * container reaches whatever the host listens on, and by routing 169.254.169.254, where clouds keep credentials; both end here.
 */
import { bridgePrefix } from '../labels.ts';

export interface FirewallInput {
  readonly family: 'ipv4' | 'ipv6';
  /** TCP ports that containers may reach on the host: what the internet may reach too. */
  readonly publicPorts: readonly number[];
  /** Whether the engine keeps a DOCKER-USER chain in this family; else FORWARD itself is used. */
  readonly hasDockerUser: boolean;
}

export interface FirewallRules {
  /** Rules of forge's own chains, by chain, each the words after `-A <chain>`. */
  readonly chains: Readonly<Record<string, readonly (readonly string[])[]>>;
  /** Where the chains are entered: built-in chain → forge's. */
  readonly entries: readonly { readonly from: string; readonly to: string }[];
}

export interface ProxyPlace {
  /** User that the proxy runs as. */
  readonly uid: number;
  /** Range that instances have their addresses from. */
  readonly networkPool: string;
}

export const outputChain = 'FORGE-OUTPUT';
export const inputChain = 'FORGE-INPUT';
export const forwardChain = 'FORGE-FORWARD';

/** `+` is the wildcard of iptables: the bridge of every network of forge's. docker0 is where Dockerfile builds run. */
const containerInterfaces = [`${bridgePrefix}+`, 'docker0'] as const;

const linkLocal = { ipv4: ['169.254.0.0/16'], ipv6: ['fe80::/10', 'fd00:ec2::254/128'] } as const;
const refuse = { ipv4: ['-j', 'REJECT', '--reject-with', 'icmp-admin-prohibited'], ipv6: ['-j', 'REJECT', '--reject-with', 'icmp6-adm-prohibited'] } as const;

export function firewallRules({ family, publicPorts, hasDockerUser }: FirewallInput): FirewallRules {
  const input = containerInterfaces.flatMap((name) => [
    ['-i', name, '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'RETURN'],
    ...publicPorts.map((port) => ['-i', name, '-p', 'tcp', '--dport', String(port), '-j', 'RETURN']),
    // Without neighbour discovery not even the public ports can be reached.
    ...(family === 'ipv6' ? [['-i', name, '-p', 'ipv6-icmp', '-j', 'RETURN']] : []),
    ['-i', name, ...refuse[family]],
  ]);
  // Link-local addresses that the host itself has are reached through INPUT, all others through FORWARD.
  const forward = containerInterfaces.flatMap((name) =>
    linkLocal[family].flatMap((range) => [
      // Some clouds put their resolver at the same address as their metadata: without it no app could look up a name.
      ...['udp', 'tcp'].map((protocol) => ['-i', name, '-d', range, '-p', protocol, '--dport', '53', '-j', 'RETURN']),
      ['-i', name, '-d', range, ...refuse[family]],
    ]),
  );
  return {
    chains: { [inputChain]: input, [forwardChain]: forward },
    entries: [
      { from: 'INPUT', to: inputChain },
      { from: hasDockerUser ? 'DOCKER-USER' : 'FORWARD', to: forwardChain },
    ],
  };
}

/**
 * An instance's address means the instance only on its bridge. Without that, as before the engine has started, the way
 * leads out of the machine, to a stranger who may have the address: visitors' requests must not go there.
 */
export const proxyRules = ({ uid, networkPool }: ProxyPlace): FirewallRules => ({
  chains: { [outputChain]: [['-d', networkPool, '!', '-o', `${bridgePrefix}+`, '-m', 'owner', '--uid-owner', String(uid), ...refuse.ipv4]] },
  entries: [{ from: 'OUTPUT', to: outputChain }],
});

/** The chains as `iptables-restore --noflush` reads them: each is replaced whole, in one step, and nothing else is touched. */
export function restoreInput({ chains }: FirewallRules): string {
  const names = Object.keys(chains);
  const rules = names.flatMap((name) => (chains[name] ?? []).map((words) => ['-A', name, ...words].join(' ')));
  return ['*filter', ...names.map((name) => `:${name} - [0:0]`), ...rules, 'COMMIT', ''].join('\n');
}
