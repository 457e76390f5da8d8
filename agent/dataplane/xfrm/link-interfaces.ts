import {
  decodeInterface,
  encodeInterfaceId,
  encodeNewInterface,
  encodeNoOwnAddress,
  encodeUp,
  type InterfaceReport,
  type LinkBody,
  LinkMessage,
  NETLINK_ROUTE,
} from "./interface-messages.ts";
import { NetlinkFlag } from "./netlink.ts";
import { ENODEV, KernelRefusal, NetlinkDialog } from "./netlink-dialog.ts";
import { ifIdOf, interfaceName, isOurs, LAST_INTERFACE } from "./ownership.ts";

interface Made {
  /** The kernel's; null: somebody has taken it away. */
  index: number | null;
  readonly users: Set<string>;
}

/** What became of those that somebody has taken away. */
export interface Restored {
  /** Names of those that are there again, without routes. */
  readonly made: readonly string[];
  /** A sentence for each that cannot be made now. */
  readonly refused: readonly string[];
}

/**
 * The xfrm interfaces of links whose packets are steered by routes. One is there while a policy is for it. Those that a killed run left are removed at the start, with the routes into
 * them; the kernel's other devices are not touched.
 */
export class LinkInterfaces {
  readonly #dialog: NetlinkDialog;
  readonly #mtu: number;
  readonly #made = new Map<number, Made>();

  private constructor(dialog: NetlinkDialog, mtu: number) {
    this.#dialog = dialog;
    this.#mtu = mtu;
  }

  /** Makes one and removes it, to see whether this kernel has them. @throws Error with a sentence why not. */
  static open(mtu: number): LinkInterfaces {
    const interfaces = LinkInterfaces.#over(mtu);
    try {
      interfaces.#removeAll();
      interfaces.#remove(interfaces.#make(LAST_INTERFACE).index);
      return interfaces;
    } catch (error) {
      interfaces.close();
      throw error;
    }
  }

  /** Removes those that a killed run left. @throws Error with a sentence. */
  static removeLeftovers(): void {
    const interfaces = LinkInterfaces.#over(0);
    try {
      interfaces.#removeAll();
    } finally {
      interfaces.close();
    }
  }

  static #over(mtu: number): LinkInterfaces {
    const dialog = NetlinkDialog.open(NETLINK_ROUTE);
    if (dialog === null) throw new Error("the kernel has no rtnetlink");
    return new LinkInterfaces(dialog, mtu);
  }

  /** The interface of this number is there when it returns. @throws KernelRefusal. */
  hold(number: number, user: string): void {
    let made = this.#made.get(number);
    if (made === undefined) {
      const { index } = this.#make(number);
      made = { index, users: new Set() };
      this.#made.set(number, made);
      this.#prepare(index);
    }
    made.users.add(user);
  }

  /** The last one to give it up takes it away, and with it every route into it. */
  release(number: number, user: string): void {
    const made = this.#made.get(number);
    if (made === undefined || !made.users.delete(user) || made.users.size > 0) return;
    this.#made.delete(number);
    this.#remove(made.index);
  }

  /** Makes those again that somebody has deleted, or moved to another network namespace. SAs and policies name an if_id and no device: the kernel has kept them. */
  restore(): Restored {
    const present = new Map(this.#ours().map(({ index, ifId }) => [ifId, index]));
    const made: string[] = [];
    const refused: string[] = [];
    for (const [number, one] of this.#made) {
      const found = present.get(ifIdOf(number)) ?? null;
      if (found !== null && found === one.index) continue;
      one.index = null;
      try {
        // Who has taken it may have put another one like it in its place.
        one.index = found ?? this.#make(number).index;
        this.#prepare(one.index);
        made.push(interfaceName(number));
      } catch (error) {
        refused.push(`the interface ${interfaceName(number)} was taken away: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return { made, refused };
  }

  clear(): void {
    for (const { index } of this.#made.values()) this.#remove(index);
    this.#made.clear();
  }

  close(): void {
    this.#dialog.close();
  }

  #make(number: number): InterfaceReport {
    const wanted = { name: interfaceName(number), ifId: ifIdOf(number) };
    this.#mustDo(LinkMessage.NEWLINK, encodeNewInterface(wanted, this.#mtu), `the interface ${wanted.name}`, NetlinkFlag.CREATE | NetlinkFlag.EXCL);
    const found = this.#ours().find(({ ifId }) => ifId === wanted.ifId);
    if (found === undefined) throw new Error(`the interface ${wanted.name} is not there`);
    return found;
  }

  #prepare(index: number): void {
    // A kernel without IPv6 refuses this, and needs it not.
    this.#dialog.order(LinkMessage.NEWLINK, encodeNoOwnAddress(index));
    this.#mustDo(LinkMessage.NEWLINK, encodeUp(index), "to take an interface up");
  }

  #ours(): InterfaceReport[] {
    const found = this.#dialog.dump(LinkMessage.GETLINK, encodeInterfaceId(0).fixed, decodeInterface);
    return found.filter(({ name, ifId }) => isOurs(ifId) && name === interfaceName(ifId & LAST_INTERFACE));
  }

  #removeAll(): void {
    for (const { index } of this.#ours()) this.#remove(index);
  }

  /** Somebody else may have deleted it. */
  #remove(index: number | null): void {
    if (index === null) return;
    const outcome = this.#dialog.order(LinkMessage.DELLINK, encodeInterfaceId(index));
    if (outcome.errno !== 0 && outcome.errno !== ENODEV) throw new KernelRefusal(outcome, "to delete an interface");
  }

  #mustDo(type: number, body: LinkBody, what: string, flags = 0): void {
    const outcome = this.#dialog.order(type, body, flags);
    if (outcome.errno !== 0) throw new KernelRefusal(outcome, what);
  }
}
