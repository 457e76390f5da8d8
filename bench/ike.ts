import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type DesiredStateInput, desiredState } from "../contract/desired-state.ts";
import { preSharedKey } from "../e2e/interop/scenario.ts";
import { makeNewerPeerRoot, newerPeerRoot } from "../e2e/lib/newer-peer.ts";
import { startAgent } from "../e2e/lib/agent.ts";
import { type CharonConfig, startCharon } from "../e2e/lib/charon.ts";
import { makeThreeNamespaces, sweepLeftovers, type ThreeNamespaces } from "../e2e/lib/namespaces.ts";
import { type KeyPair, makeAuthority } from "../e2e/lib/pki.ts";
import { median } from "./median.ts";
import { cpuSeconds, processIn, residentKilobytes } from "./process-usage.ts";

/** Handshakes a second of one core's time as responder, and what one pair of IKE and Child SA adds to its memory. */
export interface IkeFigure {
  readonly method: MethodName;
  readonly responder: ResponderName;
  readonly handshakesASecondACore: number;
  readonly kilobytesAnSa: number;
}

export interface IkeFigures {
  readonly handshakes: number;
  readonly rounds: number;
  readonly all: readonly IkeFigure[];
  /** Null: could not be run here, with the reason in `missing`. */
  readonly medians: readonly {
    readonly method: MethodName;
    readonly responder: ResponderName;
    readonly rate: number | null;
    readonly kilobytes: number | null;
  }[];
  readonly missing: readonly string[];
}

type MethodName = "psk-x25519" | "p256-certificates-x25519" | "psk-x25519-mlkem768";
type ResponderName = "culvert" | "charon";

const methods: readonly MethodName[] = ["psk-x25519", "p256-certificates-x25519", "psk-x25519-mlkem768"];
const responders: readonly ResponderName[] = ["culvert", "charon"];
const atOnce = 8;
const program = fileURLToPath(new URL("./ike-initiator.ts", import.meta.url));

/**
 * The same initiator, our engine without a data plane, brings up many links to one responder: our gateway or strongSwan's charon, both as
 * they run with ESP in userspace. Interleaved, so that whatever else the machine does falls on both alike.
 */
export async function benchIke(handshakes: number, rounds: number, say: (line: string) => void): Promise<IkeFigures> {
  sweepLeftovers("cvk");
  const all: IkeFigure[] = [];
  const missing = new Map<string, string>();
  // Without it this system's own strongSwan is measured, which has no ML-KEM.
  await makeNewerPeerRoot(say).catch((error: Error) => say(`no strongSwan 6: ${error.message}`));
  const identities = await credentials(handshakes);
  for (let round = 1; round <= rounds; round++) {
    for (const method of methods) {
      for (const responder of responders) {
        const what = `${method}, ${responder}`;
        if (missing.has(what)) continue;
        try {
          const figure = await measure(method, responder, handshakes, identities);
          all.push(figure);
          say(`round ${round}, ${what}: ${Math.round(figure.handshakesASecondACore)} a second a core, ${figure.kilobytesAnSa.toFixed(1)} kB an SA`);
        } catch (error) {
          if (responder === "culvert") throw error;
          missing.set(what, error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error));
          say(`${what} is missing: ${missing.get(what)}`);
        }
      }
    }
  }
  const medians = methods.flatMap((method) =>
    responders.map((responder) => {
      const own = all.filter((figure) => figure.method === method && figure.responder === responder);
      return {
        method,
        responder,
        rate: median(own.map((figure) => figure.handshakesASecondACore)),
        kilobytes: median(own.map((figure) => figure.kilobytesAnSa)),
      };
    }),
  );
  return { handshakes, rounds, all, medians, missing: [...missing].map(([what, reason]) => `${what}: ${reason}`) };
}

export function ikeTable({ medians, handshakes, rounds, missing }: IkeFigures): string {
  const cell = (value: number | null | undefined, digits: number) => (value == null ? "missing" : value.toFixed(digits));
  const of = (method: MethodName, responder: ResponderName) => medians.find((one) => one.method === method && one.responder === responder);
  return [
    `Handshakes a second of one core as responder (its own CPU time), ${handshakes} links from one initiator, ${rounds} interleaved rounds, medians:`,
    "",
    "| Method | Culvert | charon | Culvert, kB an SA | charon, kB an SA |",
    "|---|---|---|---|---|",
    ...methods.map((method) => {
      const [ours, theirs] = [of(method, "culvert"), of(method, "charon")];
      return `| ${method} | ${cell(ours?.rate, 0)} | ${cell(theirs?.rate, 0)} | ${cell(ours?.kilobytes, 1)} | ${cell(theirs?.kilobytes, 1)} |`;
    }),
    ...missing.map((reason) => `Missing: ${reason}`),
  ].join("\n");
}

