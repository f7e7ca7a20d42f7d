import { randomBytes } from 'node:crypto';
import type { BuildRequest } from '../build-request.ts';

/**
 * A tag that keeps the image from being pruned: `forge/<app>:<deployment>-<random>`. It cannot be guessed, because any
 * Dockerfile built by the same engine could name it in FROM and read another app's files.
 */
export const imageTag = ({ app, deploymentId }: Pick<BuildRequest, 'app' | 'deploymentId'>): string => `forge/${app}:${deploymentId}-${randomBytes(8).toString('hex')}`;
