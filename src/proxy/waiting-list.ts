/** Members that join and leave with every request. */

export interface Waiter {
  /** Place in the list; -1 while not in it. Kept by the list. */
  place: number;
}

/**
 * An unordered list with O(1) join and leave that never allocates. A `Set` would do but for the garbage collector:
 * each time its table is rebuilt the old one keeps pointing to the new one and to every member it had, so that
 * finished requests are kept alive in chains until a full collection (measured: four times the memory under load).
 */
export class WaitingList<T extends Waiter> {
  readonly #members: T[] = [];

  /** Joins; a member that is in already stays. */
  add(member: T): void {
    if (member.place === -1) member.place = this.#members.push(member) - 1;
  }

  /** Leaves, if it is in. */
  delete(member: T): void {
    const { place } = member;
    if (place === -1) return;
    member.place = -1;
    const last = this.#members.pop() as T;
    if (last === member) return;
    this.#members[place] = last;
    last.place = place;
  }

  /** Those that satisfy the condition now. */
  filter(condition: (member: T) => boolean): T[] {
    return this.#members.filter(condition);
  }
}
