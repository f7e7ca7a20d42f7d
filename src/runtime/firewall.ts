/** Puts the firewall in place; needs root. Works with both kinds of iptables, since it uses the one that the engine uses. */
import { ForgeError } from '../errors.ts';
import { runProcess, type ProcessResult } from '../run-process.ts';
import { firewallRules, type FirewallRules, forwardChain, inputChain, outputChain, proxyRules, type ProxyPlace, restoreInput } from './firewall-rules.ts';

export interface ApplyFirewallOptions {
  /** TCP ports of the machine that containers may reach too: those of the proxy, and SSH where it is public. */
  readonly publicPorts: readonly number[];
  /** `undefined`: it has no user of its own, so that nothing can be said of it. */
  readonly proxy?: ProxyPlace | undefined;
  readonly signal: AbortSignal;
}

interface Tool {
  readonly family: 'ipv4' | 'ipv6';
  readonly command: string;
  readonly isRequired: boolean;
}

/** A container has no IPv6 unless somebody gives it one; a machine without ip6tables has none at all. */
const tools: readonly Tool[] = [
  { family: 'ipv4', command: 'iptables', isRequired: true },
  { family: 'ipv6', command: 'ip6tables', isRequired: false },
];

/** The engine's, for the rules of others. */
const dockerUser = 'DOCKER-USER';

const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C' };

/**
 * Replaces forge's chains and makes sure that each is entered first, once; running it again changes nothing.
 * Returns the families that are protected. Throws `failed` with what iptables said.
 */
export async function applyFirewall({ publicPorts, proxy, signal }: ApplyFirewallOptions): Promise<readonly Tool['family'][]> {
  const protectedFamilies: Tool['family'][] = [];
  for (const tool of tools) {
    if (!(await isUsable(tool, signal))) continue;
    const hasDockerUser = await ensureDockerUser(tool, signal);
    await put(firewallRules({ family: tool.family, publicPorts, hasDockerUser }), tool, signal);
    // By themselves: a kernel that cannot tell users apart still has the others.
    if (tool.family === 'ipv4' && proxy) await put(proxyRules(proxy), tool, signal);
    protectedFamilies.push(tool.family);
  }
  return protectedFamilies;
}

async function put(rules: FirewallRules, tool: Tool, signal: AbortSignal): Promise<void> {
  await demand(await run(`${tool.command}-restore`, ['--wait', '--noflush'], signal, restoreInput(rules)), tool);
  for (const { from, to } of rules.entries) await enterFirst({ tool, from, to, signal });
}

/**
 * An engine that starts keeps what is in this chain: rules that are in it before hold for the first container already. False:
 * it is not there, and not made, because most engines have none in this family.
 */
async function ensureDockerUser(tool: Tool, signal: AbortSignal): Promise<boolean> {
  if (await hasChain(tool, dockerUser, signal)) return true;
  if (tool.family !== 'ipv4') return false;
  await demand(await run(tool.command, ['--wait', '-N', dockerUser], signal), tool);
  await enterFirst({ tool, from: 'FORWARD', to: dockerUser, signal });
  return true;
}

/** Takes forge's chains away again. */
export async function removeFirewall(signal: AbortSignal): Promise<void> {
  for (const tool of tools) {
    if (!(await isUsable(tool, signal))) continue;
    for (const [from, to] of [['INPUT', inputChain], ['OUTPUT', outputChain], [dockerUser, forwardChain], ['FORWARD', forwardChain]] as const) {
      await leave({ tool, from, to, signal });
    }
    for (const chain of [inputChain, outputChain, forwardChain]) {
      if (!(await hasChain(tool, chain, signal))) continue;
      await demand(await run(tool.command, ['--wait', '-F', chain], signal), tool);
      await demand(await run(tool.command, ['--wait', '-X', chain], signal), tool);
    }
  }
}

async function isUsable(tool: Tool, signal: AbortSignal): Promise<boolean> {
  try {
    const result = await run(tool.command, ['--wait', '-n', '-L', 'INPUT'], signal);
    if (result.exitCode === 0) return true;
    if (tool.isRequired) await demand(result, tool);
    return false;
  } catch (error) {
    if (tool.isRequired || signal.aborted) throw error;
    return false;
  }
}

async function hasChain(tool: Tool, chain: string, signal: AbortSignal): Promise<boolean> {
  return (await run(tool.command, ['--wait', '-n', '-L', chain], signal)).exitCode === 0;
}

interface Entry {
  readonly tool: Tool;
  readonly from: string;
  readonly to: string;
  readonly signal: AbortSignal;
}

/** Another firewall may have put its own rules before forge's: the entry goes back to the first place, then the older ones go. */
async function enterFirst({ tool, from, to, signal }: Entry): Promise<void> {
  const listed = await run(tool.command, ['--wait', '-S', from], signal);
  await demand(listed, tool);
  const rules = listed.stdout.split('\n').filter((line) => line.startsWith('-A '));
  const entries = rules.filter((line) => line === `-A ${from} -j ${to}`).length;
  if (rules[0] === `-A ${from} -j ${to}` && entries === 1) return;
  await demand(await run(tool.command, ['--wait', '-I', from, '1', '-j', to], signal), tool);
  // Deletions by rule take the first match, which is the new entry: the older ones go by their place.
  for (let extra = 0; extra < entries; extra++) await removeLast({ tool, from, to, signal });
}

async function removeLast({ tool, from, to, signal }: Entry): Promise<void> {
  const { stdout } = await run(tool.command, ['--wait', '-S', from], signal);
  const rules = stdout.split('\n').filter((line) => line.startsWith('-A '));
  const place = rules.lastIndexOf(`-A ${from} -j ${to}`) + 1;
  await demand(await run(tool.command, ['--wait', '-D', from, String(place)], signal), tool);
}

async function leave({ tool, from, to, signal }: Entry): Promise<void> {
  const most = 100;
  for (let tried = 0; tried < most; tried++) {
    if ((await run(tool.command, ['--wait', '-D', from, '-j', to], signal)).exitCode !== 0) return;
  }
}

const run = (command: string, args: readonly string[], signal: AbortSignal, input?: string): Promise<ProcessResult> =>
  runProcess(command, args, { env, signal, ...(input === undefined ? {} : { input }) });

async function demand({ exitCode, stderr }: ProcessResult, { command }: Tool): Promise<void> {
  if (exitCode === 0) return;
  throw new ForgeError('failed', `${command} failed: ${stderr.trim() || `status ${exitCode}`}`, {
    hint: /permission|root/i.test(stderr) ? 'the firewall needs root: sudo forge firewall apply' : 'containers can reach services of this machine until it works',
  });
}
