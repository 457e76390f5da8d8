import { createInterface } from "node:readline";
import { TunDataPlane } from "../dataplane/tun/tun-data-plane.ts";
import type { SaLifetimes } from "../ipsec/security-association.ts";
import { parseSelector } from "../ipsec/traffic-selector.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";
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
  /** So many SAs of each direction and policies beside the one: network number i is 10.64.0.0/24 and what follows, at the right side. */
  readonly others?: number;
  /** So many outbound workers, and with `workerSas` an SA for each beside the one that all may send on. */
  readonly workers?: number;
  readonly workerSas?: boolean;
  readonly lifetimes?: { readonly inbound?: SaLifetimes; readonly outbound?: SaLifetimes };
}

const options: Arguments = JSON.parse(process.argv[2] ?? "{}");
const plane = await TunDataPlane.create({ tunName: "culvert0", mtu: options.mtu, natPort: 4_500, outboundWorkers: options.workers ?? 1 });
const local = { address: options.local, port: 4_500 };
const remote = { address: options.remote, port: 4_500 };
const networks = { local: options.localNetwork, remote: options.remoteNetwork };
let generation = 0;
plane.onEvent((event) => console.error(JSON.stringify(event)));
await installOwn();
await Promise.all(Array.from({ length: options.others ?? 0 }, (_, i) => install(`other-${i}`, staticSpis(0x1_0000 + 2 * i), otherNetworks(i))));
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await obey(line)));
await plane.close();

async function installOwn(): Promise<void> {
  const workers = options.workerSas === true ? (options.workers ?? 1) : 0;
  for (let worker = 1; worker <= workers; worker++) await installSas(`static-${generation}-${worker}`, spisOf(worker), networks);
  const workerSpis = Array.from({ length: workers }, (_, index) => spisOf(index + 1).spiOut);
  await install(`static-${generation}`, spisOf(0), networks, workerSpis);
}

/** `worker`: 0 for what all may send on. */
function spisOf(worker: number): { readonly spiIn: EspSpi; readonly spiOut: EspSpi } {
  const number = worker * 0x100 + generation;
  return { spiIn: staticSpi(options.side, number), spiOut: staticSpi(options.side === "left" ? "right" : "left", number) };
}

/** Which of the two is for which direction depends on the side. */
function staticSpis(first: number): { readonly spiIn: EspSpi; readonly spiOut: EspSpi } {
  const [left, right] = [first as EspSpi, (first + 1) as EspSpi];
  return options.side === "left" ? { spiIn: left, spiOut: right } : { spiIn: right, spiOut: left };
}

function otherNetworks(i: number): typeof networks {
  const other = `10.${64 + (i >> 8)}.${i & 255}.0/24`;
  return options.side === "left" ? { local: networks.local, remote: other } : { local: other, remote: networks.remote };
}

async function install(childSaId: string, spis: ReturnType<typeof staticSpis>, between: typeof networks, workerSpis: readonly EspSpi[] = []): Promise<void> {
  await installSas(childSaId, spis, between);
  await plane.installPolicy({
    id: childSaId.startsWith("other") ? childSaId : "static",
    localSelectors: [parseSelector(between.local)],
    remoteSelectors: [parseSelector(between.remote)],
    action: { kind: "protect", spi: spis.spiOut, workerSpis },
  });
}

async function installSas(childSaId: string, { spiIn, spiOut }: ReturnType<typeof staticSpis>, between: typeof networks): Promise<void> {
  const localSelectors = [parseSelector(between.local)];
  const remoteSelectors = [parseSelector(between.remote)];
  const common = {
    extendedSequenceNumbers: options.extendedSequenceNumbers ?? false,
    protocol: isStaticAh(options.suite) ? "ah" : "esp",
    mode: "tunnel",
    local,
    remote,
    encapsulation: options.encapsulation ?? "udp",
  } as const;
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
}

async function obey(line: string): Promise<unknown> {
  if (line === "rekey") {
    generation++;
    await installOwn();
    return { generation };
  }
  const { spiIn, spiOut } = spisOf(0);
  return {
    inbound: plane.querySa("inbound", spiIn),
    outbound: plane.querySa("outbound", spiOut),
    ofWorkers: Array.from({ length: options.workers ?? 0 }, (_, index) => plane.querySa("outbound", spisOf(index + 1).spiOut)?.packets ?? 0),
    global: plane.globalDrops(),
  };
}
