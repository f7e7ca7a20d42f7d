import { z } from 'zod';
import { ForgeError } from '../errors.ts';
import { appField } from './fields.ts';
import { defineOperation } from './operation.ts';

const nothing = async (): Promise<void> => undefined;

const rebuild = defineOperation({
  name: 'ps:rebuild',
  summary: 'Build the deployed branch of an app again, and deploy that',
  help: 'forge ps:rebuild hello\nFor a newer builder or base image, and for config that the build reads. A build that fails leaves the app as it is.',
  target: 'app',
  permission: 'deploy',
  isChange: true,
  positionals: ['app'],
  input: z.object({ app: appField }),
  run: async ({ app }, { session, services, progress }) => {
    const { repositories, deployer } = services;
    const branch = await repositories.headBranch(app);
    const refOf = async () => (branch === undefined ? undefined : await repositories.resolveRef(app, `refs/heads/${branch}`));
    const commit = await refOf();
    if (branch === undefined || commit === undefined) throw new ForgeError('conflict', `there is nothing to build: nothing was pushed to ${app}`, { hint: 'a folder or an image is deployed again with forge deploy' });
    const release = await deployer.deploy({
      app,
      actor: session.actor,
      origin: { kind: 'git', branch, commit },
      reason: `Rebuild ${commit.slice(0, 7)}`,
      openSource: async (signal) => repositories.openArchive(app, commit, signal),
      verify: async () => {
        if ((await refOf()) !== commit) throw new ForgeError('superseded', `another push became live while the rebuild of ${app} waited`);
      },
      confirm: nothing,
      output: progress,
      signal: session.signal,
    });
    return { app, release: release.version, image: release.image.digest, url: deployer.urlOf(app) };
  },
  // The deployer's report has said it all.
  print: () => undefined,
});

export const rebuildOperations = [rebuild];
