import { ForgeError } from '../../errors.ts';

/**
 * The image that a `# syntax=` line names runs as a part of BuildKit itself. One of the app's making could mount the
 * build caches of other apps and set limits aside, so only Docker's own is taken, from the release on that keeps cache
 * mounts apart.
 */
const trusted = /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?::(?:latest|labs|master|master-labs|1(?:\.(?:[2-9]|\d{2,3})(?:\.\d{1,3})?)?(?:-labs)?))?(?:@sha256:[0-9a-f]{64})?$/;
const directive = /^\s*(?:#|\/\/)\s*syntax\s*=\s*(\S*)/i;

/**
 * Throws `invalid` when the Dockerfile asks for another frontend. It is looked for in all comments that come before the
 * first instruction, in every notation that any release of BuildKit reads.
 * https://docs.docker.com/reference/dockerfile/#syntax
 */
export function checkDockerfileSyntax(dockerfile: string): void {
  const text = dockerfile.replace(/^\ufeff/, '').replace(/^#!.*/, '');
  if (text.trimStart().startsWith('{')) throw refused('a JSON object');
  for (const line of text.split('\n')) {
    if (line.trim() !== '' && !/^\s*(?:#|\/\/)/.test(line)) return;
    const frontend = directive.exec(line)?.[1];
    if (frontend !== undefined && !trusted.test(frontend)) throw refused(frontend.slice(0, 200));
  }
}

const refused = (found: string): ForgeError =>
  new ForgeError('invalid', `Dockerfile: expected # syntax=docker/dockerfile:1 or a later release of it, found ${JSON.stringify(found)}`, {
    hint: 'remove the line: forge builds with the frontend that the engine has',
  });
