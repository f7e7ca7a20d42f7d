import { z } from 'zod';
import type { Origin } from '../domain.ts';
import { parseImageReference } from '../names.ts';
import { createApp, findApp } from '../store/apps.ts';
import { newAppField } from './fields.ts';
import { says } from './input-form.ts';
import { defineOperation } from './operation.ts';

const nothing = async (): Promise<void> => undefined;

const deploy = defineOperation({
  name: 'deploy',
  summary: 'Deploy a folder, or an image that was built elsewhere',
  help: 'forge deploy [DIR] --app hello packs a folder and deploys it (default: this one).\nforge deploy hello --image registry.example.com/hello:1.2 deploys an image; one that serves already is left alone.\nOver SSH: tar -c . | ssh forge@host deploy hello',
  target: 'new-app',
  permission: 'deploy',
  isChange: true,
  readsStdin: true,
  positionals: ['app'],
  input: z.object({
    app: newAppField.meta(says('The app; a new one is made', { short: 'a', placeholder: 'APP' })),
    force: z.boolean().default(false).meta(says('Deploy an image again that serves already')),
    image: z.string().overwrite(parseImageReference).optional().meta(says('An image that the engine has or can pull', { placeholder: 'REF' })),
  }),
  audit: ({ image }) => (image === undefined ? { from: 'folder' } : { from: 'image', image }),
  run: async ({ app, image, force }, { session, services, progress }) => {
    // The dispatcher has let in only who may make it.
    if (!findApp(services.store, app)) createApp(services.store, { name: app });
    const origin: Origin = image === undefined ? { kind: 'folder' } : { kind: 'image', reference: image };
    const release = await services.deployer.deploy({
      app,
      actor: session.actor,
      origin,
      isForced: force,
      reason: image === undefined ? 'Deploy folder' : `Deploy ${image}`,
      ...(image === undefined ? { openSource: async () => session.stdin } : {}),
      verify: nothing,
      confirm: nothing,
      output: progress,
      signal: session.signal,
    });
    return { app, release: release.version, image: release.image.digest, url: services.deployer.urlOf(app) };
  },
  // The deployer's report has said it all.
  print: () => undefined,
});

export const deployOperations = [deploy];
