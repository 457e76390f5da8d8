import { deepStrictEqual } from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { SiteFileInput } from "../../contract/site-file.ts";
import type { ObservedChildSa, ObservedIkeSa } from "../../contract/observed-state.ts";
import { type Agent, startAgent, type StartOptions } from "../lib/agent.ts";
import { startCharon, type Charon, type CharonChildSa, type CharonConfig, type CharonIkeSa } from "../lib/charon.ts";
import { startKernelCharon, type KernelCharon } from "../lib/kernel-charon.ts";
import { addThirdSite, type Site, type ThreeNamespaces } from "../lib/namespaces.ts";
import { makeAuthority, type KeyKind } from "../lib/pki.ts";
import { pollUntil } from "../lib/poll.ts";
import type { Section } from "../lib/swanctl-format.ts";
import { ping, startPing, type EchoEnd, type PingResult } from "../lib/traffic.ts";
import { newerPeerRoot } from "../lib/newer-peer.ts";

/**
 * One thing that our gateway and strongSwan must manage together. Our gateway is the left site, strongSwan's charon the right one; their
 * IKE identities are left.example and right.example, the link is called `link` here and `site` there, its child `net` on both sides.
 */
export interface Scenario {
  /** The folder's name. */
  readonly name: string;
  /** What holds when it passes, for the matrix in the README. */
  readonly description: string;
  /** Needs a peer with ML-KEM, which strongSwan has from 6.0 on; skipped without one. */
  readonly needsNewPeer?: true;
  /** Needs a peer with ESP in its kernel, which is one in user-mode Linux. */
  readonly needsKernelPeer?: true;
  /** Needs a machine of its own with Debian's kernel, which qemu plays. */
  readonly needsGuest?: true;
  /** Runs only inside another scenario, where both ends use the ESP of a kernel. */
  readonly onlyKernelPlane?: true;
  /** Absent: 100. */
  readonly longestSeconds?: number;
  run(context: Context): Promise<void>;
}

export type LinkInput = SiteFileInput["links"][number];

/** What differs from the usual peer: settings of the connection, of its child, and of the daemon. */
export interface PeerOptions {
  readonly connection?: Section;
  readonly child?: Section;
  /** Replaces the one child `net`. */
  readonly children?: Section;
  readonly secret?: string;
  readonly certificates?: CharonConfig["certificates"];
  readonly authorities?: CharonConfig["authorities"];
  readonly daemon?: Section;
  /** Run strongSwan 6 (lib/newer-peer.ts). */
  readonly isNew?: true;
}

/** As a gateway runs; set-up makes it. */
export const gatewayBundle = fileURLToPath(new URL("../../dist/agent/main.mjs", import.meta.url));

export const linkId = "link";
export const preSharedKey = "correct horse battery staple";

/** Between whose inside addresses echoes are sent, and where what was seen is noted: a scenario's context, or one with other addresses. */
export type Place = Pick<Context, "net" | "note">;

/** What echoes are sent between. */
export interface Ends {
  readonly net: { readonly left: EchoEnd; readonly right: EchoEnd };
}

/** A scenario's place: its namespaces, its directory, and the programs it started, which are ended with it. */
export class Context {
  readonly net: ThreeNamespaces;
  /** Figures worth keeping, such as a throughput; they go into the results. */
  readonly notes: string[] = [];
  readonly directory: string;
  private readonly agents: Agent[] = [];
  private readonly charons: Charon[] = [];
  private readonly sites: { remove(): void }[] = [];
  readonly esp: "userspace" | "kernel";

  /** `esp`: who protects packets at both ends. The kernel's needs a kernel that has it. */
  constructor(net: ThreeNamespaces, directory: string, esp: "userspace" | "kernel" = "userspace") {
    this.net = net;
    this.directory = directory;
    this.esp = esp;
  }

  /** Starts our gateway with one link; what is not given is as usual: PSK, the default proposals, and we initiate. */
  startUs(link: Partial<LinkInput> = {}, options: StartOptions = {}): Promise<Agent> {
    return this.startUsWith(this.configuration(link), options);
  }

