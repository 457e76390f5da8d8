import type { LinkDetail } from "../../../../server/links/read-link.ts";

export type StepState = "waiting" | "running" | "done" | "failed";

export interface BringUpStep {
  readonly label: string;
  readonly state: StepState;
  readonly note?: string | undefined;
}

/**
 * How far a link has come, from what its gateways report: pushed → IKE_SA_INIT → IKE_AUTH → Child SA → ping. The first step not
 * yet done is the running one; it carries the gateway's refusal or the latest failure's sentence.
 */
export function bringUpSteps(link: LinkDetail): BringUpStep[] {
  const ours = link.ends.filter((end) => end.gateway !== null);
  const ikeSas = link.ends.flatMap((end) => end.ikeSas);
  const refused = ours.find((end) => end.push.state === "refused");
  const failure = link.ends
    .map((end) => end.lastFailure)
    .filter((each) => each !== null)
    .toSorted((a, b) => b.at - a.at)[0];
  const pingAnswered = link.ends.some((end) => end.probesAnswered > 0);
  const childUp = ikeSas.some((sa) => sa.childSas.some((child) => child.state === "established" || child.state === "rekeying"));
  const authenticated = childUp || ikeSas.some((sa) => sa.state === "established" || sa.state === "rekeying");
  // The responder's SPI is zero until its IKE_SA_INIT answer has come (RFC 7296 §3.1).
  const answered = authenticated || ikeSas.some((sa) => !/^0+$/.test(sa.spiR));
  const pushed = answered || ours.every((end) => end.push.state === "applied");
  const reached = [
    { label: ours.length > 1 ? "Pushed to both gateways" : "Pushed to the gateway", done: pushed },
    { label: "IKE_SA_INIT: keys agreed", done: answered },
    { label: "IKE_AUTH: both ends authenticated", done: authenticated },
    { label: "Child SA: networks joined", done: childUp },
    { label: "Ping through the tunnel", done: pingAnswered },
  ];
  const current = reached.findIndex((step) => !step.done);
  return reached.map(({ label }, index): BringUpStep => {
    if (current === -1 || index < current) return { label, state: "done" };
    if (index > current) return { label, state: "waiting" };
    if (index === 0 && refused) return { label, state: "failed", note: `${refused.siteName} refused it: ${refused.push.reason ?? "no reason given"}` };
    if (index === 0) return { label, state: "running", note: waitingNote(ours) };
    if (link.tunnel === "idle") return { label, state: "waiting", note: "On demand: the first packet between the networks brings the tunnel up." };
    return failure ? { label, state: "failed", note: `${failure.sentence} The gateways keep trying.` } : { label, state: "running" };
  });
}

function waitingNote(ends: LinkDetail["ends"]): string | undefined {
  const away = ends.filter((end) => end.gateway !== "connected").map((end) => end.siteName);
  return away.length > 0 ? `Waiting for the gateway of ${away.join(" and ")} to connect.` : undefined;
}
