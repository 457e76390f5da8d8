import type { Instant } from "./endpoint-types.ts";
import type { IkeSa } from "./ike-sa.ts";
import type { Task } from "./task.ts";
import { randomShare, type Turn } from "./turn.ts";

/*
 * How many rekeys that have come due are under way at once. Thousands of links that came up together come due together, whatever the jitter; begun all
 * at once they would only time out together, and the peers of one machine with them. What people command is not held back.
 */

/** With 100 ms to the peer and back this is more than a thousand rekeys a second, which is more than a processor makes. */
export const MOST_DUE_REKEYS = 128;
const PAUSE_MS = 250;
/** So close to its end an SA waits for nobody: six retransmissions have to fit (RFC 7296 §2.4). */
const URGENT_MS = 25_000;

/** When a rekey that is due has to be looked at again because enough others are under way; null: it may begin now. */
export function postponedRekey(turn: Turn, expiresAt: Instant): Instant | null {
  const { now, engine } = turn;
  if (engine.rekeying.size < MOST_DUE_REKEYS || expiresAt - now < URGENT_MS) return null;
  return Math.floor(now + PAUSE_MS * (1 + randomShare(turn)));
}

export function beginDueRekey(turn: Turn, sa: IkeSa, task: Extract<Task, { kind: "rekeyIke" | "rekeyChild" }>): void {
  turn.engine.rekeying.add(sa);
  sa.window.queue.push(task);
}

/** At the end of a turn that has touched it: whether its rekey is over, or the IKE SA gone. */
export function forgetEndedRekey({ engine }: Turn, sa: IkeSa): void {
  if (!engine.rekeying.has(sa)) return;
  const { outstanding, queue } = sa.window;
  const isRekey = ({ kind }: { readonly kind: string }): boolean => kind === "rekeyIke" || kind === "rekeyChild";
  const goesOn = engine.ikeSas.byId(sa.id) === sa && ((outstanding !== null && isRekey(outstanding.task)) || queue.some(isRekey));
  if (!goesOn) engine.rekeying.delete(sa);
}
