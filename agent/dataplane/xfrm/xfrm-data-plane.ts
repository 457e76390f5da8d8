import type { Server } from "node:net";
import type { InboundSa, OutboundPolicy, OutboundSa, UdpEndpoint } from "../../ipsec/security-association.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import { addNonEspMarker, natKeepalive } from "../../wire/udp-encap.ts";
import type { DataPlane, DataPlaneCapabilities, DataPlaneEvent, DropCounters, IkeDatagram, SaCounters } from "../data-plane.ts";
import { libc } from "../ffi/native.ts";
import { openNetlink, NETLINK_XFRM } from "../ffi/netlink-socket.ts";
import { DatagramSender } from "../ffi/udp-socket.ts";
import { openWaker } from "../ffi/waiting.ts";
import { openNatSocket } from "./ike-socket.ts";
import { LINK_GROUP, NETLINK_ROUTE } from "./interface-messages.ts";
import { KernelBooks } from "./kernel-books.ts";
import type { KernelEvent } from "./kernel-events.ts";
import { KernelListener } from "./kernel-listener.ts";
import { LinkInterfaces } from "./link-interfaces.ts";
import type { ListenerOptions } from "./listener-protocol.ts";
import { takeNamespace } from "./namespace-lock.ts";
import { INTERFACE_PREFIX } from "./ownership.ts";
import { XfrmKernel } from "./xfrm-kernel.ts";
import { XfrmGroup } from "./xfrm-structures.ts";
import { readStatistics, subtractDrops } from "./xfrm-statistics.ts";

export interface XfrmDataPlaneOptions {
  readonly natPort: number;
  /** Of the links' interfaces, in octets. Absent: 1,500. */
  readonly interfaceMtu?: number;
  /** ESP is offered to network cards (card-offload.ts). Absent: it is not. */
  readonly espOffload?: boolean;
  /** Why this plane was chosen, in a sentence. */
  readonly reason?: string;
}

/** What was there before must not be dropped before the first configuration has claimed its own. */
const LEFTOVERS_MS = 10_000;

/**
 * The kernel's plane: SAs and policies go to NETLINK_XFRM, packets never come here. It owns the NAT-T port, for ESP in UDP and IKE share it: the kernel takes
 * ESP out, and a worker reads the rest, along with what the kernel tells.
 */
export class XfrmDataPlane implements DataPlane {
  readonly #capabilities: DataPlaneCapabilities;
  readonly #natPort: number;
  readonly #parts: Parts;
  readonly #listener: KernelListener;
  readonly #books: KernelBooks;
  readonly #sender = new DatagramSender();
  readonly #dropsBefore = readStatistics();
  readonly #eventListeners: ((event: DataPlaneEvent) => void)[] = [];
  readonly #ikeListeners: ((datagram: IkeDatagram) => void)[] = [];
  #closing: Promise<void> | null = null;

  /** Resolves when it listens; what a killed run left is gone by then but for policies that keep packets in. @throws Error with one sentence. */
  static async create(options: XfrmDataPlaneOptions): Promise<XfrmDataPlane> {
    const lock = await takeNamespace();
    if (lock === null) throw new Error("another gateway of ours uses the kernel's ESP in this network namespace");
    const parts: OpenParts = { lock, fds: [], kernel: null, interfaces: null };
    let plane: XfrmDataPlane;
    try {
      plane = new XfrmDataPlane(options, openParts(options, parts));
    } catch (error) {
      closeParts(parts);
      throw error;
    }
    try {
      await plane.#listener.ready;
    } catch (error) {
      await plane.close();
      throw error;
    }
    return plane;
  }

