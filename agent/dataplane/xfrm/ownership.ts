/*
 * What is ours in the kernel carries a mark: the reqid of an SA, the index of a policy and the if_id of an interface begin with this octet. Other programs count both from
 * small numbers (strongSwan and the kernel itself from 1, PF_KEY's own end at 0x3fff); nothing of theirs is ever touched. See ADR 12.
 */
const MARK = 0x43;
const MARK_SHIFT = 24;

export function isOurs(reqidOrIndex: number): boolean {
  return reqidOrIndex >>> MARK_SHIFT === MARK;
}

/** Interfaces are numbered from 1 to this. */
export const LAST_INTERFACE = 0xf_ffff;
/** An interface's name is this and its number: 15 characters at most, as many as Linux takes. */
export const INTERFACE_PREFIX = "culvertx";

/** 0 (no interface) for undefined; what belongs to an interface carries its if_id (XFRMA_IF_ID). */
export function ifIdOf(interfaceNumber: number | undefined): number {
  return interfaceNumber === undefined ? 0 : MARK * 2 ** MARK_SHIFT + interfaceNumber;
}

export function interfaceName(interfaceNumber: number): string {
  return `${INTERFACE_PREFIX}${interfaceNumber}`;
}

/** Numbers for SAs, each once in 16 million. */
export class Reqids {
  #last = 0;

  next(): number {
    this.#last = (this.#last + 1) & 0xff_ffff;
    return MARK * 2 ** MARK_SHIFT + this.#last;
  }
}

/** Numbers for policies; the lowest three bits are the direction's. */
export class PolicyIndices {
  #last = 0;

  next(direction: number): number {
    this.#last = (this.#last + 1) & 0x1f_ffff;
    return MARK * 2 ** MARK_SHIFT + this.#last * 8 + direction;
  }
}