  /** The same with a whole configuration, such as one of several links. */
  async startUsWith(configuration: SiteFileInput, options: StartOptions = {}): Promise<Agent> {
    const agent = await startAgent(this.net.left, this.folder("us"), configuration, { ...this.startOptions(), ...options });
    this.agents.push(agent);
    return agent;
  }

  /** Starts our gateway at the right site in charon's place: the same link seen from there, which waits for the left one. */
  startUsAtRight(link: Partial<LinkInput> = {}, options: StartOptions = {}): Promise<Agent> {
    return this.startUsAtRightWith(this.configurationAtRight(link), options);
  }

  async startUsAtRightWith(configuration: SiteFileInput, options: StartOptions = {}): Promise<Agent> {
    const agent = await startAgent(this.net.right, this.folder("right"), configuration, { ...this.startOptions(), ...options });
    this.agents.push(agent);
    return agent;
  }

  configuration(link: Partial<LinkInput> = {}): SiteFileInput {
    return { schema: 1, revision: 1, gateway: this.gateway("left"), links: [{ ...usualLink, ...link }] };
  }

  configurationAtRight(link: Partial<LinkInput> = {}): SiteFileInput {
    const mirrored: LinkInput = {
      ...usualLink,
      name: "Right to left",
      initiate: "respond",
      local: { address: "198.51.100.1", identity: "right.example" },
      remote: { address: "192.0.2.1", identity: "left.example" },
      children: [{ name: "net", localNetworks: ["10.2.0.0/24"], remoteNetworks: ["10.1.0.0/24"] }],
    };
    return { schema: 1, revision: 1, gateway: this.gateway("right"), links: [{ ...mirrored, ...link }] };
  }

  /** A kernel that runs as a program is slow: one file is loaded sooner than many. */
  private startOptions(): StartOptions {
    return this.esp === "kernel" ? { program: gatewayBundle } : {};
  }

  private gateway(name: string): SiteFileInput["gateway"] {
    return { name, dataPlane: this.esp === "kernel" ? "kernel" : "tun" };
  }

  /** Puts a NAT into the middle: what leaves `device` from these addresses carries the middle's own. */
  async masquerade(device: string, from: string): Promise<void> {
    const rules = `table ip nat {\n chain out {\n  type nat hook postrouting priority 100;\n  oifname "${device}" ip saddr ${from} masquerade\n }\n}\n`;
    await this.net.middle.run(["nft", "-f", "-"], { input: rules });
  }

  /** Starts charon; what is not given mirrors `startUs`. */
  async startPeer(options: PeerOptions = {}): Promise<Charon> {
    const charon = await startCharon(this.net.right, this.folder("peer"), { ...peerConfiguration(options), esp: this.esp });
    this.charons.push(charon);
    return charon;
  }

  /** Another site beside the right one (third.example, 10.3.0.0/24), with charon in it, linked to us as the right one is. */
  async startThird(options: PeerOptions = {}): Promise<{ readonly site: Site; readonly peer: Charon }> {
    const site = await addThirdSite(this.net);
    this.sites.push(site);
    const third = {
      ...options,
      connection: { local_addrs: site.outsideAddress, local: { auth: "psk", id: "third.example" }, ...options.connection },
      child: { local_ts: site.network, ...options.child },
    };
    const charon = await startCharon(site, this.folder("third"), peerConfiguration(third));
    this.charons.unshift(charon);
    return { site, peer: charon };
  }

  /** Starts charon on a host whose kernel does ESP, in the right site's place. */
  async startKernelPeer(options: PeerOptions = {}, prepare?: Parameters<typeof startKernelCharon>[3]): Promise<KernelCharon> {
    const started = await startKernelCharon(this.net, this.folder("peer"), peerConfiguration(options), prepare);
    this.charons.push(started.charon);
    return started;
  }

  /** Certificates for both ends from one authority, ready to be given to `startUs` and `startPeer`. */
  async certificates(kind: KeyKind): Promise<{ ours: Pick<LinkInput, "authentication">; peers: PeerOptions }> {
    const authority = await makeAuthority(kind);
    const [left, right] = await Promise.all([authority.issue("left.example"), authority.issue("right.example")]);
    return {
      ours: {
        authentication: {
          method: "certificate",
          certificates: [{ id: "own", chain: left.certificatePem, privateKey: left.privateKeyPem }],
          use: "own",
          trustedAuthorities: [authority.certificatePem],
        },
      },
      peers: {
        connection: {
          local: { auth: "pubkey", id: "right.example", certs: "own0.pem" },
          remote: { auth: "pubkey", id: "left.example" },
        },
        certificates: [right],
        authorities: [authority.certificatePem],
      },
    };
  }

