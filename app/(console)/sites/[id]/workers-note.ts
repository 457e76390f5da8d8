import type { GatewayView, WorkerCounts } from "../../../../server/sites/list-sites.ts";

/** How it stands with the wanted number of workers, where that needs saying; null: as wanted, or as it always was. */
export interface WorkersNote {
  readonly tone: "plain" | "warning";
  readonly sentence: string;
}

export function workersNote({ state, version, processors, workers: { wanted, running, refusal } }: GatewayView): WorkersNote | null {
  if (state === "revoked") return null;
  if (refusal !== null)
    return {
      tone: "warning",
      sentence: `The gateway could not take the new number and runs on as before: ${refusal}. It tries again when its agent is started, or with another number.`,
    };
  if (isSame(wanted, running ?? one)) return null;
  if (state === "never") return { tone: "plain", sentence: "The gateway takes this when it is enrolled." };
  if (version !== null && processors === null)
    return { tone: "warning", sentence: `Its agent (${version}) is too old for more than one core and refuses what it is told. Update it, or go back to 1.` };
  if (state === "disconnected") return { tone: "plain", sentence: "The gateway is not connected. It takes this when it is." };
  if (running === null && processors !== null)
    return { tone: "plain", sentence: "The kernel protects packets on this gateway and spreads them itself. The number counts once it uses a TUN device." };
  return { tone: "plain", sentence: "The gateway is taking this now." };
}

/** "1 core", or what each direction has. */
export function coresText({ outbound, inbound }: WorkerCounts): string {
  const counted = (count: number) => `${count} ${count === 1 ? "core" : "cores"}`;
  return outbound === inbound ? counted(outbound) : `${counted(outbound)} to send, ${counted(inbound)} to receive`;
}

/** What saving does to the tunnels, said before it is done. */
export function workersConsequence({ state, processors, workers: { running } }: GatewayView, linkCount: number): string {
  if (state === "never" || state === "revoked") return "Nothing is interrupted: the gateway takes this when it is enrolled.";
  if (processors !== null && running === null)
    return "Nothing is interrupted: the kernel protects packets on this gateway, and the number counts once it uses a TUN device.";
  const tunnels = linkCount === 1 ? "Its tunnel pauses" : `Its ${linkCount} tunnels pause`;
  const pause =
    linkCount === 0
      ? "It has no links, so nothing is interrupted."
      : `${tunnels} for a second or two: the gateway starts its traffic threads anew and negotiates every link again.`;
  return state === "connected" ? `The gateway takes this at once. ${pause}` : `The gateway is not connected and takes this when it is. ${pause}`;
}

const one: WorkerCounts = { outbound: 1, inbound: 1 };

export function isSame(some: WorkerCounts, others: WorkerCounts): boolean {
  return some.outbound === others.outbound && some.inbound === others.inbound;
}
