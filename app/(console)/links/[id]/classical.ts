import type { ObservedIkeSa } from "../../../../contract/observed-state.ts";

/**
 * Whether the link page says that the link is classical: it has IKE SAs that are up, and no key of any of them stems from ML-KEM. An IKE SA
 * that is being rekeyed is still up. Without one there is nothing to say.
 */
export function isClassical(ends: readonly { readonly ikeSas: readonly Pick<ObservedIkeSa, "state" | "postQuantum">[] }[]): boolean {
  const up = ends.flatMap((end) => end.ikeSas).filter((sa) => sa.state === "established" || sa.state === "rekeying");
  return up.length > 0 && up.every((sa) => !sa.postQuantum);
}
