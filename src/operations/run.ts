import { z } from 'zod';
import { parseEnvKey } from '../names.ts';
import { appField } from './fields.ts';
import { says } from './input-form.ts';
import { defineOperation } from './operation.ts';

const run = defineOperation({
  name: 'run',
  summary: 'Run a command in a fresh instance of an app',
  help: 'forge run hello npm run migrate\nEverything after the app is the command. It has the app’s config, image and network; its exit status is forge’s.\nOver SSH, ssh -t gives it a terminal.',
  target: 'app',
  permission: 'operate',
  isChange: true,
  readsStdin: true,
  positionals: ['app', 'command'],
  isCommandLine: true,
  input: z.object({
    app: appField,
    command: z.array(z.string()).min(1).meta(says('The command and its arguments', { placeholder: 'COMMAND' })),
    env: z.record(z.string().overwrite(parseEnvKey), z.string()).default({}).meta(says('A further variable for this command', { short: 'e', placeholder: 'KEY=VALUE' })),
  }),
  // Arguments may hold secrets; the program's name does not.
  audit: ({ command, env }) => ({ program: command[0], env: Object.keys(env) }),
  run: async ({ app, command, env }, { session, services }) => ({ status: await services.deployer.runOneOff({ app, argv: command, env, session }) }),
  print: () => undefined,
  exitStatus: ({ status }) => status,
});

export const runOperations = [run];
