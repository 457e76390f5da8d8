import type { InboundSa, OutboundPolicy, OutboundSa, UdpEndpoint } from "../../ipsec/security-association.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import type { RawSockets } from "../ffi/raw-socket.ts";
import type { DataPlaneEvent, IkeDatagram } from "../data-plane.ts";
import type { HandOverSockets } from "./hand-over.ts";

/** SAs of a direction at once: rows of counters in shared memory, and room in a worker's arena. */
export const MAX_SAS = 32_768;

/** What the main thread and a worker say to each other. A worker blocks in poll: commands wait in the port until an eventfd wakes it. */
export interface WorkerOptions {
  readonly tunFd: number;
  /** The device takes datagrams that are to be cut: see `Tun`. */
  readonly mergesDatagrams: boolean;
  /** IPv4 and IPv6; null where the machine has no IPv6. */
  readonly udpFds: readonly [number, number | null];
  readonly raw: RawSockets;
  /** Where routers say that a packet was too large; null where the kernel gives no such socket. */
  readonly icmpFds: Readonly<Record<4 | 6, number | null>>;
  readonly wakeFd: number;
  /** Of several inbound workers; null: there is one, or it is an outbound one. */
  readonly handOver: HandOverSockets | null;
  /** Which one of its direction, from 0. */
  readonly worker: number;
  readonly counters: SharedArrayBuffer;
  /** Where it counts its signs of life (heartbeat.ts). */
  readonly heartbeat: SharedArrayBuffer;
  /** What IKE messages of its take up that the main thread has yet to take (message-room.ts). */
  readonly ikeRoom: SharedArrayBuffer;
  /** The largest outer packet that the path takes. */
  readonly pathMtu: number;
  /** It takes the place of one that died. */
  readonly isReplacement: boolean;
}

/** `numbers`: where several workers send under one SA, what they take its sequence numbers from (shared-sequence.ts); null: one worker does. */
export type WorkerCommand =
  | { readonly kind: "installOutbound"; readonly sa: OutboundSa; readonly row: number; readonly numbers: SharedArrayBuffer | null }
  | { readonly kind: "installInbound"; readonly sa: InboundSa; readonly row: number }
  | { readonly kind: "updateSa"; readonly spi: EspSpi; readonly remote: UdpEndpoint }
  | { readonly kind: "pathMtu"; readonly remote: string; readonly octets: number }
  | { readonly kind: "deleteSa"; readonly spi: EspSpi }
  | { readonly kind: "installPolicy"; readonly policy: OutboundPolicy }
  | { readonly kind: "deletePolicy"; readonly id: string }
  | { readonly kind: "flush" }
  /** After `deviceLost`: the descriptor is another device's now. */
  | { readonly kind: "deviceReplaced" }
  | { readonly kind: "stop" };

/** Carried out in order, each whether or not the one before it could be. */
export interface CommandBatch {
  readonly ticket: number;
  readonly commands: readonly WorkerCommand[];
}

/** An outcome is null, or why the command could not be carried out. */
export function obeyAll({ ticket, commands }: CommandBatch, obey: (command: WorkerCommand) => void): FromWorker {
  const outcomes = commands.map((command) => {
    try {
      obey(command);
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  });
  return { kind: "done", ticket, outcomes };
}

export type FromWorker =
  | { readonly kind: "ready" }
  | { readonly kind: "done"; readonly ticket: number; readonly outcomes: readonly (string | null)[] }
  | { readonly kind: "event"; readonly event: DataPlaneEvent }
  | { readonly kind: "deviceLost"; readonly reason: string }
  | { readonly kind: "ike"; readonly datagram: IkeDatagram };
