import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import type { SaKeys } from "../crypto/sa-keys.ts";
import type { DataPlaneEvent } from "../dataplane/data-plane.ts";
import { enterNetworkNamespace } from "../dataplane/ffi/network-namespace.ts";
import { XfrmDataPlane } from "../dataplane/xfrm/xfrm-data-plane.ts";
import type { InboundSa, OutboundPolicy, OutboundSa, SaLifetimes } from "../ipsec/security-association.ts";
import { parseSelector } from "../ipsec/traffic-selector.ts";
import { Encr, Integ } from "../wire/iana.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";
import { staticKeys } from "./static-keys.ts";

/*
 * Two planes of the kernel with fixed keys, each in a network namespace of its own: 10.1.0.1 (left) 192.0.2.1 ── 192.0.2.2 (right) 10.2.0.1, in
 * IPv6 fd00:1::1 2001:db8::1 ── 2001:db8::2 fd00:2::1. For programs that run where the kernel has ESP, as root.
 */
export const run = promisify(execFile);
export const WAIT_MS = 10_000;
export const INTERFACE_MTU = 1_400;

export interface End {
  readonly name: "left" | "right";
  readonly outside: string;
  readonly outside6: string;
  readonly network: string;
  readonly network6: string;
}

export const left: End = { name: "left", outside: "192.0.2.1", outside6: "2001:db8::1", network: "10.1.0.0/24", network6: "fd00:1::/64" };
export const right: End = { name: "right", outside: "192.0.2.2", outside6: "2001:db8::2", network: "10.2.0.0/24", network6: "fd00:2::/64" };

export interface Options {
  readonly keys: (spi: EspSpi) => SaKeys;
  readonly protocol?: "esp" | "ah";
  readonly mode?: "tunnel" | "transport";
  readonly encapsulation?: "udp" | "none";
  readonly esn?: boolean;
  readonly outer?: 4 | 6;
  /** In place of the ends' own. */
  readonly outside?: Readonly<Record<"left" | "right", string>>;
  readonly inner?: 4 | 6;
  readonly window?: number;
  readonly lifetimes?: SaLifetimes;
  /** Of this interface; the networks are everything, of both families. */
  readonly interfaceNumber?: number;
  /** Added to the SPIs. */
  readonly generation?: number;
}

export const gcm = (spi: EspSpi) => staticKeys("aes128gcm16", spi);
export const hmac = (spi: EspSpi): SaKeys => ({
  ...staticKeys("aes256-sha256", spi),
  encr: Encr.NULL,
  encryptionKey: new Uint8Array(0),
  integ: Integ.HMAC_SHA2_256_128,
});
export type Planes = Readonly<Record<"left" | "right", XfrmDataPlane>>;

export function makeNamespaces(): void {
  const ip = (...args: string[]) => execFileSync("ip", args);
  for (const { name } of [left, right]) ip("netns", "add", name);
  ip("-n", "left", "link", "add", "out0", "type", "veth", "peer", "name", "out0", "netns", "right");
  for (const me of [left, right]) {
    const peer = me === left ? right : left;
    const host = me === left ? 1 : 2;
    const batch = [
      `address add ${me.outside}/24 dev out0`,
      `address add ${me.outside6}/64 dev out0 nodad`,
      `address add 10.${host}.0.1/24 dev lo`,
      `address add fd00:${host}::1/64 dev lo nodad`,
      "link set lo up",
      "link set out0 up",
      `route add ${peer.network} via ${peer.outside} src 10.${host}.0.1`,
      `route add ${peer.network6} via ${peer.outside6} src fd00:${host}::1`,
      ...(me === right ? ["address add 192.0.2.3/24 dev out0"] : ["address add 10.1.0.2/24 dev lo"]),
    ];
    execFileSync("ip", ["-n", me.name, "-batch", "-"], { input: `${batch.join("\n")}\n` });
  }
}

export async function planeIn(end: End, options: { readonly espOffload?: boolean } = {}): Promise<XfrmDataPlane> {
  enterNetworkNamespace(end.name);
  return XfrmDataPlane.create({ natPort: 4_500, interfaceMtu: INTERFACE_MTU, ...options });
}

export async function installBoth(planes: Planes, options: Options): Promise<void> {
  for (const end of [left, right]) {
    const plane = planes[end.name];
    await plane.installSa(saOf(end, "inbound", options));
    await plane.installSa(saOf(end, "outbound", options));
  }
  for (const end of [left, right]) await planes[end.name].installPolicy(policyOf(end, options));
}

export function policyOf(end: End, options: Options): OutboundPolicy {
  const { interfaceNumber, generation } = options;
  const action = { kind: "protect", spi: spiOf(end.name, "outbound", generation) } as const;
  return { id: idOf(options), ...selectorsOf(end, options), ...(interfaceNumber === undefined ? {} : { interfaceNumber }), action };
}

function idOf({ interfaceNumber }: Options): string {
  return interfaceNumber === undefined ? "child" : `child${interfaceNumber}`;
}

/** What a program does that `killOneThatHolds` starts: a plane at the left that has SAs and a policy. */
export async function holdUntilKilled(options: Options): Promise<void> {
  const plane = await planeIn(left);
  await plane.installSa(saOf(left, "inbound", options));
  await plane.installSa(saOf(left, "outbound", options));
  await plane.installPolicy(policyOf(left, options));
  console.log("held");
  setInterval(() => undefined, WAIT_MS);
}

