import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Context, peerConfiguration, linkId } from "../e2e/interop/scenario.ts";
import { type CharonConfig, startCharon } from "../e2e/lib/charon.ts";
import { makeThreeNamespaces, type Site, sweepLeftovers, type ThreeNamespaces } from "../e2e/lib/namespaces.ts";
import { pingUntilAnswered, throughput } from "../e2e/lib/traffic.ts";

export interface StreamFigures {
  readonly rounds: number;
  readonly secondsEach: number;
  /** Median Mbit/s of one TCP stream; null: the peer could not be run here, with the reason in `missing`. */
  readonly medians: Readonly<Record<ContenderName, number | null>>;
  readonly all: Readonly<Record<ContenderName, readonly number[]>>;
  readonly missing: readonly string[];
  /** Ours over strongSwan's kernel-libipsec. */
  readonly ratio: number | null;
}

type ContenderName = "culvert" | "culvert-typescript-alone" | "strongswan-kernel-libipsec" | "veth";

interface Contender {
  readonly name: ContenderName;
  /** Prepares the path between the two inside networks; resolves when an echo passes. */
  readonly run: (context: Context) => Promise<void>;
}

const esp = "aes128gcm16-x25519";
const nativeFunction = fileURLToPath(new URL("../dist/native/aead-batch.so", import.meta.url));
const answerMilliseconds = 15_000;

/**
 * One TCP stream between two sites, both ends and the internet on this machine: through two of our gateways, through two strongSwan
 * daemons with ESP in userspace, and without a tunnel. Interleaved, so that whatever else the machine does falls on all of them alike.
 */
export async function benchStreams(rounds: number, secondsEach: number, say: (line: string) => void): Promise<StreamFigures> {
  sweepLeftovers("cvb");
  const all: Record<ContenderName, number[]> = { culvert: [], "culvert-typescript-alone": [], "strongswan-kernel-libipsec": [], veth: [] };
  const missing = new Map<ContenderName, string>();
  for (let round = 1; round <= rounds; round++) {
    for (const contender of contenders) {
      if (missing.has(contender.name)) continue;
      try {
        const rate = await measure(contender, secondsEach);
        all[contender.name].push(rate);
        say(`round ${round}, ${contender.name}: ${Math.round(rate)} Mbit/s`);
      } catch (error) {
        const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
        if (contender.name === "culvert-typescript-alone") throw error;
        missing.set(contender.name, `${contender.name}: ${reason}`);
        say(`${contender.name} is missing: ${reason}`);
      }
    }
  }
  const medians = {
    culvert: median(all.culvert),
    "culvert-typescript-alone": median(all["culvert-typescript-alone"]),
    "strongswan-kernel-libipsec": median(all["strongswan-kernel-libipsec"]),
    veth: median(all.veth),
  };
  const ours = medians.culvert ?? medians["culvert-typescript-alone"];
  const theirs = medians["strongswan-kernel-libipsec"];
  const ratio = ours === null || theirs === null ? null : ours / theirs;
  return { rounds, secondsEach, medians, all, missing: [...missing.values()], ratio };
}

async function measure(contender: Contender, seconds: number): Promise<number> {
  const net = await makeThreeNamespaces("cvb");
  const directory = mkdtempSync(join(tmpdir(), "cvb-"));
  const context = new Context(net, directory);
  try {
    await contender.run(context);
    await pingUntilAnswered(net.left, net.right, answerMilliseconds);
    return (await throughput(net.left, net.right, seconds)).megabitsPerSecond;
  } finally {
    await context.close();
    net.remove();
    rmSync(directory, { recursive: true, force: true });
  }
}

const contenders: readonly Contender[] = [
  {
    name: "culvert",
    async run(context) {
      if (!existsSync(nativeFunction)) throw new Error("the native function was not compiled: install a C compiler and run set-up");
      await startOurs(context);
    },
  },
  {
    name: "culvert-typescript-alone",
    async run(context) {
      process.env["CULVERT_NATIVE"] = "off";
      try {
        await startOurs(context);
      } finally {
        delete process.env["CULVERT_NATIVE"];
      }
    },
  },
  {
    name: "strongswan-kernel-libipsec",
    async run(context) {
      const right = peerConfiguration({ child: { esp_proposals: esp } });
      await startBeside(context, context.net.right, "right", right);
      const left = await startBeside(context, context.net.left, "left", mirrored());
      await left.initiate("net");
    },
  },
  {
    name: "veth",
    async run({ net }) {
      await routePlainly(net);
    },
  },
];

async function startOurs(context: Context): Promise<void> {
  await context.startUsAtRight({ esp: { proposals: [esp] } });
  const left = await context.startUs({ esp: { proposals: [esp] } });
  await left.waitUntilUp(linkId);
}

/** charon lives as long as its namespace: removing that ends it. */
function startBeside(context: Context, site: Site, name: string, config: CharonConfig) {
  return startCharon(site, mkdtempSync(join(context.directory, name)), config);
}

function mirrored(): CharonConfig {
  return {
    connections: {
      site: {
        version: 2,
        local_addrs: "192.0.2.1",
        remote_addrs: "198.51.100.1",
        proposals: "aes256gcm16-prfsha384-x25519",
        local: { auth: "psk", id: "left.example" },
        remote: { auth: "psk", id: "right.example" },
        children: { net: { local_ts: "10.1.0.0/24", remote_ts: "10.2.0.0/24", esp_proposals: esp } },
      },
    },
    secrets: peerConfiguration({}).secrets ?? {},
    certificates: [],
    authorities: [],
    daemon: {},
  };
}

/** The middle learns the inside networks: the limit of the cables. */
async function routePlainly(net: ThreeNamespaces): Promise<void> {
  await net.middle.run(["ip", "route", "add", net.left.network, "via", net.left.outsideAddress]);
  await net.middle.run(["ip", "route", "add", net.right.network, "via", net.right.outsideAddress]);
}

export function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  return upper === undefined || lower === undefined ? null : (upper + lower) / 2;
}