  private constructor(options: XfrmDataPlaneOptions, parts: Parts) {
    const reason = options.reason ?? "the kernel has ESP";
    const { interfaces } = parts;
    this.#capabilities = {
      name: "kernel",
      ...(typeof interfaces === "string" ? { reason: `${reason}; ${interfaces}` } : { reason, interfacePrefix: INTERFACE_PREFIX }),
      encapsulations: ["none", "udp"],
      preferredEncapsulation: "none",
      protocols: ["esp", "ah"],
      modes: ["tunnel", "transport"],
      extendedSequenceNumbers: true,
      steering: "policies",
    };
    this.#natPort = options.natPort;
    this.#parts = parts;
    this.#books = new KernelBooks(parts.kernel, {
      interfaces: typeof interfaces === "string" ? null : interfaces,
      offload: options.espOffload ?? false,
      emit: (event) => this.#emit(event),
    });
    this.#books.removeLeftoversAfter(LEFTOVERS_MS);
    this.#listener = new KernelListener(parts.listener, {
      event: (event: KernelEvent) => {
        if (this.#closing === null) this.#books.take(event);
      },
      ike: (datagram) => this.#deliver(datagram),
      replaced: (reason) => this.#afterReplacement(reason),
      failed: (reason) => this.#emit({ kind: "failed", reason }),
    });
  }

  get capabilities(): DataPlaneCapabilities {
    const offload = this.#books.describeOffload();
    return offload === null ? this.#capabilities : { ...this.#capabilities, reason: `${this.#capabilities.reason}; ${offload}` };
  }

  onEvent(listener: (event: DataPlaneEvent) => void): void {
    this.#eventListeners.push(listener);
  }

  onIkeDatagram(listener: (datagram: IkeDatagram) => void): void {
    this.#ikeListeners.push(listener);
  }

  sendIkeDatagram(datagram: IkeDatagram): void {
    this.#send(datagram.local, datagram.remote, addNonEspMarker(datagram.bytes));
  }

  sendNatKeepalive(local: UdpEndpoint, remote: UdpEndpoint): void {
    this.#send(local, remote, natKeepalive());
  }

  async installSa(sa: InboundSa | OutboundSa): Promise<void> {
    this.#mustRun();
    this.#books.installSa(sa);
  }

  async updateSa(direction: "inbound" | "outbound", spi: EspSpi, remote: UdpEndpoint): Promise<void> {
    this.#mustRun();
    this.#books.updateSa(direction, spi, remote);
  }

  querySa(direction: "inbound" | "outbound", spi: EspSpi): SaCounters | null {
    return this.#closing === null ? this.#books.querySa(direction, spi) : null;
  }

  async deleteSa(direction: "inbound" | "outbound", spi: EspSpi): Promise<void> {
    this.#mustRun();
    this.#books.deleteSa(direction, spi);
  }

  async installPolicy(policy: OutboundPolicy): Promise<void> {
    this.#mustRun();
    this.#books.installPolicy(policy);
  }

  async deletePolicy(id: string): Promise<void> {
    this.#mustRun();
    this.#books.deletePolicy(id);
  }

  /** Of the whole network namespace, since this plane was made. */
  globalDrops(): DropCounters {
    return subtractDrops(readStatistics(), this.#dropsBefore);
  }

  async flush(): Promise<void> {
    this.#mustRun();
    this.#books.flush();
  }

  /** Takes its SAs and policies out of the kernel, ends the worker, closes the descriptors. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#books.removeLeftovers();
    this.#books.flush();
    await this.#listener.stop();
    closeParts(this.#parts);
    this.#sender.close();
  }

  /** What the dead worker had heard and not told is asked for. */
  #afterReplacement(reason: string): void {
    if (this.#closing !== null) return;
    this.#books.take({ kind: "lost" });
    this.#books.take({ kind: "policyDeleted", index: null });
    this.#books.take({ kind: "interfaceGone" });
    this.#emit({ kind: "recovered", reason: `${reason}: another has taken its place` });
  }

  #mustRun(): void {
    if (this.#closing !== null) throw new Error("the data plane is not running");
  }

  #send(local: UdpEndpoint, remote: UdpEndpoint, datagram: Uint8Array): void {
    const fd = this.#parts.listener.udpFds[remote.address.includes(":") ? 1 : 0];
    if (fd !== null && this.#closing === null) this.#sender.send(fd, local.address, remote, datagram);
  }

  #emit(event: DataPlaneEvent): void {
    if (this.#closing === null) for (const listener of this.#eventListeners) listener(event);
  }

  #deliver(datagram: IkeDatagram): void {
    const local = { address: datagram.local.address, port: this.#natPort };
    for (const listener of this.#ikeListeners) listener({ ...datagram, local });
  }
}

interface OpenParts {
  readonly lock: Server;
  /** To be closed. */
  readonly fds: number[];
  kernel: XfrmKernel | null;
  /** Or why there are none, in a sentence. */
  interfaces: LinkInterfaces | string | null;
}

interface Parts extends OpenParts {
  readonly kernel: XfrmKernel;
  readonly interfaces: LinkInterfaces | string;
  readonly listener: Omit<ListenerOptions, "heartbeat" | "ikeRoom">;
}

/** What is opened is noted in `parts` at once, for a later step may fail. */
function openParts({ natPort, interfaceMtu = 1_500 }: XfrmDataPlaneOptions, parts: OpenParts): Parts {
  const opened = (fd: number): number => {
    parts.fds.push(fd);
    return fd;
  };
  const kernel = XfrmKernel.open();
  parts.kernel = kernel;
  const interfaces = openInterfaces(interfaceMtu);
  parts.interfaces = interfaces;
  const udp4 = openNatSocket(4, natPort);
  if (udp4 === null) throw new Error("the machine has no IPv4");
  opened(udp4);
  const udp6 = openNatSocket(6, natPort);
  if (udp6 !== null) opened(udp6);
  const eventFd = opened(openNetlink(NETLINK_XFRM, [XfrmGroup.ACQUIRE, XfrmGroup.EXPIRE, XfrmGroup.MAPPING]));
  const policyFd = opened(openNetlink(NETLINK_XFRM, [XfrmGroup.POLICY]));
  const linkFd = typeof interfaces === "string" ? null : opened(openNetlink(NETLINK_ROUTE, [LINK_GROUP]));
  return { ...parts, kernel, interfaces, listener: { udpFds: [udp4, udp6], eventFd, policyFd, linkFd, wakeFd: opened(openWaker()) } };
}

function openInterfaces(mtu: number): LinkInterfaces | string {
  try {
    return LinkInterfaces.open(mtu);
  } catch (error) {
    return `policies alone steer what goes to everywhere, for ${error instanceof Error ? error.message : String(error)}`;
  }
}

function closeParts({ lock, fds, kernel, interfaces }: OpenParts): void {
  for (const fd of fds) libc.close(fd);
  kernel?.close();
  if (typeof interfaces !== "string") interfaces?.close();
  lock.close();
}
