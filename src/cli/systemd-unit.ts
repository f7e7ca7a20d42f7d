/** The units that bin/install puts in place: what runs forge where systemd does. Pure text, from the folders chosen there. */
import { ForgeError } from '../errors.ts';

export interface UnitFolders {
  readonly data: string;
  readonly proxyDir: string;
  readonly doorDir: string;
  readonly cacheDir: string;
}

export const unitNames = ['forge', 'forge-proxy', 'forge-firewall-early', 'forge-firewall'] as const;

/** Throws `invalid` for another unit and for a folder that a unit file could read otherwise. */
export function systemdUnit(name: string, folders: UnitFolders): string {
  for (const folder of Object.values(folders)) {
    if (!/^\/[\w/.@+-]+$/.test(folder)) throw new ForgeError('invalid', `${JSON.stringify(folder)} cannot stand in a unit: expected an absolute path without blanks`);
  }
  const unit = units[name];
  if (!unit) throw new ForgeError('invalid', `there is no unit ${name}`, { hint: `units: ${unitNames.join(', ')}` });
  return `${unit(folders).join('\n')}\n`;
}

/** What neither process needs. */
const hardening = [
  'NoNewPrivileges=yes',
  'PrivateTmp=yes',
  'PrivateDevices=yes',
  'ProtectHome=yes',
  'ProtectKernelTunables=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelLogs=yes',
  'ProtectClock=yes',
  'ProtectHostname=yes',
  'RestrictRealtime=yes',
  'LockPersonality=yes',
  'SystemCallArchitectures=native',
  'ProtectSystem=strict',
];

const program = '/opt/forge/current/bin/forge';

const appliesFirewall = ['[Service]', 'Type=oneshot', 'RemainAfterExit=yes', 'EnvironmentFile=/etc/forge/forge.env', `ExecStart=${program} firewall apply`];

const units: Readonly<Record<string, (folders: UnitFolders) => readonly string[]>> = {
  forge: ({ data, proxyDir, doorDir, cacheDir }) => [
    '[Unit]',
    'Description=forge: git push to this machine',
    'Wants=docker.service forge-proxy.service',
    'After=network-online.target docker.service forge-proxy.service forge-firewall.service',
    '',
    '[Service]',
    'EnvironmentFile=/etc/forge/forge.env',
    `ExecStart=${program} serve`,
    'User=forge-daemon',
    'Group=forge-daemon',
    'SupplementaryGroups=docker forge forge-proxy',
    // sshd's relay finds its socket here also after a reboot.
    `ExecStartPre=+/usr/bin/install -d -m 2750 -o forge-daemon -g forge ${doorDir}`,
    'UMask=0077',
    'Restart=always',
    'RestartSec=1',
    'TimeoutStopSec=45',
    'LimitNOFILE=65536',
    'OOMScoreAdjust=-500',
    ...hardening,
    'CapabilityBoundingSet=',
    'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
    // The listening ports of an app that does not get ready are read from /proc.
    'ProtectProc=default',
    `ReadWritePaths=${data} ${proxyDir} ${cacheDir} ${doorDir} /run`,
    '',
    '[Install]',
    'WantedBy=multi-user.target',
  ],
  'forge-proxy': ({ proxyDir }) => [
    '[Unit]',
    'Description=forge: proxy in front of the apps',
    'After=network-online.target',
    '',
    '[Service]',
    'EnvironmentFile=/etc/forge/forge.env',
    `ExecStart=${program} proxy`,
    'User=forge-proxy',
    'Group=forge-proxy',
    'UMask=0007',
    'AmbientCapabilities=CAP_NET_BIND_SERVICE',
    'CapabilityBoundingSet=CAP_NET_BIND_SERVICE',
    'Restart=always',
    'RestartSec=200ms',
    'TimeoutStopSec=30',
    'LimitNOFILE=262144',
    'OOMScoreAdjust=-800',
    // What serves visitors goes first.
    'CPUWeight=400',
    ...hardening,
    // The control plane must be able to write such bits: packages that go into base images have them.
    'RestrictSUIDSGID=yes',
    'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6',
    'ProtectProc=invisible',
    `ReadWritePaths=${proxyDir}`,
    'InaccessiblePaths=-/run/docker.sock -/var/lib/docker',
    '',
    '[Install]',
    'WantedBy=multi-user.target',
  ],
  'forge-firewall-early': () => [
    '[Unit]',
    'Description=forge: the same firewall before the first container and the first visitor',
    // Each of them may put back what was there before.
    'After=netfilter-persistent.service nftables.service ufw.service firewalld.service',
    'Before=docker.service forge-proxy.service',
    '',
    ...appliesFirewall,
    'TimeoutStartSec=60',
    '',
    '[Install]',
    'WantedBy=multi-user.target docker.service forge-proxy.service',
  ],
  'forge-firewall': () => [
    '[Unit]',
    'Description=forge: keeps containers away from this machine’s own services',
    // The engine rewrites the chains when it starts.
    'After=docker.service',
    'PartOf=docker.service',
    '',
    ...appliesFirewall,
    // Without it builds are still watched, so a machine where it cannot be done keeps its firewall.
    `ExecStart=-${program} build-caps`,
    '',
    '[Install]',
    'WantedBy=multi-user.target docker.service',
  ],
};
