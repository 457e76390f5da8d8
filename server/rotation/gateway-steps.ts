import type { Link } from "../../generated/prisma/client.ts";
import { observedLink } from "../../contract/observed-state.ts";
import { performGatewayCommand } from "../commands/gateway-command.ts";
import { database, type Transaction } from "../db/client.ts";
import { linkConfig } from "../links/link-config.ts";
import { initiatorOf } from "../publishing/desired-link.ts";
import { gatewayState } from "../sites/gateway-state.ts";

/** The rotation cannot go on; the message is one sentence for people. Any other error is a fault and is tried again. */
export class RotationFailed extends Error {}

interface EndSites {
  readonly siteA: { readonly address: string | null; readonly name: string };
  readonly siteB: { readonly address: string | null; readonly name: string } | null;
}

const applyMilliseconds = 20_000;
const commandMilliseconds = 20_000;
const verifyMilliseconds = 15_000;
const pollMilliseconds = 100;
const probeCount = 5;

/** Which of a link's keys a step is about. */
export type Which = "new" | "old";

/** The run waits for a gateway, for hours if need be: it lets go of its worker. The message is one sentence for people. */
export class RotationWaits extends Error {}

/** Waits until both gateways took the link's newest configuration. @throws RotationFailed naming the end that did not. */
export async function waitUntilApplied(linkId: string): Promise<void> {
  const deadline = Date.now() + applyMilliseconds;
  for (;;) {
    const { behind, refusing } = await gatewaysBehind(linkId);
    for (const { site, reason } of refusing) throw new RotationFailed(`The gateway of ${site} refused the new key: ${reason}.`);
    if (behind.length === 0) return;
    if (Date.now() > deadline) {
      const reasons = behind.map(
        ({ site, isConnected }) => `the gateway of ${site} ${isConnected ? `did not answer within ${applyMilliseconds / 1_000} s` : "is not connected"}`,
      );
      throw new RotationFailed(`Not both ends took the change of keys: ${reasons.join(", and ")}.`);
    }
    await pause();
  }
}

/** The same where there is no way back: one that is away is waited for without a worker. @throws RotationWaits "Waits for Berlin to …." */
export async function insistUntilApplied(linkId: string, purpose: string): Promise<void> {
  const deadline = Date.now() + applyMilliseconds;
  for (;;) {
    const { behind, refusing } = await gatewaysBehind(linkId);
    if (behind.length === 0 && refusing.length === 0) return;
    const mayAnswer = behind.some(({ isConnected }) => isConnected) && Date.now() < deadline;
    if (!mayAnswer) throw waitingFor([...behind, ...refusing], purpose);
    await pause();
  }
}

/** @throws RotationWaits when a gateway has not applied the link's newest configuration, as the transaction sees it. */
export async function insistNow(tx: Transaction, linkId: string, purpose: string): Promise<void> {
  const { behind, refusing } = await gatewaysBehind(linkId, tx);
  if (behind.length > 0 || refusing.length > 0) throw waitingFor([...behind, ...refusing], purpose);
}

/** The sites whose gateways have not applied the link's newest configuration, or refuse it. */
export async function sitesBehind(linkId: string): Promise<string[]> {
  const { behind, refusing } = await gatewaysBehind(linkId);
  return [...behind, ...refusing].map(({ site }) => site);
}

interface Behind {
  readonly site: string;
  readonly isConnected: boolean;
  /** Why it refuses; null: it has not answered. */
  readonly reason: string | null;
}

function waitingFor(gateways: readonly Behind[], purpose: string): RotationWaits {
  const reasons = gateways.filter(({ reason }) => reason !== null).map(({ site, reason }) => ` ${site} refuses the link's configuration: ${reason}.`);
  return new RotationWaits(`Waits for ${gateways.map(({ site }) => site).join(" and ")} to ${purpose}.${reasons.join("")}`);
}

async function gatewaysBehind(linkId: string, client: Transaction = database()): Promise<{ behind: Behind[]; refusing: Behind[] }> {
  const states = await client.linkState.findMany({
    where: { linkId },
    include: { gateway: { include: { site: true } } },
    orderBy: { gateway: { site: { name: "asc" } } },
  });
  const of = ({ gateway, verdictReason }: (typeof states)[number], isRefusing: boolean): Behind => ({
    site: gateway.site.name,
    isConnected: gatewayState(gateway, Date.now()) === "connected",
    reason: isRefusing ? (verdictReason ?? "it gave no reason") : null,
  });
  return {
    behind: states.filter((state) => state.verdictRevision < state.requiredRevision).map((state) => of(state, false)),
    refusing: states.filter((state) => state.verdictRevision >= state.requiredRevision && state.verdict === "refused").map((state) => of(state, true)),
  };
}

