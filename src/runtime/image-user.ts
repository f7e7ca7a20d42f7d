/** Whom an image runs as, by number: USER may be a name of its own /etc/passwd. */
import type { Owner } from '../docker/archive.ts';

/** `read` gives a file of the image, '' without one. What cannot be found counts as root, which needs nothing. */
export async function userOf(user: string, read: (path: string) => Promise<string>): Promise<Owner> {
  const [name = '', group] = user.split(':');
  const account = name === '' ? undefined : findRow(await read('/etc/passwd'), name);
  const uid = account?.[2] ?? name;
  if (!isNumber(uid)) return { uid: 0, gid: 0 };
  const gid = group === undefined ? (account?.[3] ?? '0') : await groupId(group, read);
  return { uid: Number(uid), gid: isNumber(gid) ? Number(gid) : 0 };
}

const groupId = async (group: string, read: (path: string) => Promise<string>): Promise<string> =>
  isNumber(group) ? group : (findRow(await read('/etc/group'), group)?.[2] ?? '');

/** By name, or by number as the first row has it. */
const findRow = (text: string, name: string): readonly string[] | undefined =>
  text.split('\n').map((line) => line.split(':')).find((row) => row[0] === name || (isNumber(name) && row[2] === name));

const isNumber = (text: string): boolean => /^\d{1,10}$/.test(text);
