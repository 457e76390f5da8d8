import type { Authentication } from "../../contract/desired-state.ts";
import { command, type Command } from "../../contract/hub-protocol.ts";
import type { ObservedLink } from "../../contract/observed-state.ts";
import { database } from "../db/client.ts";
import { createLink } from "../links/save-link.ts";
import { presets } from "../links/presets.ts";
import { compileDesiredState } from "../publishing/compile-desired-state.ts";
import { ingestVerdicts } from "../reports/ingest-verdicts.ts";
import { createSite } from "../sites/save-site.ts";
import { owner } from "./database.ts";

/** What a played gateway does wrong; everything else it does as the real one. A test may change it under way. */
export interface Faults {
  /** Site names whose gateway no hub reaches: it goes on with what it was told before. */
  offline?: string[];
  /** A site name whose gateway refuses the revision that holds a second key, and why. */
  refuses?: { site: string; reason: string };
  reauthentication?: "refused";
  /** The tunnel goes on with the old key although the gateway said that it has the new one. */
  keepsOldSa?: boolean;
  echoes?: "lost";
  /** Called when a gateway has been given a command, before it does it. */
  onCommand?: (name: Command["name"]) => void;
}

export interface PlayedLink {
  readonly linkId: string;
  readonly siteA: string;
  readonly siteB: string;
  /**
   * A line for each moment at which one of the gateways, by what it had applied, would have been refused by the other. Stays empty
   * when nobody was ever locked out.
   */
  readonly lockouts: readonly string[];
  /** What the gateway at an end has applied last. */
  applied(end: "A" | "B"): Authentication;
  stop(): Promise<void>;
}

let pairs = 0;

/**
 * Two sites, a link between them that is up, and both its gateways played at the database: they answer revisions and commands and
 * report SAs as a hub would write them down for real ones.
 */
export async function playLink(method: "psk" | "certificate", faults: Faults = {}, secret: string | null = null): Promise<PlayedLink> {
  pairs += 1;
  // Links are made several at a time: the number is this one's own.
  const pair = pairs;
  const [siteA, siteB] = [`Amsterdam ${pair}`, `Berlin ${pair}`];
  const a = await createSite(owner, { name: siteA, networks: [`10.${pair}.1.0/24`], address: `192.0.2.${pair}` });
  const b = await createSite(owner, { name: siteB, networks: [`10.${pair}.2.0/24`], address: `198.51.100.${pair}` });
  const { id: linkId } = await createLink(owner, {
    name: `Link ${pair}`,
    siteAId: a.id,
    peer: { kind: "site", siteId: b.id },
    networksA: [`10.${pair}.1.0/24`],
    networksB: [`10.${pair}.2.0/24`],
    preset: presets[0]?.id,
    method,
    secret,
    ikeProposals: presets[0]?.ikeProposals,
    espProposals: presets[0]?.espProposals,
    ikeRekeySeconds: 14_400,
    espRekeySeconds: 3_600,
    livenessSeconds: 10,
  });
  return { siteA, siteB, ...(await playGateways(linkId, faults)) };
}

/** The same for a link that is there, which may lead to a third-party peer: then one gateway is played. */
export async function playGateways(linkId: string, faults: Faults = {}): Promise<Omit<PlayedLink, "siteA" | "siteB">> {
  const player = new LinkPlayer(linkId, faults);
  await player.start();
  return { linkId, lockouts: player.lockouts, applied: (end) => player.at(end).applied, stop: () => player.stop() };
}

interface PlayedEnd {
  readonly gatewayId: string;
  readonly end: "A" | "B";
  readonly site: string;
  isStarter: boolean;
  applied: Authentication;
}

const turnMilliseconds = 40;

class LinkPlayer {
  readonly lockouts: string[] = [];
  readonly #linkId: string;
  readonly #faults: Faults;
  #ends: PlayedEnd[] = [];
  #isStopped = false;
  #playing: Promise<void> = Promise.resolve();

  constructor(linkId: string, faults: Faults) {
    this.#linkId = linkId;
    this.#faults = faults;
  }

