import { expect, test } from 'vitest';
import { createBuildProgress } from '../../../src/build/builders/build-progress.ts';
import type { BuildVertex } from '../../../src/docker/buildkit-trace.ts';

const step = (name: string, change: Partial<BuildVertex> = {}): BuildVertex => ({
  digest: name,
  name,
  isCached: false,
  isStarted: true,
  isCompleted: false,
  error: '',
  ...change,
});
const says = (vertex: string, text: string) => ({ kind: 'trace' as const, trace: { vertexes: [], logs: [{ vertex, bytes: Buffer.from(text) }] } });
const does = (...vertexes: BuildVertex[]) => ({ kind: 'trace' as const, trace: { vertexes, logs: [] } });

test('Steps are named once, cached ones marked, internal ones left out', () => {
  const progress = createBuildProgress();
  expect(progress.take(does(step('[internal] load build definition')))).toEqual([]);
  expect(progress.take(does(step('[1/2] FROM a', { isCached: true, isCompleted: true })))).toEqual(['[1/2] FROM a (cached)']);
  expect(progress.take(does(step('[2/2] RUN b')))).toEqual(['[2/2] RUN b']);
  expect(progress.take(does(step('[2/2] RUN b')))).toEqual([]);
});

test('Output arrives in whole lines, the last one when its step ends, progress bars as a terminal leaves them', () => {
  const progress = createBuildProgress();
  progress.take(does(step('[2/2] RUN b')));
  expect(progress.take(says('[2/2] RUN b', 'one\ntw'))).toEqual(['one']);
  expect(progress.take(says('[2/2] RUN b', 'o\r\n10%\r100%\nrest'))).toEqual(['two', '100%']);
  expect(progress.take(does(step('[2/2] RUN b', { isCompleted: true })))).toEqual(['rest']);
});

test('Output of stages that run at once says whose it is when that changes', () => {
  const progress = createBuildProgress();
  progress.take(does(step('[a 2/2] RUN x'), step('[b 2/2] RUN y')));
  expect(progress.take(says('[a 2/2] RUN x', '1\n'))).toEqual(['[a 2/2] …', '1']);
  expect(progress.take(says('[a 2/2] RUN x', '2\n'))).toEqual(['2']);
  expect(progress.take(says('[b 2/2] RUN y', '3\n'))).toEqual(['[b 2/2] …', '3']);
});

test('It knows what runs now and which step failed first', () => {
  const progress = createBuildProgress();
  progress.take(does(step('[2/3] RUN --mount=type=cache,target=/x npm ci'), step('[b 1/1] RUN y')));
  expect(progress.running()).toEqual(['npm ci', 'y']);
  progress.take(does(step('[2/3] RUN --mount=type=cache,target=/x npm ci', { isCompleted: true, error: 'exit code: 1' })));
  progress.take(does(step('[b 1/1] RUN y', { isCompleted: true, error: 'context canceled' })));
  expect(progress.running()).toEqual([]);
  expect(progress.failedStep()).toContain('npm ci');
});

test('The classic builder’s text loses its colours and its last line is not lost', () => {
  const progress = createBuildProgress();
  expect(progress.take({ kind: 'output', text: 'Step 1/2 : FROM a\n\u001b[91merr\n\u001b[0mout' })).toEqual(['Step 1/2 : FROM a', 'err']);
  expect(progress.end()).toEqual(['out']);
});
