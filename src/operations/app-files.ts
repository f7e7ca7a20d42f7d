import { z } from 'zod';
import { createReport } from '../report.ts';
import { appField, newAppField } from './fields.ts';
import { says } from './input-form.ts';
import { defineOperation } from './operation.ts';
import { readFirstLine } from './read-first-line.ts';
import { refuseTerminal } from './volumes.ts';
import { write } from './write.ts';

const passphrase = 'Passphrase';

const exportApp = defineOperation({
  name: 'apps:export',
  summary: 'Print everything of an app as one file, sealed under a passphrase',
  help: 'ssh forge@host apps:export hello < passphrase.txt > hello.forge\nThe first line of stdin is the passphrase, of at least 8 characters. The file holds code, image, config, settings and volumes; apps:import takes it, on this machine or another. Releases before the live one, logs and deployments stay here.',
  target: 'app',
  permission: 'manage',
  // It is recorded: somebody took a copy of the app.
  isChange: true,
  readsStdin: true,
  positionals: ['app'],
  input: z.object({ app: appField, withoutImage: z.boolean().default(false).meta(says('Leave the image out: the app is pushed once more where it is imported')) }),
  audit: ({ withoutImage }) => ({ withoutImage }),
  run: async ({ app, withoutImage }, { session, services }) => {
    refuseTerminal(session, `apps:export ${app} < passphrase.txt > ${app}.forge`);
    const { actor, signal } = session;
    await services.apps.export({
      app, actor, signal,
      passphrase: await readFirstLine(session, passphrase),
      hasImage: !withoutImage,
      report: createReport([session.stderr]),
      use: async (file) => {
        for await (const chunk of file) await write(session.stdout, chunk as Buffer, signal);
      },
    });
    return undefined;
  },
  print: () => undefined,
});

const importApp = defineOperation({
  name: 'apps:import',
  summary: 'Make an app from what apps:export printed: all of it or nothing',
  help: 'cat passphrase.txt hello.forge | ssh forge@host apps:import greeter\nThe first line of stdin is the passphrase, and the file follows. Without a name the app gets the one that it had. An app of that name is never overwritten.',
  target: 'machine',
  permission: 'admin',
  isChange: true,
  readsStdin: true,
  positionals: ['app'],
  input: z.object({ app: newAppField.optional(), skipDeploy: z.boolean().default(false).meta(says('Do not start it')) }),
  audit: ({ app }) => ({ app }),
  run: async ({ app, skipDeploy }, { session, services }) => {
    const { actor, signal, stdin } = session;
    const report = createReport([session.stderr]);
    const secret = await readFirstLine(session, passphrase);
    const imported = await services.apps.import({ app, actor, signal, report, passphrase: secret, input: stdin, output: session.stderr, isStarted: !skipDeploy });
    return { ...imported, url: services.deployer.urlOf(imported.app), isStarted: !skipDeploy };
  },
  print: ({ app, release, url, isStarted }) => {
    if (release === undefined) return `Imported ${app}, without an image: push its code to it`;
    return isStarted ? `Imported ${app}: ${url}` : `Imported ${app}, stopped. Start it: forge ps:start ${app}`;
  },
});

export const appFileOperations = [exportApp, importApp];
