import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Agent, startAgent } from "../e2e/lib/agent.ts";
import { startCharon } from "../e2e/lib/charon.ts";
import { makeThreeNamespaces, sweepLeftovers } from "../e2e/lib/namespaces.ts";
import { makeNewerPeerRoot } from "../e2e/lib/newer-peer.ts";
import { charonConfig, noIdentities, startInitiator, stateOf, type Watched } from "./ike.ts";
import { type MemoryUse, memoryUse, processIn } from "./process-usage.ts";

type Responder = "culvert" | "charon";

/** What a gateway with so many links takes, each with an IKE SA and a Child SA, and what is left of them once each has been rekeyed. */
export interface SasFigures {
  readonly links: number;
  readonly of: Partial<Readonly<Record<Responder, GatewayFigures>>>;
  /** Why there are none of charon, although they were asked for. */
  readonly missing: string | null;
}

export interface GatewayFigures {
  /** Configured, and nothing up. */
  readonly idle: MemoryUse;
  /** All links up. */
  readonly up: MemoryUse;
  /** After every SA was rekeyed; its `most` is the most there ever was. */
  readonly rekeyed: MemoryUse;
  /** Links whose IKE SA, and whose Child SA, has been rekeyed; the failures and the links down at either end meanwhile. */
  readonly watched: Watched;
}

/**
 * Of the gateway that is measured; its peer's are hours. So the gateway's own timers begin each rekey, a hundred a second and more of each kind with their
 * exchanges of DELETE, beside the signs of life.
 */
const livenessSeconds = 60;
const lifetimes = { ikeSeconds: [80, 150], childSeconds: [50, 120], livenessSeconds } as const;
/** From when all links are up: the longest lifetime, and as long again for a machine that is busy. */
const longestWatchMs = 240_000;
const atOnce = 8;
const bundle = fileURLToPath(new URL("../dist/agent/main.mjs", import.meta.url));

/** One gateway, as a machine runs it, and the engine without a data plane as the peer of all its links. The same with charon. */
export async function benchSas(links: number, only: string | undefined, say: (line: string) => void): Promise<SasFigures> {
  if (only !== undefined && only !== "culvert" && only !== "charon") throw new Error(`There is no gateway "${only}" here: there are culvert and charon.`);
  sweepLeftovers("cvs");
  const culvert = only === "charon" ? {} : { culvert: await measure("culvert", links, say) };
  if (only === "culvert") return { links, of: culvert, missing: null };
  try {
    await makeNewerPeerRoot(say).catch((error: Error) => say(`no strongSwan 6: ${error.message}`));
    return { links, of: { ...culvert, charon: await measure("charon", links, say) }, missing: null };
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    say(`charon is missing: ${reason}`);
    return { links, of: culvert, missing: reason };
  }
}

export function sasText({ links, of, missing }: SasFigures): string {
  const megabytes = ({ resident, most, shared }: MemoryUse) => `${mb(resident)} MB (most ${mb(most)}, PSS ${mb(shared)})`;
  const line = ([name, { idle, up, rekeyed, watched }]: [string, GatewayFigures]) =>
    `${name}: no SA ${megabytes(idle)}, up ${megabytes(up)}, rekeyed ${megabytes(rekeyed)}; ` +
    `${watched.ike} IKE SAs and ${watched.child} Child SAs rekeyed within ${Math.round(watched.milliseconds / 1_000)} s, ${watched.lost} lost`;
  return [
    `${links} links to one gateway, an IKE SA and a Child SA each (PSK, x25519), resident memory:`,
    ...Object.entries(of).map(line),
    ...(missing === null ? [] : [`charon is missing: ${missing}`]),
  ].join("\n");
}

function mb(kilobytes: number): number {
  return Math.round(kilobytes / 1_000);
}

async function measure(responder: Responder, links: number, say: (line: string) => void): Promise<GatewayFigures> {
  const net = await makeThreeNamespaces("cvs");
  const directory = mkdtempSync(join(tmpdir(), "cvs-"));
  try {
    const folder = join(directory, "r");
    mkdirSync(folder);
    const started =
      responder === "culvert"
        ? await startAgent(net.right, folder, stateOf("right", "psk-x25519", links, noIdentities, lifetimes), { program: bundle })
        : await startCharon(net.right, folder, charonConfig("psk-x25519", noIdentities, lifetimes));
    const pid = processIn(net.right.name, responder === "culvert" ? "agent/main.mjs" : "/charon");
    const note = (what: string): MemoryUse => {
      const use = memoryUse(pid);
      say(`${responder}, ${what}: ${mb(use.resident)} MB`);
      return use;
    };
    const idle = note("no SA");
    const initiator = await startInitiator(net, directory, "psk-x25519", links, noIdentities, { livenessSeconds });
    await initiator.bringUp(atOnce);
    const up = note(`${links} links up`);
    const watched = await initiator.watch(longestWatchMs);
    const rekeyed = note(`${watched.ike} IKE SAs and ${watched.child} Child SAs rekeyed`);
    const missing = "status" in started ? await notUp(started, links) : 0;
    await started.kill();
    return { idle, up, rekeyed, watched: { ...watched, lost: watched.lost + missing } };
  } finally {
    net.remove();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Links of the gateway without an established pair. Asked at the end: the answer, megabytes of it, takes memory too. */
async function notUp(agent: Agent, links: number): Promise<number> {
  const status = await agent.status();
  const isUp = ({ state, ikeSas }: (typeof status.links)[number]) =>
    state === "up" && ikeSas.some((sa) => sa.childSas.some((child) => child.state === "established" || child.state === "rekeying"));
  return links - status.links.filter(isUp).length;
}
