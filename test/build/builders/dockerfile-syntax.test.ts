import { expect, it } from 'vitest';
import { checkDockerfileSyntax } from '../../../src/build/builders/dockerfile-syntax.ts';

it.each([
  'FROM x\n',
  '# syntax=docker/dockerfile:1\nFROM x\n',
  '#syntax = docker/dockerfile:1.7-labs\nFROM x\n',
  `# escape=\`\n# syntax=docker.io/docker/dockerfile:1.4@sha256:${'a'.repeat(64)}\nFROM x\n`,
  'FROM x\nRUN cat <<E\n# syntax=other/frontend\nE\n',
])('builds with the frontend that the engine or Docker has: %j', (dockerfile) => {
  expect(() => checkDockerfileSyntax(dockerfile)).not.toThrow();
});

it.each([
  '# syntax=forge/other:tag\nFROM x\n',
  '\ufeff# syntax=evil/frontend\n',
  '#!/usr/bin/env x\n# Syntax = evil/frontend\r\nFROM x\n',
  '// syntax=evil/frontend\nFROM x\n',
  '{"syntax": "evil/frontend"}\n',
  '\n# a\n\n  # syntax=evil/frontend\nFROM x\n',
  '# syntax=docker/dockerfile:1.0-experimental\n',
  '# syntax=docker/dockerfile.evil.example/x:1\n',
  '# syntax=evil.example/docker/dockerfile:1\n',
])('runs no frontend of the app’s own: %j', (dockerfile) => {
  expect(() => checkDockerfileSyntax(dockerfile)).toThrow('expected # syntax=docker/dockerfile:1');
});
