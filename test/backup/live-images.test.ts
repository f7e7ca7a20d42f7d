import { expect, it } from 'vitest';
import { findLiveImages } from '../../src/backup/live-images.ts';
import { createApp } from '../../src/store/apps.ts';
import { createDeployment, updateDeployment } from '../../src/store/deployments.ts';
import { createRelease, replaceImageReferences, findRelease, setCurrentRelease } from '../../src/store/releases.ts';
import { openTestStore } from '../store/open-test-store.ts';
import { sampleRelease } from '../store/sample-release.ts';

const origin = { kind: 'folder' } as const;

it('the images of a backup are those that serve, and of an app whose deployment is under way also what it may go back to', () => {
  const store = openTestStore();
  const release = (app: string, reference: string) => {
    const draft = sampleRelease(app);
    const { version } = createRelease(store, { ...draft, image: { ...draft.image, reference } });
    setCurrentRelease(store, app, version);
    const { id } = createDeployment(store, { app, actor: 'ada', origin, reason: 'Deploy' });
    updateDeployment(store, id, { status: 'building', version });
    return { version, end: () => updateDeployment(store, id, { status: 'succeeded' }) };
  };
  for (const name of ['busy', 'calm', 'empty']) createApp(store, { name });
  for (const image of ['sha256:c1', 'sha256:c2']) release('calm', image).end();
  for (const image of ['sha256:b1', 'sha256:b2', 'sha256:b3']) release('busy', image).end();
  expect(findLiveImages(store.db)).toEqual([{ app: 'busy', reference: 'sha256:b3' }, { app: 'calm', reference: 'sha256:c2' }]);
  const underWay = release('busy', '127.0.0.1:5000/apps/busy@sha256:b4');
  expect(findLiveImages(store.db).map(({ reference }) => reference)).toEqual(['sha256:b2', 'sha256:b3', '127.0.0.1:5000/apps/busy@sha256:b4', 'sha256:c2']);
  underWay.end();
  replaceImageReferences(store.db, '127.0.0.1:5000/apps/busy@sha256:b4', 'sha256:loaded');
  expect(findRelease(store, 'busy', underWay.version)?.image).toMatchObject({ reference: 'sha256:loaded', digest: `sha256:${'b'.repeat(64)}`, processTypes: { web: {} } });
  expect(findLiveImages(store.db).map(({ reference }) => reference)).toEqual(['sha256:loaded', 'sha256:c2']);
});
