import { describe, expect, it } from 'vitest';
import { readBuilder } from '../../../src/build/cnb/builder-facts.ts';

const env = ['PATH=/bin', 'CNB_USER_ID=1001', 'CNB_GROUP_ID=1002'];
const image = (metadata: unknown, changes: { env?: readonly string[] } = {}) => ({
  Id: 'sha256:abc',
  Config: { Env: changes.env ?? env, Labels: { 'io.buildpacks.builder.metadata': JSON.stringify(metadata) } },
});
const apis = (...supported: string[]) => ({ lifecycle: { apis: { platform: { supported, deprecated: [] } } } });

describe('a builder image', () => {
  it('names its user, run image and buildpacks, in the newer and the older form of its label', () => {
    const newer = { images: [{ image: 'acme/run:1' }], stack: { runImage: { image: 'acme/old' } }, buildpacks: [{ id: 'a', version: '1' }], ...apis('0.11', '0.12', '0.13', '0.14') };
    expect(readBuilder('acme/builder', image(newer))).toEqual({ reference: 'acme/builder', id: 'sha256:abc', uid: 1001, gid: 1002, platformApi: '0.13', runImage: 'acme/run:1', buildpacks: [{ id: 'a', version: '1' }] });
    const older = { stack: { runImage: { image: 'acme/old', mirrors: null } }, buildpacks: null, ...apis('0.9', '0.12') };
    expect(readBuilder('acme/builder', image(older))).toMatchObject({ runImage: 'acme/old', platformApi: '0.12', buildpacks: [] });
  });

  it('is refused with the reason when it cannot be used', () => {
    const fine = { images: [{ image: 'r' }], ...apis('0.12') };
    const refused: [ReturnType<typeof image>, string][] = [
      [{ Id: 'x', Config: { Env: env, Labels: {} as Record<string, string> } } as never, 'it has no label'],
      [image('nonsense'), 'cannot be read'],
      [image({ ...apis('0.12') }), 'names no run image'],
      [image(fine, { env: ['CNB_GROUP_ID=1'] }), 'its CNB_USER_ID is not set'],
      [image(fine, { env: ['CNB_USER_ID=0', 'CNB_GROUP_ID=1'] }), 'its CNB_USER_ID is "0"'],
      [image({ ...fine, ...apis('0.6', '0.7') }), 'supports the platform APIs 0.6, 0.7; forge needs 0.13 or 0.12'],
      [image({ ...fine, lifecycle: null }), 'supports the platform APIs (none named)'],
    ];
    for (const [wrong, reason] of refused) expect(() => readBuilder('acme/builder', wrong)).toThrow(reason);
  });
});
