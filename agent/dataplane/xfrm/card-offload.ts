import type { SaProtocol } from "../../ipsec/security-association.ts";
import { deviceName } from "../ffi/device-name.ts";

/*
 * ESP by a network card: the kernel gives an SA's keys to the driver of the device that the route to the peer leads to, and goes on to number packets and to check the replay window. It takes
 * neither AH nor ESP in UDP that far. A driver may refuse for reasons of its own; the kernel then does the work, as it does for packets that take another way.
 */

/** What protects an SA's packets: the device of this name, or the kernel, and why. */
export type CardOutcome = { readonly kind: "card"; readonly device: string } | { readonly kind: "kernel"; readonly reason: string };

export interface OfferedSa {
  readonly protocol: SaProtocol;
  readonly encapsulation: "udp" | "none";
}

/** Why a card is not even asked; null: it is. */
export function whyNotOffered({ protocol, encapsulation }: OfferedSa): string | null {
  if (protocol === "ah") return "AH";
  return encapsulation === "udp" ? "in UDP" : null;
}

/** `refusal`: of the kernel, null for none; `device`: by its own report, 0 for none. */
export function outcomeOf(refusal: string | null, device: number): CardOutcome {
  if (device !== 0) return { kind: "card", device: deviceName(device) ?? `device ${device}` };
  return { kind: "kernel", reason: refusal ?? "the device that leads to the peer takes none" };
}

/** For `status`: how many SAs are where, and why. */
export function describeOutcomes(outcomes: Iterable<CardOutcome>): string {
  const counts = new Map<string, number>();
  for (const outcome of outcomes) {
    const text = outcome.kind === "card" ? `by ${outcome.device}` : `by the kernel (${outcome.reason})`;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  const parts = [...counts].map(([text, count]) => `${count} SA${count === 1 ? "" : "s"} ${text}`);
  return parts.length === 0 ? "offload to a network card wanted" : `offload to a network card wanted: ${parts.join(", ")}`;
}
