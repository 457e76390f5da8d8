import type { EspSpi, IkeSpi } from "../wire/ikev2/message-types.ts";
import { Grouped } from "./grouped.ts";
import { type IkeSa, ownSpi } from "./ike-sa.ts";

/** All IKE SAs of the gateway: by our own SPI, by id and by link, none of it by looking at the others. */
export class IkeSaIndex {
  readonly #bySpi = new Map<IkeSpi, IkeSa>();
  readonly #byId = new Map<string, IkeSa>();
  readonly #ofLink = new Grouped<string, IkeSa>();

  get size(): number {
    return this.#bySpi.size;
  }

  has(spi: IkeSpi): boolean {
    return this.#bySpi.has(spi);
  }

  get(spi: IkeSpi): IkeSa | undefined {
    return this.#bySpi.get(spi);
  }

  byId(id: string): IkeSa | undefined {
    return this.#byId.get(id);
  }

  /** In the order in which they joined the link. */
  ofLink(linkId: string): IkeSa[] {
    return this.#ofLink.get(linkId);
  }

  values(): MapIterator<IkeSa> {
    return this.#bySpi.values();
  }

  add(sa: IkeSa): void {
    this.#bySpi.set(ownSpi(sa), sa);
    this.#byId.set(sa.id, sa);
    if (sa.linkId !== null) this.#ofLink.add(sa.linkId, sa);
  }

  delete(spi: IkeSpi): void {
    const sa = this.#bySpi.get(spi);
    if (sa === undefined) return;
    this.#bySpi.delete(spi);
    this.#byId.delete(sa.id);
    if (sa.linkId !== null) this.#ofLink.delete(sa.linkId, sa);
  }

  /** The peer has said who it is: the IKE SA is the link's from now on. */
  join(sa: IkeSa, linkId: string): void {
    if (sa.linkId !== null) throw new TypeError("An IKE SA stays with its link.");
    sa.linkId = linkId;
    if (this.#bySpi.get(ownSpi(sa)) === sa) this.#ofLink.add(linkId, sa);
  }
}

/** Which IKE SA a Child SA is on, and which inbound SPIs are taken (also by SAs that only wait for packets in flight). */
export class ChildSaIndex {
  readonly #owners = new Map<string, IkeSa>();
  readonly #spis = new Set<EspSpi>();

  ownerOf(childSaId: string): IkeSa | undefined {
    return this.#owners.get(childSaId);
  }

  isTaken(spi: EspSpi): boolean {
    return this.#spis.has(spi);
  }

  add(childSaId: string, inboundSpi: EspSpi, owner: IkeSa): void {
    this.#owners.set(childSaId, owner);
    this.#spis.add(inboundSpi);
  }

  move(childSaId: string, owner: IkeSa): void {
    this.#owners.set(childSaId, owner);
  }

  /** Its inbound SPI stays taken until `free`. */
  forget(childSaId: string): void {
    this.#owners.delete(childSaId);
  }

  free(inboundSpi: EspSpi): void {
    this.#spis.delete(inboundSpi);
  }
}
