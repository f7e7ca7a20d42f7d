import { describe, expect, test } from 'vitest';
import { explainBuildError } from '../../../src/build/builders/build-error.ts';
import { ForgeError } from '../../../src/errors.ts';

const context = { dockerfile: 'FROM node:24 AS a\nFROM a', memoryBytes: 2 * 1024 ** 3, failedStep: undefined };
const explained = (message: string, failedStep?: string) => explainBuildError(new ForgeError('failed', message), { ...context, failedStep }) as ForgeError;

describe('a failed build says', () => {
  test.each([
    ['executor failed running [/bin/sh -c npm ci && x]: exit code: 3', 'the build step "npm ci && x" ended with status 3'],
    ['process "/bin/sh -c npm ci" did not complete successfully: exit code: 1', 'the build step "npm ci" ended with status 1'],
    ["The command '/bin/sh -c npm ci' returned a non-zero code: 1", 'the build step "npm ci" ended with status 1'],
  ])('which step ended how, in the words of each builder: %s', (message, expected) => {
    expect(explained(message)).toMatchObject({ code: 'failed', message: expected });
  });

  test('that memory ran out when a step was killed', () => {
    expect(explained("The command '/bin/sh -c x' returned a non-zero code: 137")).toMatchObject({
      code: 'exhausted',
      message: expect.stringContaining('more memory than the limit of 2G') as string,
    });
  });

  test('which image cannot be had when no registry answers', () => {
    const message = 'failed to solve with frontend dockerfile.v0: failed to create LLB definition: failed to do request: Head "https://registry-1.docker.io/v2/library/node/manifests/20": dial tcp: lookup registry-1.docker.io on 10.0.0.1:53: no such host';
    expect(explained(message).message).toBe('the Dockerfile needs the image node:20, and its registry cannot be reached from this machine');
    expect(explained('Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host').message).toContain('needs the image node:24 or a');
  });

  test('which image does not exist', () => {
    expect(explained('pull access denied for nobody/nothing, repository does not exist or may require authorization').message).toContain('which does not exist');
  });

  test('where a Dockerfile is wrong', () => {
    expect(explained('failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 2: unknown instruction: COPYY').message).toBe(
      'the Dockerfile build failed: dockerfile parse error line 2: unknown instruction: COPYY',
    );
    expect(explained('failed to compute cache key: "/x" not found: not found', '[2/2] COPY x .').message).toBe('the Dockerfile build failed at [2/2] COPY x .: "/x" not found: not found');
  });

  test('nothing new about errors of other kinds', () => {
    const canceled = new ForgeError('canceled', 'canceled');
    expect(explainBuildError(canceled, context)).toBe(canceled);
  });
});
