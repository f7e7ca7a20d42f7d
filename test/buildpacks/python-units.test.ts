import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { execa } from 'execa';

const here = import.meta.dirname;
const buildpacks = join(here, '..', '..', 'buildpacks');
const folders = readdirSync(here, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);

describe("the buildpacks' own modules", () => {
  it.each(folders)('%s: every Python test passes', async (name) => {
    const path = [...(name === 'lib' ? [] : [join(buildpacks, name, 'src')]), join(buildpacks, 'lib')].join(':');
    const env = { PATH: process.env['PATH'] ?? '', PYTHONPATH: path, PYTHONDONTWRITEBYTECODE: '1' };
    const { stderr } = await execa('python3', ['-m', 'unittest', 'discover', '--start-directory', join(here, name)], { env, extendEnv: false });
    expect(stderr).toMatch(/Ran [1-9]\d* tests? in [\s\S]*OK/);
  });
});
