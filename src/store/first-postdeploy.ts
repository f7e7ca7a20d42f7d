/** Whether an app still owes the task that runs once in its life, after its first deploy. */
import type { Store } from './store.ts';

export const owesFirstPostdeploy = (store: Store, app: string): boolean =>
  store.db.get('SELECT owes_first_postdeploy FROM apps WHERE name = ?', app)?.['owes_first_postdeploy'] === 1;

export function setOwesFirstPostdeploy(store: Store, app: string, owes: boolean): void {
  store.db.run('UPDATE apps SET owes_first_postdeploy = ? WHERE name = ?', Number(owes), app);
}
