import { defineConfig } from 'vitest/config';

/** They need no Docker, but start so many processes or move so many bytes that a check before each commit would take too long with them. */
const takesLong = [
  'test/apps/volume-archive.test.ts',
  'test/cli/command-line.test.ts',
  'test/cli/supervise.test.ts',
  'test/jobs/many-schedules.test.ts',
  'test/proxy/control.test.ts',
  'test/proxy/framing.test.ts',
  'test/proxy/swap.test.ts',
  'test/relay/relay.test.ts',
  'test/run-process.test.ts',
  'test/ssh/attackers.test.ts',
  'test/ssh/server.test.ts',
  'test/store/upgrade.test.ts',
];

/**
 * Two projects: `unit` needs neither Docker nor the network and runs in `npm run check`;
 * `push` boots the real program and talks to it with real ssh, git and Docker (`bin/test`).
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.docker.test.ts', 'test/push/**', ...takesLong],
          testTimeout: 20_000,
          maxWorkers: 2,
          isolate: false, // no module keeps state, and a fresh start per file doubles the time of a check
        },
      },
      {
        test: {
          name: 'push',
          include: ['test/**/*.docker.test.ts', 'test/push/**/*.test.ts', ...takesLong],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          maxWorkers: 2,
          globalSetup: ['test/support/compile.ts'],
          setupFiles: ['test/support/show-failed-commands.ts'],
        },
      },
    ],
  },
});