interface Identities {
  readonly authority: string;
  readonly responder: KeyPair;
  readonly initiators: readonly KeyPair[];
}

/** Who has pre-shared keys needs none. */
export const noIdentities: Identities = { authority: "", responder: { certificatePem: "", privateKeyPem: "" }, initiators: [] };

/** Our engine as the initiator of all links (ike-initiator.ts). */
export interface Initiator {
  /** So many handshakes at a time. */
  bringUp(atOnce: number): Promise<{ readonly up: number }>;
  takeDown(): Promise<void>;
  /** Until both SAs of every link have been rekeyed, by whichever end, or so long. */
  watch(longestMs: number): Promise<Watched>;
}

/** Links whose IKE SA, and whose Child SA, was rekeyed at least once; how often a link went down or something failed. */
export interface Watched {
  readonly ike: number;
  readonly child: number;
  readonly lost: number;
  readonly milliseconds: number;
}

/** Of an end, in seconds; the defaults of the configuration where none are given. Lifetimes go from the first link's to the last's, evenly. */
interface Lifetimes {
  readonly ikeSeconds?: readonly [shortest: number, longest: number];
  readonly childSeconds?: readonly [shortest: number, longest: number];
  readonly livenessSeconds?: number;
}

async function credentials(links: number): Promise<Identities> {
  const authority = await makeAuthority("ecdsa-p256");
  const initiators: KeyPair[] = [];
  while (initiators.length < links) {
    const names = Array.from({ length: Math.min(8, links - initiators.length) }, (_, i) => initiatorName(initiators.length + i));
    initiators.push(...(await Promise.all(names.map((name) => authority.issue(name)))));
  }
  return { authority: authority.certificatePem, responder: await authority.issue("right.example"), initiators };
}

