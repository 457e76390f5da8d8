import { createInterface } from "node:readline";
import { TunDataPlane } from "../dataplane/tun/tun-data-plane.ts";
import type { SaLifetimes } from "../ipsec/security-association.ts";
import { parseSelector } from "../ipsec/traffic-selector.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";
import { isStaticAh, staticKeys, staticNumber, staticSpi, type StaticSuite } from "./static-keys.ts";

/**
 * A gateway without IKE, for tests and benchmarks of the data plane: one SA in each direction from its arguments (one JSON object).
 * Prints `ready`; each line on standard input is a command (`counters`, `expect`: have the next SAs inbound, `rekey`: send on them, `rekeyShared`: of them only
 * on the one for all workers, under the old SAs of single ones, `narrow`: the path to the peer takes 1,300 octets) answered by one line of JSON. Ends with standard input.
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
  /** So many SAs of each direction and policies beside the one: of networks at the right side, 10.64.0.0 and what follows, with a prefix of so many bits (24). */
  readonly others?: number;
  readonly otherPrefix?: number;
  /** So many outbound workers, and with `workerSas` an SA for each beside the one that all may send on. */
  readonly workers?: number;
  readonly workerSas?: boolean;
  readonly inboundWorkers?: number;
  readonly lifetimes?: { readonly inbound?: SaLifetimes; readonly outbound?: SaLifetimes };
}

interface Spis {
  readonly spiIn: EspSpi;
  readonly spiOut: EspSpi;
}

const options: Arguments = JSON.parse(process.argv[2] ?? "{}");
const { workers: outboundWorkers = 1, inboundWorkers = 1 } = options;
const plane = await TunDataPlane.create({ tunName: "culvert0", mtu: options.mtu, natPort: 4_500, outboundWorkers, inboundWorkers });
const common = {
  extendedSequenceNumbers: options.extendedSequenceNumbers ?? false,
  protocol: isStaticAh(options.suite) ? "ah" : "esp",
  mode: "tunnel",
  local: { address: options.local, port: 4_500 },
  remote: { address: options.remote, port: 4_500 },
  encapsulation: options.encapsulation ?? "udp",
} as const;
const networks = { local: options.localNetwork, remote: options.remoteNetwork };
let generation = 0;
/** The one that is sent on: the last one, or before it. */
let sendsOn = -1;
const workers = options.workerSas === true ? outboundWorkers : 0;
plane.onEvent((event) => console.error(JSON.stringify(event)));
await receiveOwn();
await sendOwn();
await Promise.all(Array.from({ length: options.others ?? 0 }, (_, i) => installOther(`other-${i}`, staticSpis(0x1_0000 + 2 * i), otherNetworks(i))));
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await obey(line)));
await plane.close();

async function receiveOwn(): Promise<void> {
  for (let worker = 0; worker <= workers; worker++) await receive(ownId(worker), spisOf(worker), networks);
}

async function sendOwn(): Promise<void> {
  for (let worker = 0; worker <= workers; worker++) await send(ownId(worker), spisOf(worker));
  await sendOver("static", spisOf(0), networks, workerSpisOf(generation));
  sendsOn = generation;
}

async function sendShared(): Promise<void> {
  await send(ownId(0), spisOf(0));
  await sendOver("static", spisOf(0), networks, workerSpisOf(sendsOn));
}

function workerSpisOf(ofGeneration: number): EspSpi[] {
  return Array.from({ length: workers }, (_, index) => spisOf(index + 1, ofGeneration).spiOut);
}

function ownId(worker: number): string {
  return worker === 0 ? `static-${generation}` : `static-${generation}-${worker}`;
}

/** `worker`: 0 for what all may send on. The peer's workers and ours are dealt alike: an SA of this one stays with the same inbound worker when it is rekeyed. */
function spisOf(worker: number, ofGeneration = generation): Spis {
  const number = staticNumber(worker) + ofGeneration * inboundWorkers;
  return { spiIn: staticSpi(options.side, number), spiOut: staticSpi(options.side === "left" ? "right" : "left", number) };
}

/** Which of the two is for which direction depends on the side. */
function staticSpis(first: number): Spis {
  const [left, right] = [first as EspSpi, (first + 1) as EspSpi];
  return options.side === "left" ? { spiIn: left, spiOut: right } : { spiIn: right, spiOut: left };
}

function otherNetworks(i: number): typeof networks {
  const prefix = options.otherPrefix ?? 24;
  // In networks of 256 addresses.
  const first = i * 2 ** (24 - prefix);
  const other = `10.${64 + (first >> 8)}.${first & 255}.0/${prefix}`;
  return options.side === "left" ? { local: networks.local, remote: other } : { local: other, remote: networks.remote };
}

async function installOther(id: string, spis: Spis, between: typeof networks): Promise<void> {
  await receive(id, spis, between);
  await send(id, spis);
  await sendOver(id, spis, between, []);
}

function sendOver(id: string, { spiOut }: Spis, between: typeof networks, workerSpis: readonly EspSpi[]): Promise<void> {
  const selectors = { localSelectors: [parseSelector(between.local)], remoteSelectors: [parseSelector(between.remote)] };
  return plane.installPolicy({ id, ...selectors, action: { kind: "protect", spi: spiOut, workerSpis } });
}

function receive(childSaId: string, { spiIn }: Spis, between: typeof networks): Promise<void> {
  return plane.installSa({
    ...common,
    ...options.lifetimes?.inbound,
    childSaId,
    direction: "inbound",
    spi: spiIn,
    keys: staticKeys(options.suite, spiIn),
    replayWindowPackets: options.replayWindowPackets ?? 1_024,
    localSelectors: [parseSelector(between.local)],
    remoteSelectors: [parseSelector(between.remote)],
  });
}

function send(childSaId: string, { spiOut }: Spis): Promise<void> {
  return plane.installSa({ ...common, ...options.lifetimes?.outbound, childSaId, direction: "outbound", spi: spiOut, keys: staticKeys(options.suite, spiOut) });
}

async function obey(line: string): Promise<unknown> {
  if (line === "expect" || (line === "rekey" && sendsOn === generation)) {
    generation++;
    await receiveOwn();
  }
  if (line === "rekey") await sendOwn();
  if (line === "rekeyShared") await sendShared();
  if (line === "narrow") await plane.setPathMtu(options.remote, 1_300);
  if (line !== "counters") return { generation };
  const { spiIn, spiOut } = spisOf(0);
  return {
    inbound: plane.querySa("inbound", spiIn),
    outbound: plane.querySa("outbound", spiOut),
    ofWorkers: Array.from({ length: options.workers ?? 0 }, (_, index) => plane.querySa("outbound", spisOf(index + 1).spiOut)?.packets ?? 0),
    inboundOfWorkers: Array.from({ length: workers }, (_, index) => plane.querySa("inbound", spisOf(index + 1).spiIn)),
    global: plane.globalDrops(),
  };
}
