/** What `forge supervise` keeps running where no systemd does: the same two processes under the same accounts. Pure. */
export interface SupervisePlanInput {
  /** Path of bin/forge. */
  readonly program: string;
  readonly daemonUser: string;
  readonly proxyUser: string;
  readonly logDirectory: string;
  /** A program is restarted when its generation changes. */
  readonly generations: { readonly proxy: string; readonly serve: string };
  /** FORGE_… variables of both. */
  readonly settings: Readonly<Record<string, string>>;
}

export const supervisePidFile = '/run/forge-supervise.pid';

export function supervisePlan(input: SupervisePlanInput) {
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...input.settings };
  const as = (user: string, ...more: readonly string[]) => ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--init-groups', '--no-new-privs', ...more, '--'];
  const port = '+net_bind_service';
  return {
    pidFile: supervisePidFile,
    logDirectory: input.logDirectory,
    programs: [
      {
        name: 'proxy',
        argv: [...as(input.proxyUser, `--inh-caps=-all,${port}`, `--ambient-caps=-all,${port}`, `--bounding-set=-all,${port}`), input.program, 'proxy'],
        env,
        generation: input.generations.proxy,
      },
      { name: 'serve', argv: [...as(input.daemonUser, '--inh-caps=-all', '--bounding-set=-all'), input.program, 'serve'], env, generation: input.generations.serve },
    ],
  };
}
