import type { IkeDatagram } from "../data-plane.ts";
import type { KernelEvent } from "./kernel-events.ts";

/** What the main thread gives to the worker that listens, and what that says. */
export interface ListenerOptions {
  /** IPv4 and IPv6; null where the machine has no IPv6. */
  readonly udpFds: readonly [number, number | null];
  readonly eventFd: number;
  /** Hears of policies that are deleted. */
  readonly policyFd: number;
  /** Hears of network devices; null where the plane has no interfaces. */
  readonly linkFd: number | null;
  /** Readable: end. */
  readonly wakeFd: number;
  /** Where it counts its signs of life (heartbeat.ts). */
  readonly heartbeat: SharedArrayBuffer;
  /** Where it asks whether one more IKE message may wait (message-room.ts). */
  readonly ikeRoom: SharedArrayBuffer;
}

export type FromListener =
  | { readonly kind: "ready" }
  | { readonly kind: "kernel"; readonly events: readonly KernelEvent[] }
  | { readonly kind: "ike"; readonly datagram: IkeDatagram };
