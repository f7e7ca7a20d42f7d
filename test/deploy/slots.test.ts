import { expect, it } from 'vitest';
import { createSlots } from '../../src/deploy/slots.ts';

it('hands out as many slots as there are, then in the order of asking, and says the place in line whenever it changes', async () => {
  const slots = createSlots(1);
  const never = new AbortController().signal;
  const first = await slots.take(never, () => undefined);
  const order: string[] = [];
  const places: number[] = [];
  const second = slots.take(never, (place) => places.push(place)).then((slot) => (order.push('second'), slot));
  const third = slots.take(never, (place) => places.push(place)).then((slot) => (order.push('third'), slot));
  expect(places).toEqual([1, 2]);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  (await second)[Symbol.dispose]();
  await third;
  expect(places).toEqual([1, 2, 1]);
  expect(order).toEqual(['second', 'third']);
});

it('lets one that waits leave without losing a slot', async () => {
  const slots = createSlots(1);
  const never = new AbortController().signal;
  const first = await slots.take(never, () => undefined);
  const leaver = new AbortController();
  const waiting = slots.take(leaver.signal, () => undefined);
  leaver.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'canceled' });
  first[Symbol.dispose]();
  await slots.take(never, () => undefined);
});
