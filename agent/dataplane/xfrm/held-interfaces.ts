import type { OutboundPolicy } from "../../ipsec/security-association.ts";
import type { DataPlaneEvent } from "../data-plane.ts";
import type { LinkInterfaces } from "./link-interfaces.ts";

/** An interface that cannot be made again is tried again after so long. */
const RESTORE_AGAIN_MS = 1_000;

/** Which policy holds which interface of a link, and what becomes of one that somebody takes away. */
export class HeldInterfaces {
  readonly #interfaces: LinkInterfaces | null;
  readonly #emit: (event: DataPlaneEvent) => void;
  readonly #attempt: (work: () => void) => void;
  /** By policy. */
  readonly #numbers = new Map<string, number>();
  #restoreTimer: NodeJS.Timeout | null = null;

  /** `interfaces`: null where the kernel has none; `attempt`: does what nobody waits for. */
  constructor(interfaces: LinkInterfaces | null, emit: (event: DataPlaneEvent) => void, attempt: (work: () => void) => void) {
    this.#interfaces = interfaces;
    this.#emit = emit;
    this.#attempt = attempt;
  }

  /** The policy's interface is there when it returns. Returns what gives up the one that it had, to be called when the policy is elsewhere. @throws Error with a sentence. */
  hold({ id, interfaceNumber }: OutboundPolicy): () => void {
    const before = this.#numbers.get(id);
    if (interfaceNumber !== undefined) {
      if (this.#interfaces === null) throw new Error("the kernel has no xfrm interfaces");
      this.#interfaces.hold(interfaceNumber, id);
      this.#numbers.set(id, interfaceNumber);
    }
    return () => {
      if (before === undefined || before === interfaceNumber) return;
      if (interfaceNumber === undefined) this.#numbers.delete(id);
      this.#interfaces?.release(before, id);
    };
  }

  release(id: string): void {
    const number = this.#numbers.get(id);
    if (number === undefined) return;
    this.#numbers.delete(id);
    this.#interfaces?.release(number, id);
  }

  restore(): void {
    if (this.#interfaces === null) return;
    if (this.#restoreTimer !== null) clearTimeout(this.#restoreTimer);
    this.#restoreTimer = null;
    const { made, refused } = this.#interfaces.restore();
    for (const name of made) this.#emit({ kind: "deviceReplaced", reason: `the interface ${name} was taken away` });
    for (const reason of refused) this.#emit({ kind: "deviceLost", reason });
    if (refused.length > 0) this.#restoreTimer = setTimeout(() => this.#attempt(() => this.restore()), RESTORE_AGAIN_MS).unref();
  }

  clear(): void {
    this.#numbers.clear();
    if (this.#restoreTimer !== null) clearTimeout(this.#restoreTimer);
    this.#restoreTimer = null;
    this.#interfaces?.clear();
  }
}