  note(text: string): void {
    this.notes.push(text);
  }

  /** The ends of both logs, for a failure's report. */
  logs(): { us: string; peer: string } {
    return { us: this.agents.map((agent) => agent.log()).join("\n"), peer: this.charons.map((charon) => charon.log()).at(-1) ?? "" };
  }

  /** Ends what was started. */
  async close(): Promise<void> {
    await Promise.all([...this.agents.map((agent) => agent.kill()), ...this.charons.map((charon) => charon.kill())]);
    for (const site of this.sites) site.remove();
  }

  private folder(name: string): string {
    const path = join(this.directory, name);
    mkdirSync(path, { recursive: true });
    return path;
  }
}

const usualLink: LinkInput = {
  id: linkId,
  name: "Left to right",
  initiate: "start",
  local: { address: "192.0.2.1", identity: "left.example" },
  remote: { address: "198.51.100.1", identity: "right.example" },
  authentication: { method: "psk", keys: [{ id: "first", secret: preSharedKey }], use: "first" },
  children: [{ name: "net", localNetworks: ["10.1.0.0/24"], remoteNetworks: ["10.2.0.0/24"] }],
};

export function peerConfiguration(options: PeerOptions): CharonConfig {
  const net = { local_ts: "10.2.0.0/24", remote_ts: "10.1.0.0/24", esp_proposals: "aes256gcm16-x25519", ...options.child };
  const site = {
    version: 2,
    local_addrs: "198.51.100.1",
    remote_addrs: "192.0.2.1",
    proposals: "aes256gcm16-prfsha384-x25519",
    local: { auth: "psk", id: "right.example" },
    remote: { auth: "psk", id: "left.example" },
    ...options.connection,
    children: options.children ?? { net },
  };
  return {
    connections: { site },
    secrets: { ike1: { id1: "left.example", id2: "right.example", secret: options.secret ?? preSharedKey } },
    certificates: options.certificates ?? [],
    authorities: options.authorities ?? [],
    daemon: options.daemon ?? {},
    root: options.isNew === true ? newerPeerRoot() : null,
  };
}

export interface Established {
  readonly ike: ObservedIkeSa;
  readonly child: ObservedChildSa;
  readonly peerIke: CharonIkeSa;
  readonly peerChild: CharonChildSa;
}

/**
 * Waits until both ends hold exactly one IKE SA with one Child SA, agree on every SPI, and pass traffic both ways.
 * @returns what each end says of it.
 * @throws with both ends' accounts after the deadline.
 */
export async function expectUp(context: Ends, us: Agent, peer: Charon, timeoutMilliseconds = 10_000): Promise<Established> {
  let ours: unknown;
  let theirs: unknown;
  const established = await pollUntil(
    "both ends to hold the same SAs",
    timeoutMilliseconds,
    async () => {
      const link = await us.link(linkId);
      ours = link;
      if (link.state !== "up") return undefined;
      const sas = await peer.listSas();
      theirs = sas;
      return agreed(link.ikeSas, sas);
    },
    () => `We say ${JSON.stringify(ours)}; the peer says ${JSON.stringify(theirs)}`,
  );
  await expectTraffic(context);
  return established;
}

