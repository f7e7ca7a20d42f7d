import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { expect, it } from 'vitest';
import { createAdmission } from '../../src/ssh/admission.ts';
import { defaultSshLimits } from '../../src/ssh/limits.ts';

const strangerFrom = (remoteAddress: string): Socket => {
  const socket = Object.assign(new EventEmitter(), { remoteAddress, destroyed: false, destroy: () => Object.assign(socket, { destroyed: true }) });
  return socket as unknown as Socket;
};

it('strangers who only sit there cannot keep others out: the longest of the most numerous makes room', () => {
  const admission = createAdmission({ ...defaultSshLimits, unauthenticated: 4, unauthenticatedPerAddress: 3 });
  const greedy = [strangerFrom('192.0.2.1'), strangerFrom('192.0.2.1'), strangerFrom('192.0.2.1')];
  const modest = strangerFrom('192.0.2.2');
  for (const socket of [...greedy, modest]) expect(admission.admit(socket)).toBe(true);
  expect(admission.admit(strangerFrom('192.0.2.3'))).toBe(true);
  expect([...greedy, modest].map(({ destroyed }) => destroyed)).toEqual([true, false, false, false]);
  admission.closeAll();
});
