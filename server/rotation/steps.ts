/**
 * A rotation forward. Up to `verify` it can go back; from `withdraw` on it only goes forward, because the old key may be forgotten anywhere.
 *
 *   stage           a new key on both ends, accepted beside the old one
 *   switch          both ends use the new one for what they start
 *   reauthenticate  the initiator makes a new IKE SA with it, then deletes the old (make before break)
 *   verify          both ends say that the new key authenticated, and an echo passes
 *   withdraw        both ends forget the old key, which is still kept here
 *   destroy         the old key's secret is destroyed
 */
export const forwardSteps = ["stage", "switch", "reauthenticate", "verify", "withdraw", "destroy"] as const;

/**
 * Back to the old key. The new one stays accepted until both ends have the old one in use again: an end that is away meanwhile may
 * still present the new one. When `switch` was never begun nobody presents it, and it can be dropped at once.
 */
export const backSteps = ["restore", "reauthenticate with the old key", "verify the old key", "drop the new key"] as const;

export type ForwardStep = (typeof forwardSteps)[number];
export type BackStep = (typeof backSteps)[number];
/** The last of a run that somebody gave up. */
export const giveUpStep = "give up";
export type StepName = ForwardStep | BackStep | typeof giveUpStep;

const order: readonly StepName[] = [...forwardSteps, ...backSteps, giveUpStep];

/** Where a step stands in its run: those that go back after those that go forward. */
export function positionOf(name: StepName): number {
  return order.indexOf(name);
}

/** What the event stream calls a step that is done. */
export const pastTense: Readonly<Record<StepName, string>> = {
  stage: "staged",
  switch: "switched",
  reauthenticate: "reauthenticated",
  verify: "verified",
  withdraw: "withdrawn",
  destroy: "destroyed",
  restore: "restored",
  "reauthenticate with the old key": "reauthenticated",
  "verify the old key": "verified",
  "drop the new key": "dropped",
  "give up": "abandoned",
};