function agreed(ours: readonly ObservedIkeSa[], theirs: readonly CharonIkeSa[]): Established | undefined {
  const [ike, ...moreOurs] = ours;
  const [peerIke, ...moreTheirs] = theirs;
  if (ike === undefined || peerIke === undefined || moreOurs.length + moreTheirs.length > 0) return undefined;
  // What a rekey replaced may stay in the lists for a while: to open packets that are still on their way.
  const [child, ...moreChildren] = ike.childSas.filter(({ state }) => state !== "rekeyed" && state !== "deleting");
  const [peerChild, ...morePeerChildren] = peerIke.children.filter(({ state }) => state !== "REKEYED" && state !== "DELETED");
  if (child === undefined || peerChild === undefined || moreChildren.length + morePeerChildren.length > 0) return undefined;
  const settled = ike.state === "established" && peerIke.state === "ESTABLISHED" && child.state === "established" && peerChild.state === "INSTALLED";
  const same =
    ike.spiI === peerIke.spiI &&
    ike.spiR === peerIke.spiR &&
    ike.role !== peerIke.role &&
    child.inboundSpi === peerChild.spiOut &&
    child.outboundSpi === peerChild.spiIn;
  return settled && same ? { ike, child, peerIke, peerChild } : undefined;
}

/** Waits until our end holds an established Child SA other than the one with this inbound SPI. */
export function expectNewChild(us: Agent, oldInboundSpi: string): Promise<ObservedChildSa> {
  return us.waitForLink(linkId, `a Child SA other than ${oldInboundSpi}`, ({ ikeSas }) =>
    ikeSas.flatMap((ike) => ike.childSas).find((child) => child.state === "established" && child.inboundSpi !== oldInboundSpi),
  );
}

/** Ten echoes each way, none lost. */
export async function expectTraffic({ net }: Ends): Promise<void> {
  const { left, right } = net;
  const [out, back] = await Promise.all([ping(left, right, { count: 10, waitSeconds: 5 }), ping(right, left, { count: 10, waitSeconds: 5 })]);
  deepStrictEqual({ out, back }, { out: { sent: 10, received: 10, lost: 0 }, back: { sent: 10, received: 10, lost: 0 } });
}

/** No echo is answered: what the tunnel no longer carries must not travel in the clear either. */
export async function expectNoTraffic({ net }: Ends): Promise<void> {
  const { received } = await ping(net.left, net.right, { count: 3, waitSeconds: 0.3 });
  deepStrictEqual(received, 0, "an echo was answered although no tunnel is up");
}

/**
 * Runs `work` while each end sends an echo every 10 to 17 ms to the other, or every `intervalSeconds`, and fails when a single one is lost.
 * @param least how many must have been sent by both together for the result to mean anything.
 */
export async function withoutLoss<T>(context: Place, work: () => Promise<T>, least = 60, intervalSeconds = 0.01): Promise<T> {
  const { left, right } = context.net;
  const pings = await Promise.all([startPing(left, right, intervalSeconds), startPing(right, left, intervalSeconds)]);
  const answered = () => pings[0].answered() + pings[1].answered();
  let result: T;
  let totals: PingResult[];
  try {
    result = await work();
    // Enough echoes after the last step to show that the new SAs carry them.
    const enough = Math.max(least, answered() + 30);
    await pollUntil(
      "enough echoes",
      10_000,
      async () => (answered() >= enough ? true : undefined),
      () => `${answered()} of ${enough} were answered`,
    );
  } finally {
    totals = await Promise.all(pings.map((running) => running.stop()));
  }
  const sum = (count: (ping: PingResult) => number) => totals.reduce((total, each) => total + count(each), 0);
  context.note(`${sum(({ sent }) => sent)} echoes, ${sum(({ lost }) => lost)} lost`);
  deepStrictEqual(
    totals.map(({ lost }) => lost),
    [0, 0],
    "echoes were lost: of those from us, and of those from the peer",
  );
  return result;
}

/** Waits until the link's last failure is said in exactly these words, and notes them. */
export async function expectSentence(context: Pick<Context, "note">, us: Agent, code: string, sentence: string): Promise<void> {
  await us.waitForLink(linkId, `to fail with ${code}, "${sentence}"`, ({ lastFailure }) =>
    lastFailure !== null && lastFailure.code === code && lastFailure.sentence === sentence ? true : undefined,
  );
  context.note(sentence);
}

/** Waits until the link's last failure is about `pattern`, and returns its sentence. */
export function expectFailure(us: Agent, code: string, pattern: RegExp): Promise<string> {
  return us.waitForLink(linkId, `to fail with ${code}, ${pattern}`, (link) => {
    const failure = link.lastFailure;
    return failure !== null && failure.code === code && pattern.test(failure.sentence) ? failure.sentence : undefined;
  });
}
