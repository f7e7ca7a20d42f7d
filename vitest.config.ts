import { defineConfig } from 'vitest/config';

/**
 * Two projects: `unit` needs neither Docker nor the network and runs in `npm run check`;
 * `push` boots the real program and talks to it with real ssh, git and Docker (`bin/test`).
 */
/** They need no Docker, but start so many processes that a check before each commit would take too long with them. */
const startsManyProcesses = ['test/cli/command-line.test.ts', 'test/cli/supervise.test.ts', 'test/ssh/attackers.test.ts', 'test/proxy/swap.test.ts', 'test/relay/relay.test.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.docker.test.ts', 'test/push/**', ...startsManyProcesses],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'push',
          include: ['test/**/*.docker.test.ts', 'test/push/**/*.test.ts', ...startsManyProcesses],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          maxWorkers: 2,
          globalSetup: ['test/support/compile.ts'],
        },
      },
    ],
  },
});
