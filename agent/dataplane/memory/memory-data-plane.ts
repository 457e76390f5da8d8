import { type InboundSa, type OutboundPolicy, type OutboundSa, spisOf, type UdpEndpoint } from "../../ipsec/security-association.ts";
import { cipherForKey } from "../../crypto/encr.ts";
import { findInteg } from "../../crypto/integ.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import {
  type DataPlane,
  type DataPlaneCapabilities,
  type DataPlaneEvent,
  type DropCounters,
  type IkeDatagram,
  noDrops,
  type SaCounters,
} from "../data-plane.ts";

/**
 * A data plane that keeps books and moves nothing: for tests of what gives it orders. It refuses what the TUN plane refuses; the same
 * contract suite runs against both. `sent` holds what was to go out of the NAT-T port; `raise` and `receive` play the network.
 */
export class MemoryDataPlane implements DataPlane {
  readonly capabilities: DataPlaneCapabilities = {
    name: "memory",
    reason: "bookkeeping only",
    encapsulations: ["udp", "none"],
    preferredEncapsulation: "udp",
    protocols: ["esp", "ah"],
    modes: ["tunnel"],
    extendedSequenceNumbers: true,
    steering: "device",
  };
  readonly sas = { inbound: new Map<EspSpi, InboundSa | OutboundSa>(), outbound: new Map<EspSpi, InboundSa | OutboundSa>() };
  readonly policies = new Map<string, OutboundPolicy>();
  readonly sent: { readonly local: UdpEndpoint; readonly remote: UdpEndpoint; readonly bytes: Uint8Array | "keepalive" }[] = [];
  readonly #eventListeners: ((event: DataPlaneEvent) => void)[] = [];
  readonly #ikeListeners: ((datagram: IkeDatagram) => void)[] = [];
  #isClosed = false;

  onEvent(listener: (event: DataPlaneEvent) => void): void {
    this.#eventListeners.push(listener);
  }

  onIkeDatagram(listener: (datagram: IkeDatagram) => void): void {
    this.#ikeListeners.push(listener);
  }

  raise(event: DataPlaneEvent): void {
    for (const listener of this.#eventListeners) listener(event);
  }

  receive(datagram: IkeDatagram): void {
    for (const listener of this.#ikeListeners) listener(datagram);
  }

  sendIkeDatagram(datagram: IkeDatagram): void {
    if (!this.#isClosed) this.sent.push(datagram);
  }

  sendNatKeepalive(local: UdpEndpoint, remote: UdpEndpoint): void {
    if (!this.#isClosed) this.sent.push({ local, remote, bytes: "keepalive" });
  }

  async installSa(sa: InboundSa | OutboundSa): Promise<void> {
    this.#mustRun();
    const installed = this.sas[sa.direction];
    if (installed.has(sa.spi)) throw new Error(`an ${sa.direction} SA with the SPI ${sa.spi.toString(16)} is installed already`);
    if (sa.mode === "transport") throw new Error("the memory plane has no transport mode");
    if (sa.protocol === "ah") this.#checkAh(sa);
    else if (cipherForKey(sa.keys.encr, sa.keys.encryptionKey.length) === undefined)
      throw new Error(`the memory plane has no ESP cipher with the number ${sa.keys.encr}`);
    installed.set(sa.spi, structuredClone(sa));
  }

  async updateSa(direction: "inbound" | "outbound", spi: EspSpi, remote: UdpEndpoint): Promise<void> {
    this.#mustRun();
    const sa = this.sas[direction].get(spi);
    if (sa !== undefined) this.sas[direction].set(spi, { ...sa, remote });
  }

  querySa(direction: "inbound" | "outbound", spi: EspSpi): SaCounters | null {
    return this.sas[direction].has(spi) ? { packets: 0, bytes: 0, lastUsedAt: 0, drops: noDrops } : null;
  }

  async deleteSa(direction: "inbound" | "outbound", spi: EspSpi): Promise<void> {
    this.#mustRun();
    this.sas[direction].delete(spi);
  }

  async installPolicy(policy: OutboundPolicy): Promise<void> {
    this.#mustRun();
    if (spisOf(policy).some((spi) => !this.sas.outbound.has(spi))) throw new Error(`the policy ${policy.id} names an SA that is not installed`);
    this.policies.set(policy.id, policy);
  }

  async deletePolicy(id: string): Promise<void> {
    this.#mustRun();
    this.policies.delete(id);
  }

  globalDrops(): DropCounters {
    return noDrops;
  }

  async flush(): Promise<void> {
    this.#mustRun();
    this.sas.inbound.clear();
    this.sas.outbound.clear();
    this.policies.clear();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #checkAh({ keys, encapsulation }: InboundSa | OutboundSa): void {
    if (encapsulation === "udp") throw new Error("AH does not go in UDP");
    if (findInteg(keys.integ)?.keyOctets !== keys.integrityKey.length) throw new Error(`the memory plane has no AH with the integrity algorithm ${keys.integ}`);
  }

  #mustRun(): void {
    if (this.#isClosed) throw new Error("the data plane is not running");
  }
}
