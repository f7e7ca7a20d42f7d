import { expect, test } from 'vitest';
import { ForgeError } from '../src/errors.ts';
import { runProcess } from '../src/run-process.ts';

const env = { PATH: '/usr/bin:/bin' };

test('a status is a result, and both outputs are kept', async () => {
  const script = 'process.stdout.write("out"); process.stderr.write("err"); process.exitCode = 3;';
  expect(await runProcess(process.execPath, ['-e', script], { env })).toEqual({ exitCode: 3, stdout: 'out', stderr: 'err' });
});

test('a program that cannot be started says so', async () => {
  await expect(runProcess('/no/such/program', [], { env })).rejects.toThrow(/could not run: .*ENOENT/);
});

test('the deadline and the signal end the call, each with its own reason', async () => {
  await expect(runProcess('sleep', ['60'], { env, timeoutMs: 50 })).rejects.toMatchObject({ code: 'timeout', message: 'sleep 60 did not end within 50 ms' });
  const leaving = new AbortController();
  const running = runProcess('sleep', ['60'], { env, signal: leaving.signal });
  running.catch(() => undefined);
  leaving.abort(new ForgeError('canceled', 'the client left'));
  await expect(running).rejects.toThrow('the client left');
});

test('a process that the child has left behind with its output open holds nothing up', async () => {
  const script = 'require("node:child_process").spawn("sleep", ["25"], { stdio: "inherit", detached: true }); setInterval(() => {}, 1000);';
  const startedAt = performance.now();
  await expect(runProcess(process.execPath, ['-e', script], { env, timeoutMs: 500 })).rejects.toMatchObject({ code: 'timeout' });
  expect(performance.now() - startedAt).toBeLessThan(15_000);
});