/** Has the end that starts make a new IKE SA with the key now in use. */
export async function reauthenticate(link: Link & EndSites, requestedBy: string, which: Which): Promise<string> {
  // Of a link to a third-party peer one end is ours, whoever begins.
  const end = link.siteBId === null ? "A" : initiatorOf(link.siteA.address, link.siteB?.address ?? null);
  const name = (end === "A" ? link.siteA : link.siteB)?.name ?? "the initiator";
  const outcome = await performGatewayCommand({
    gatewayId: await gatewayAt(link, end),
    linkId: link.id,
    command: { name: "reauthenticate", linkId: link.id },
    requestedBy,
    timeoutMilliseconds: commandMilliseconds,
  });
  if (!outcome.ok) throw new RotationFailed(`${name} could not authenticate with the ${which} key: ${outcome.message}`);
  return `${name} authenticated with the ${which} key.`;
}

/** Both ends must say that the key in use authenticated an IKE SA with a Child SA, then an echo must pass the tunnel. */
export async function verifyInUse(link: Link & EndSites, requestedBy: string, which: Which): Promise<string> {
  const fresh = await database().credential.findMany({ where: { linkId: link.id, state: "active" }, select: { id: true } });
  const ids = new Set(fresh.map((row) => row.id));
  const deadline = Date.now() + verifyMilliseconds;
  for (;;) {
    const missing = await endsWithout(link.id, ids);
    if (missing.length === 0) break;
    if (Date.now() > deadline)
      throw new RotationFailed(`${missing.join(" and ")} did not report a tunnel with the ${which} key within ${verifyMilliseconds / 1_000} s.`);
    await pause();
  }
  return probe(link, requestedBy, which);
}

async function endsWithout(linkId: string, credentialIds: ReadonlySet<string>): Promise<string[]> {
  const states = await database().linkState.findMany({ where: { linkId }, include: { gateway: { include: { site: true } } } });
  return states
    .filter((state) => {
      const observed = observedLink.safeParse(state.observed);
      const ikeSas = observed.success ? observed.data.ikeSas : [];
      return !ikeSas.some(
        (ike) => isInUse(ike.state) && ike.credentialId !== null && credentialIds.has(ike.credentialId) && ike.childSas.some((child) => isInUse(child.state)),
      );
    })
    .map((state) => state.gateway.site.name);
}

/** An SA that carries traffic; one that is being rekeyed still does. */
function isInUse(state: string): boolean {
  return state === "established" || state === "rekeying";
}

/** Traffic is the proof; a pair of sites without two hosts to probe between is judged by its SAs alone, and that is said. */
async function probe(link: Link & EndSites, requestedBy: string, which: Which): Promise<string> {
  const outcome = await performGatewayCommand({
    gatewayId: await gatewayAt(link, "A"),
    linkId: link.id,
    command: { name: "probe", linkId: link.id, count: probeCount, intervalMilliseconds: 50, payloadBytes: 56 },
    requestedBy,
    timeoutMilliseconds: commandMilliseconds,
  });
  if (outcome.probe !== null && outcome.probe.received > 0) return `${outcome.probe.received} of ${outcome.probe.sent} echoes passed under the ${which} key.`;
  if (await hasAnsweredBefore(link.id)) throw new RotationFailed(`No echo passed the tunnel under the ${which} key.`);
  return `The tunnel is up under the ${which} key; nothing answers echoes at the other end, and nothing did before.`;
}

/** Where the other side never answered an echo, silence now says nothing about the key. */
async function hasAnsweredBefore(linkId: string): Promise<boolean> {
  const sample = await database().counterSample.findFirst({ where: { linkId, probesAnswered: { gt: 0 } }, select: { at: true } });
  return sample !== null;
}

async function gatewayAt(link: Link, end: "A" | "B"): Promise<string> {
  const siteId = end === "A" ? link.siteAId : linkSiteB(link);
  const gateway = await database().gateway.findUnique({ where: { siteId }, select: { id: true } });
  if (gateway === null) throw new RotationFailed(`${linkConfig.parse(link.config).name} has a site without a gateway.`);
  return gateway.id;
}

function linkSiteB(link: Link): string {
  if (link.siteBId === null) throw new RotationFailed("The peer is not a gateway of ours.");
  return link.siteBId;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, pollMilliseconds));
}