/** Starts this program once more, with `child` as its argument, and kills it when it holds what it is to hold. */
export async function killOneThatHolds(): Promise<void> {
  const killed = spawn(process.execPath, [process.argv[1]!, "child"], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(killed, "exit");
  const isHeld = await Promise.race([once(killed.stdout, "data"), ended.then(() => null)]);
  if (isHeld === null) throw new Error("the one to be killed has ended by itself");
  killed.kill("SIGKILL");
  await ended;
}

/** Where the peer's packets go after a move of the left's outbound SA. */
export const elsewhere = { address: "192.0.2.3", port: 4_500 } as const;

/** The right has its inbound SA, with its key, at the other address and no more at its own: what comes out of it was sealed with that key and sent there. */
export async function receiveElsewhere({ right: plane }: Planes, options: Options): Promise<void> {
  const sa = saOf(right, "inbound", options);
  await plane.deleteSa("inbound", sa.spi);
  await plane.installSa({ ...sa, local: elsewhere });
}

export async function flushBoth(planes: Planes): Promise<void> {
  await Promise.all([planes.left.flush(), planes.right.flush()]);
}

export function saOf(end: End, direction: "inbound", options: Options): InboundSa;
export function saOf(end: End, direction: "outbound", options: Options): OutboundSa;
export function saOf(end: End, direction: "inbound" | "outbound", options: Options): InboundSa | OutboundSa {
  const peer = end === left ? right : left;
  const spi = spiOf(end.name, direction, options.generation);
  const outer = (of: End) => ({ address: options.outside?.[of.name] ?? (options.outer === 6 ? of.outside6 : of.outside), port: 4_500 });
  const common = {
    ...(direction === "outbound" ? options.lifetimes : {}),
    childSaId: idOf(options),
    ...(options.interfaceNumber === undefined ? {} : { interfaceNumber: options.interfaceNumber }),
    spi,
    keys: options.keys(spi),
    extendedSequenceNumbers: options.esn ?? false,
    protocol: options.protocol ?? "esp",
    mode: options.mode ?? "tunnel",
    local: outer(end),
    remote: outer(peer),
    encapsulation: options.encapsulation ?? "none",
  } as const;
  if (direction === "outbound") return { ...common, direction };
  return { ...common, ...selectorsOf(end, options), direction, replayWindowPackets: options.window ?? 64 };
}

const everything = ["0.0.0.0/0", "::/0"].map(parseSelector);

export function selectorsOf(end: End, options: Options) {
  if (options.interfaceNumber !== undefined) return { localSelectors: everything, remoteSelectors: everything };
  const peer = end === left ? right : left;
  const of = (one: End) => {
    if (options.mode === "transport") return options.outer === 6 ? one.outside6 : one.outside;
    return options.inner === 6 ? one.network6 : one.network;
  };
  return { localSelectors: [parseSelector(of(end))], remoteSelectors: [parseSelector(of(peer))] };
}

/** The right's inbound SA is the left's outbound one. */
export function spiOf(end: "left" | "right", direction: "inbound" | "outbound", generation = 0): EspSpi {
  return (((end === "left") === (direction === "inbound") ? 0x1001 : 0x2001) + generation) as EspSpi;
}

export function inside(namespace: string, ...argv: string[]) {
  return run("ip", ["netns", "exec", namespace, ...argv]);
}

/** How many of so many echoes are answered, each within a second. */
export async function answered(namespace: string, from: string, to: string, count: number): Promise<number> {
  const argv = ["ping", "-n", "-q", "-I", from, "-c", String(count), "-l", String(count), "-i", "1", "-W", "1", to];
  const { stdout } = await inside(namespace, ...argv).catch((error: { stdout: string }) => error);
  return Number(/(\d+) (?:packets )?received/.exec(stdout)?.[1] ?? 0);
}

/** Without those that only hold a place. */
export async function states(): Promise<string[]> {
  const { stdout } = await inside("left", "ip", "xfrm", "state", "list", "nokeys");
  return stdout.split(/^(?=src )/m).filter((state) => /aead|auth|enc /.test(state));
}

export async function policies(): Promise<string[]> {
  const { stdout } = await inside("left", "ip", "xfrm", "policy", "list");
  return stdout.split(/^(?=src )/m).filter((policy) => !policy.includes("socket"));
}

export function listen(plane: XfrmDataPlane) {
  const all: DataPlaneEvent[] = [];
  let read = 0;
  let wake: () => void = () => undefined;
  plane.onEvent((event) => {
    all.push(event);
    wake();
  });
  const next = async (kind: DataPlaneEvent["kind"]): Promise<DataPlaneEvent> => {
    const deadline = performance.now() + WAIT_MS;
    for (;;) {
      for (; read < all.length; ) {
        const event = all[read++]!;
        if (event.kind === kind) return event;
      }
      if (performance.now() > deadline) throw new Error(`no ${kind} among ${JSON.stringify(all)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, WAIT_MS);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  };
  return { all, next };
}

/** The outcomes of a program's cases: the name of each and null, or what went wrong. */
export class Cases {
  readonly outcomes: Record<string, string | null> = {};

  async report(name: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.outcomes[name] = null;
    } catch (error) {
      this.outcomes[name] = error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
  }
}
