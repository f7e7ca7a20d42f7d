import { expect, test } from 'vitest';
import { parseProjectToml } from '../../src/build/project-toml.ts';

test('Both schemas of project.toml give the same', () => {
  const older = parseProjectToml('[build]\nexclude = ["*.md"]\n[[build.buildpacks]]\nid = "a/b"\nversion = "1"\n[[build.env]]\nname = "X"\nvalue = "y"');
  const newer = parseProjectToml(
    '[_]\nschema-version = "0.2"\n[io.buildpacks]\nexclude = ["*.md"]\n[[io.buildpacks.group]]\nid = "a/b"\nversion = "1"\n[[io.buildpacks.build.env]]\nname = "X"\nvalue = "y"',
  );
  expect(older).toEqual({
    forgeBuilder: undefined,
    builder: undefined,
    buildpacks: [{ id: 'a/b', version: '1', uri: undefined }],
    include: [],
    exclude: ['*.md'],
    env: { X: 'y' },
  });
  expect(newer).toEqual(older);
});

test.each([
  ['[build', 'project.toml is not valid TOML'],
  ['[forge]\nbuilder = "magic"', 'project.toml: forge.builder'],
  ['[build]\ninclude = ["a"]\nexclude = ["b"]', 'include and exclude cannot both be set'],
  ['[[build.env]]\nname = "a b"\nvalue = "c"', '"a b" is not a valid config key'],
])('%j is refused', (text, message) => {
  expect(() => parseProjectToml(text)).toThrow(message);
});