  async start(): Promise<void> {
    const link = await database().link.findUniqueOrThrow({ where: { id: this.#linkId } });
    const gateways = await database().gateway.findMany({ where: { siteId: { in: [link.siteAId, link.siteBId ?? ""] } }, include: { site: true } });
    for (const { id: gatewayId, siteId, site } of gateways) {
      const { revision, authentication, isStarter } = await this.#told(gatewayId);
      this.#ends.push({ gatewayId, end: siteId === link.siteAId ? "A" : "B", site: site.name, isStarter, applied: authentication });
      await ingestVerdicts(gatewayId, revision, [{ linkId: this.#linkId, outcome: "applied", reason: null }]);
      await database().gateway.update({ where: { id: gatewayId }, data: { enrolledAt: new Date() } });
    }
    await this.#establish();
    // Echoes passed before: silence under a new key then means something.
    for (const { gatewayId } of this.#ends)
      await database().counterSample.create({
        data: { linkId: this.#linkId, gatewayId, resolutionSeconds: 1, at: new Date(), probesSent: 1, probesAnswered: 1 },
      });
    this.#playing = this.#play();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#playing;
  }

  at(end: "A" | "B"): PlayedEnd {
    const found = this.#ends.find((each) => each.end === end);
    if (found === undefined) throw new Error(`the link has no gateway at ${end}`);
    return found;
  }

  async #play(): Promise<void> {
    while (!this.#isStopped) {
      for (const end of this.#ends) {
        if (this.#faults.offline?.includes(kindOfSite(end.site)) === true) {
          await database().gateway.update({ where: { id: end.gatewayId }, data: { hubId: null } });
          continue;
        }
        await database().gateway.update({ where: { id: end.gatewayId }, data: { hubId: "played", lastHeardAt: new Date() } });
        await this.#answerRevision(end);
        await this.#answerCommands(end);
      }
      await new Promise((resolve) => setTimeout(resolve, turnMilliseconds));
    }
  }

  async #told(gatewayId: string) {
    const { state } = await compileDesiredState(gatewayId);
    const link = state.links.find((each) => each.id === this.#linkId);
    if (link === undefined) throw new Error("the gateway is not told of the link");
    return { revision: state.revision, authentication: link.authentication, isStarter: link.initiate === "start" };
  }

  async #answerRevision(end: PlayedEnd): Promise<void> {
    const { gatewayId, site } = end;
    const gateway = await database().gateway.findUniqueOrThrow({ where: { id: gatewayId } });
    if (gateway.appliedRevision >= gateway.desiredRevision) return;
    const { revision, authentication, isStarter } = await this.#told(gatewayId);
    const { refuses } = this.#faults;
    const isRefused = refuses !== undefined && refuses.site === kindOfSite(site) && keyIds(authentication).length > 1;
    // One that refuses goes on with what it applied before.
    if (!isRefused) Object.assign(end, { applied: authentication, isStarter });
    this.#noteLockouts();
    await ingestVerdicts(gatewayId, revision, [
      { linkId: this.#linkId, outcome: isRefused ? "refused" : "applied", reason: isRefused ? refuses.reason : null },
    ]);
  }

  async #answerCommands({ gatewayId }: PlayedEnd): Promise<void> {
    for (const row of await database().gatewayCommand.findMany({ where: { gatewayId, state: "queued" } })) {
      const answer = async (isDone: boolean, message: string, probe?: { sent: number; received: number }) => {
        const result = probe === undefined ? {} : { probe: { ...probe, roundTripMsMedian: null, roundTripMsMax: null } };
        await database().gatewayCommand.update({
          where: { id: row.id },
          data: { state: isDone ? "done" : "failed", message, finishedAt: new Date(), ...result },
        });
      };
      const asked = command.parse(row.command);
      this.#faults.onCommand?.(asked.name);
      if (asked.name === "probe") await answer(true, "Probed.", { sent: asked.count, received: this.#faults.echoes === "lost" ? 0 : asked.count });
      else if (asked.name !== "reauthenticate") await answer(false, `A played gateway does not ${asked.name}.`);
      else if (this.#faults.reauthentication === "refused" || !this.#wouldAuthenticate()) {
        await answer(false, "The peer refused the identity (AUTHENTICATION_FAILED).");
      } else {
        if (this.#faults.keepsOldSa !== true) await this.#establish();
        await answer(true, "Authenticated anew.");
      }
    }
  }

  /** Whether an IKE SA that either end starts now would come about: certificates are accepted by their authority, keys by themselves. */
  #wouldAuthenticate(): boolean {
    return this.#refusals().length === 0;
  }

  #noteLockouts(): void {
    this.lockouts.push(...this.#refusals());
  }

  #refusals(): string[] {
    return this.#ends.flatMap((own) =>
      this.#ends
        .filter((peer) => peer !== own && (own.applied.method === "psk" ? !keyIds(peer.applied).includes(own.applied.use) : false))
        .map((peer) => `${own.site} presents ${own.applied.use}, which ${peer.site} does not accept`),
    );
  }

  /** Both ends report one IKE SA: with a key, the one that the starting end uses; with certificates, each its own. */
  async #establish(): Promise<void> {
    const starter = this.#ends.find((end) => end.isStarter);
    for (const { gatewayId, applied } of this.#ends) {
      const { use } = applied.method === "psk" && starter !== undefined ? starter.applied : applied;
      const key = { linkId: this.#linkId, gatewayId };
      const report = { state: "up" as const, since: new Date(), reportedAt: new Date(), observed: observed(this.#linkId, use) };
      await database().linkState.upsert({ where: { linkId_gatewayId: key }, create: { ...key, ...report }, update: report });
    }
  }
}

function keyIds(authentication: Authentication): string[] {
  return (authentication.method === "psk" ? authentication.keys : authentication.certificates).map((each) => each.id);
}

/** "Amsterdam 3" → "Amsterdam": names are unique a test, faults are told by kind. */
function kindOfSite(name: string): string {
  return name.split(" ")[0] ?? name;
}

function observed(linkId: string, credentialId: string): ObservedLink {
  const at = Date.now();
  return {
    id: linkId,
    state: "up",
    since: at,
    lastFailure: null,
    roundTripMs: 1,
    probesSent: 1,
    probesAnswered: 1,
    ikeSas: [
      {
        state: "established",
        role: "initiator",
        spiI: "00000000000000a1",
        spiR: "00000000000000b1",
        suite: "aes256gcm16-prfsha384-x25519-ke1_mlkem768",
        postQuantum: true,
        localEndpoint: "192.0.2.1:500",
        remoteEndpoint: "198.51.100.1:500",
        remoteIdentity: "peer",
        credentialId,
        nat: "none",
        establishedAt: at,
        rekeyAt: null,
        childSas: [
          {
            name: "lan",
            state: "established",
            inboundSpi: "c0000001",
            outboundSpi: "c0000002",
            suite: "aes256gcm16",
            protocol: "esp",
            mode: "tunnel",
            encapsulation: "none",
            localNetworks: [],
            remoteNetworks: [],
            installedAt: at,
            rekeyAt: null,
            expiresAt: null,
            closesAt: null,
            bytesIn: 0,
            bytesOut: 0,
            packetsIn: 0,
            packetsOut: 0,
            drops: { replay: 0, integrity: 0, noSa: 0, policy: 0, tooBig: 0, lifetime: 0, malformed: 0, congestion: 0, unsent: 0 },
          },
        ],
      },
    ],
  };
}