async function measure(method: MethodName, responder: ResponderName, links: number, identities: Identities): Promise<IkeFigure> {
  if (responder === "charon" && method === "psk-x25519-mlkem768" && newerPeerRoot() === null) throw new Error("this system's strongSwan has no ML-KEM");
  const net = await makeThreeNamespaces("cvk");
  const directory = mkdtempSync(join(tmpdir(), "cvk-"));
  try {
    const stop = await startResponder(net, directory, method, responder, links, identities);
    const initiator = await startInitiator(net, directory, method, links, identities);
    const process_ = processIn(net.right.name, responder === "culvert" ? "agent/main.ts" : "/charon");
    const empty = residentKilobytes(process_);
    // The first handshakes warm it up: code is compiled, tables grow.
    await initiator.bringUp(atOnce);
    await initiator.takeDown();
    const before = cpuSeconds(process_);
    const { up } = await initiator.bringUp(atOnce);
    const seconds = cpuSeconds(process_) - before;
    // Against the responder that has never had an SA, so all that a first SA brings along is shared out as well.
    const kilobytesAnSa = (residentKilobytes(process_) - empty) / up;
    await stop();
    return { method, responder, handshakesASecondACore: up / seconds, kilobytesAnSa };
  } finally {
    net.remove();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function startResponder(
  net: ThreeNamespaces,
  directory: string,
  method: MethodName,
  responder: ResponderName,
  links: number,
  identities: Identities,
): Promise<() => Promise<void>> {
  const folder = join(directory, "r");
  mkdirSync(folder);
  if (responder === "culvert") {
    const agent = await startAgent(net.right, folder, stateOf("right", method, links, identities));
    return () => agent.kill();
  }
  const charon = await startCharon(net.right, folder, charonConfig(method, identities));
  return () => charon.kill();
}

/** Resolves when it has all its links; nothing is begun yet. */
export async function startInitiator(
  net: ThreeNamespaces,
  directory: string,
  method: MethodName,
  links: number,
  identities: Identities,
  lifetimes: Lifetimes = {},
): Promise<Initiator> {
  const file = join(directory, "initiator.json");
  writeFileSync(file, JSON.stringify(desiredState.parse(stateOf("left", method, links, identities, lifetimes))), { mode: 0o600 });
  const child = net.left.start([process.execPath, program, file, net.left.outsideAddress], { stdio: ["pipe", "pipe", "inherit"] });
  if (child.stdout === null || child.stdin === null) throw new Error("the initiator has no pipes");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error("the initiator ended");
    return JSON.parse(value);
  };
  // The answer to each command is one line.
  const ask = (command: string): Promise<unknown> => {
    child.stdin?.write(`${command}\n`);
    return answer();
  };
  await answer();
  return {
    bringUp: async (count) => (await ask(`up ${count}`)) as { up: number },
    takeDown: async () => void (await ask("down")),
    watch: async (longestMs) => (await ask(`watch ${longestMs}`)) as Watched,
  };
}

/** What an end is told; `lifetimes` for the rekeys that are wanted of it. */
export function stateOf(side: "left" | "right", method: MethodName, links: number, identities: Identities, lifetimes: Lifetimes = {}): DesiredStateInput {
  const isLeft = side === "left";
  const ends = [
    { address: "192.0.2.1", network: (i: number) => `10.${100 + (i >> 8)}.${i & 255}.0/24` },
    { address: "198.51.100.1", network: () => "10.2.0.0/24" },
  ] as const;
  const [own, other] = isLeft ? ends : [ends[1], ends[0]];
  return {
    schema: 1,
    revision: 1,
    gateway: { name: side, dataPlane: "tun" },
    links: Array.from({ length: links }, (_, i) => {
      const names = isLeft ? [initiatorName(i), "right.example"] : ["right.example", initiatorName(i)];
      return {
        id: `link-${i}`,
        name: `Link ${i}`,
        initiate: isLeft ? ("start" as const) : ("respond" as const),
        local: { address: own.address, identity: names[0]! },
        // A hub knows no address of its branches: with one it would call them as it starts.
        remote: isLeft ? { address: other.address, identity: names[1]! } : { identity: names[1]! },
        authentication: authentication(method, isLeft ? identities.initiators[i]! : identities.responder, identities),
        ike: { proposals: [proposalOf(method)], ...rekeySeconds(lifetimes.ikeSeconds, i / links), ...livenessOf(lifetimes) },
        esp: { proposals: ["aes256gcm16"], ...rekeySeconds(lifetimes.childSeconds, i / links) },
        children: [{ name: "net", localNetworks: [own.network(i)], remoteNetworks: [other.network(i)] }],
      };
    }),
  };
}

function authentication(method: MethodName, own: KeyPair, identities: Identities): DesiredStateInput["links"][number]["authentication"] {
  if (method !== "p256-certificates-x25519") return { method: "psk", keys: [{ id: "first", secret: preSharedKey }], use: "first" };
  const certificate = { id: "own", chain: own.certificatePem, privateKey: own.privateKeyPem };
  return { method: "certificate", certificates: [certificate], use: "own", trustedAuthorities: [identities.authority] };
}

export function charonConfig(method: MethodName, identities: Identities, { ikeSeconds, childSeconds }: Lifetimes = {}): CharonConfig {
  const isPsk = method !== "p256-certificates-x25519";
  const local = isPsk ? { auth: "psk", id: "right.example" } : { auth: "pubkey", id: "right.example", certs: "own0.pem" };
  const net = { local_ts: "10.2.0.0/24", remote_ts: "10.0.0.0/8", esp_proposals: "aes256gcm16", ...rekeyTime(childSeconds) };
  const remote = { auth: isPsk ? "psk" : "pubkey", id: "%any" };
  return {
    // One connection for all: with one for each it would walk through them, which is not what is measured here.
    connections: {
      all: { version: 2, local_addrs: "198.51.100.1", proposals: proposalOf(method), local, remote, children: { net }, ...rekeyTime(ikeSeconds) },
    },
    secrets: isPsk ? { ike1: { secret: preSharedKey } } : {},
    certificates: isPsk ? [] : [identities.responder],
    authorities: isPsk ? [] : [identities.authority],
    // Its log off, and its limits for one address, which all links come from here.
    daemon: { filelog: {}, dos_protection: false, cookie_threshold: 0, block_threshold: 0 },
    root: newerPeerRoot(),
  };
}

function rekeySeconds(range: Lifetimes["ikeSeconds"], share: number): { readonly rekeySeconds?: number } {
  return range === undefined ? {} : { rekeySeconds: Math.round(range[0] + share * (range[1] - range[0])) };
}

function livenessOf({ livenessSeconds }: Lifetimes): { readonly livenessSeconds?: number } {
  return livenessSeconds === undefined ? {} : { livenessSeconds };
}

/** With one connection for all: at random in the same range. */
function rekeyTime(range: Lifetimes["ikeSeconds"]): { readonly rekey_time?: string; readonly rand_time?: string } {
  return range === undefined ? {} : { rekey_time: `${range[1]}s`, rand_time: `${range[1] - range[0]}s` };
}

function proposalOf(method: MethodName): string {
  return method === "psk-x25519-mlkem768" ? "aes256gcm16-prfsha384-x25519-ke1_mlkem768" : "aes256gcm16-prfsha384-x25519";
}

function initiatorName(i: number): string {
  return `i${i}.example`;
}
