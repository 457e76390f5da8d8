import { createSocket, type Socket } from "node:dgram";
import { networkInterfaces } from "node:os";
import { sourceAddressTo } from "../dataplane/ffi/source-address.ts";
import type { UdpEndpoint } from "../ipsec/security-association.ts";
import type { IkeTransport } from "./driver.ts";

/** A datagram of the IKE port with the very local address it was sent to. */
export interface ReceivedDatagram {
  readonly local: UdpEndpoint;
  readonly remote: UdpEndpoint;
  readonly bytes: Uint8Array;
}

export interface UdpTransportOptions {
  readonly port: number;
  readonly onDatagram: (datagram: ReceivedDatagram) => void;
  readonly onFault: (sentence: string) => void;
  /** Makes and binds a socket in place of node:dgram; null: the family is not there. @throws Error with a sentence. */
  readonly openSocket?: (address: string, port: number) => number | null;
}

const RESCAN_MS = 2_000;
const RECEIVE_BUFFER_OCTETS = 4 << 20;

/**
 * IKE on UDP port 500. An answer must leave from the address that the request was sent to, and node:dgram does not tell that
 * address for a wildcard socket. So there is one socket for each local address, and the list of addresses is read again every
 * two seconds. Rejected: a wildcard socket with a route lookup for the reply, which is wrong on a host with several addresses.
 */
export class UdpTransport implements IkeTransport {
  readonly #options: UdpTransportOptions;
  readonly #sockets = new Map<string, Socket>();
  readonly #faults = new Set<string>();
  #rescan: NodeJS.Timeout | null = null;
  #scanning: Promise<string[]> | null = null;
  #isClosed = false;

  private constructor(options: UdpTransportOptions) {
    this.#options = options;
  }

  /** Rejects when not one address could be bound. */
  static async open(options: UdpTransportOptions): Promise<UdpTransport> {
    const transport = new UdpTransport(options);
    const failures = await transport.#scan();
    if (transport.#sockets.size === 0 && failures.length > 0) throw new Error(failures[0]);
    transport.#rescan = setInterval(() => void transport.#scan(), RESCAN_MS);
    return transport;
  }

  async send(local: UdpEndpoint | null, remote: UdpEndpoint, bytes: Uint8Array): Promise<void> {
    const address = local?.address ?? this.localAddressFor(remote.address);
    if (address === null) throw new Error(`no route to ${remote.address}`);
    // The list of addresses leaves out a device that came up within the last second; the route already uses it.
    if (!this.#sockets.has(address)) await this.#bind(address);
    const socket = this.#sockets.get(address);
    if (socket === undefined) throw new Error(`${address} is no address of this machine`);
    await new Promise<void>((resolve, reject) => {
      socket.send(bytes, remote.port, remote.address, (error) => (error ? reject(error) : resolve()));
    });
  }

  sendAtOnce(local: UdpEndpoint, remote: UdpEndpoint, bytes: Uint8Array): void {
    this.#sockets.get(local.address)?.send(bytes, remote.port, remote.address);
  }

  localAddressFor(remote: string): string | null {
    return sourceAddressTo(remote);
  }

  close(): void {
    this.#isClosed = true;
    if (this.#rescan !== null) clearInterval(this.#rescan);
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  /** One scan at a time: two would bind the same address twice. */
  #scan(): Promise<string[]> {
    this.#scanning ??= this.#bindNewAddresses().finally(() => {
      this.#scanning = null;
    });
    return this.#scanning;
  }

  async #bindNewAddresses(): Promise<string[]> {
    const present = localAddresses();
    for (const [address, socket] of this.#sockets) {
      if (present.has(address)) continue;
      // Bound again by the next message from there, if the address is still ours.
      this.#sockets.delete(address);
      socket.close();
    }
    const failures: string[] = [];
    for (const address of present) {
      if (this.#sockets.has(address)) continue;
      const failure = await this.#bind(address);
      // What is bound after that would hold the port against the next engine.
      if (this.#isClosed) break;
      if (failure === null) this.#faults.delete(address);
      else {
        failures.push(failure);
        if (!this.#faults.has(address)) this.#options.onFault(failure);
        this.#faults.add(address);
      }
    }
    return failures;
  }

  /** Null when bound, else why not in a sentence. */
  #bind(address: string): Promise<string | null> {
    const { port, onDatagram, onFault, openSocket } = this.#options;
    const socket = createSocket({
      type: address.includes(":") ? "udp6" : "udp4",
      ipv6Only: address.includes(":"),
      // What waits here while a handshake is computed must not be lost in a flood; the kernel gives as much of it as it allows.
      recvBufferSize: RECEIVE_BUFFER_OCTETS,
      // Every address is a literal, and the resolver would take a turn of the event loop to say so.
      lookup: (literal, _options, done) => done(null, literal, literal.includes(":") ? 6 : 4),
    });
    const local: UdpEndpoint = { address, port };
    socket.on("message", (bytes, from) => onDatagram({ local, remote: { address: from.address, port: from.port }, bytes: new Uint8Array(bytes) }));
    return new Promise((resolve) => {
      socket.once("error", (error) => {
        socket.close();
        const isDenied = "code" in error && error.code === "EACCES";
        resolve(`UDP ${address} port ${port} could not be opened: ${error.message}${isDenied ? "; ports below 1024 need root or CAP_NET_BIND_SERVICE" : ""}`);
      });
      const done = () => {
        if (this.#isClosed) {
          socket.close();
          return resolve("the gateway closed its ports meanwhile");
        }
        socket.removeAllListeners("error");
        socket.on("error", (error) => onFault(`UDP ${address} port ${port}: ${error.message}`));
        this.#sockets.set(address, socket);
        resolve(null);
      };
      if (openSocket === undefined) return void socket.bind({ address, port, exclusive: true }, done);
      try {
        const fd = openSocket(address, port);
        if (fd === null) throw new Error("the machine has no such family");
        socket.bind({ fd, exclusive: true }, done);
      } catch (error) {
        socket.emit("error", error);
      }
    });
  }
}

/** Link-local IPv6 addresses need a scope and are left out. */
function localAddresses(): Set<string> {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return new Set(addresses.filter((entry) => !entry.address.startsWith("fe80:")).map((entry) => entry.address));
}
