import { createInterface } from "node:readline";
import { TunDataPlane } from "../dataplane/tun/tun-data-plane.ts";
import type { SaLifetimes } from "../ipsec/security-association.ts";
import { parseSelector } from "../ipsec/traffic-selector.ts";
import { isStaticAh, staticKeys, staticSpi, type StaticSuite } from "./static-keys.ts";

/**
 * A gateway without IKE, for tests and benchmarks of the data plane: one SA in each direction from its arguments (one JSON object).
 * Prints `ready`; each line on standard input is a command (`counters`, `rekey`) answered by one line of JSON. Ends with standard input.
 */
interface Arguments {
  readonly local: string;
  readonly remote: string;
  readonly localNetwork: string;
  readonly remoteNetwork: string;
  readonly suite: StaticSuite;
  readonly encapsulation?: "udp" | "none";
  /** Decides which SPI and key is for which direction: the peer has the other. */
  readonly side: "left" | "right";
  readonly mtu: number;
  readonly extendedSequenceNumbers?: boolean;
  readonly replayWindowPackets?: number;
  readonly lifetimes?: { readonly inbound?: SaLifetimes; readonly outbound?: SaLifetimes };
}

const options: Arguments = JSON.parse(process.argv[2] ?? "{}");
const plane = await TunDataPlane.create({ tunName: "culvert0", mtu: options.mtu, natPort: 4_500 });
const local = { address: options.local, port: 4_500 };
const remote = { address: options.remote, port: 4_500 };
const localSelectors = [parseSelector(options.localNetwork)];
const remoteSelectors = [parseSelector(options.remoteNetwork)];
let generation = 0;
plane.onEvent((event) => console.error(JSON.stringify(event)));
await install();
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await obey(line)));
await plane.close();

async function install(): Promise<void> {
  const spiIn = staticSpi(options.side, generation);
  const spiOut = staticSpi(options.side === "left" ? "right" : "left", generation);
  const common = {
    extendedSequenceNumbers: options.extendedSequenceNumbers ?? false,
    protocol: isStaticAh(options.suite) ? "ah" : "esp",
    mode: "tunnel",
    local,
    remote,
    encapsulation: options.encapsulation ?? "udp",
  } as const;
  const childSaId = `static-${generation}`;
  await plane.installSa({
    ...common,
    ...options.lifetimes?.inbound,
    childSaId,
    direction: "inbound",
    spi: spiIn,
    keys: staticKeys(options.suite, spiIn),
    replayWindowPackets: options.replayWindowPackets ?? 1_024,
    localSelectors,
    remoteSelectors,
  });
  await plane.installSa({ ...common, ...options.lifetimes?.outbound, childSaId, direction: "outbound", spi: spiOut, keys: staticKeys(options.suite, spiOut) });
  await plane.installPolicy({ id: "static", localSelectors, remoteSelectors, action: { kind: "protect", spi: spiOut } });
}

async function obey(line: string): Promise<unknown> {
  if (line === "rekey") {
    generation++;
    await install();
    return { generation };
  }
  const other = options.side === "left" ? "right" : "left";
  return {
    inbound: plane.querySa("inbound", staticSpi(options.side, generation)),
    outbound: plane.querySa("outbound", staticSpi(other, generation)),
    global: plane.globalDrops(),
  };
}
