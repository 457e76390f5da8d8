import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildUdp } from "./inner-packets.ts";
import type { PlayedPacket } from "./played-peer.ts";
import type { SaLifetimes } from "../ipsec/security-association.ts";
import type { DropCounters, SaCounters } from "../dataplane/data-plane.ts";

/*
 * Two gateways with fixed keys, each in a network namespace of its own: 10.1.0.1 (left) 192.0.2.1 ── 192.0.2.2 (right) 10.2.0.1. The right
 * one has the stranger's address 192.0.2.77 too. Needs root. Nothing here waits for a time to pass: it waits for what it needs.
 */
const run = promisify(execFile);
const program = (name: string) => fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
const STRANGER = "192.0.2.77";
export const FORWARDED_HOST = "10.1.0.77";
const DISCARD_PORT = 9;
const UDP = 17;
const WAIT_MS = 10_000;

export interface GatewayCounters {
  readonly inbound: SaCounters;
  readonly outbound: SaCounters;
  /** Packets under the SA of each worker. */
  readonly ofWorkers: readonly number[];
  /** The SA that the peer has for each worker. */
  readonly inboundOfWorkers: readonly SaCounters[];
  readonly global: DropCounters;
}

/** A static gateway: one line in, one line of JSON out. */
export interface LiveGateway {
  readonly process: ChildProcess;
  readonly counters: () => Promise<GatewayCounters>;
  /** Has the next SAs inbound, and sends on the old ones. */
  readonly expect: () => Promise<unknown>;
  /** Sends on the next SAs. */
  readonly rekey: () => Promise<unknown>;
  /** Sends on the next SA for all workers, and on the old ones of single workers. */
  readonly rekeyShared: () => Promise<unknown>;
  /** The path to its peer takes 1,300 octets from now on. */
  readonly narrow: () => Promise<unknown>;
  /** What it raised so far, a JSON object a line. */
  readonly events: () => string;
}

export interface LiveSite {
  readonly side: "left" | "right";
  readonly namespace: string;
  readonly outside: string;
  readonly inside: string;
  readonly network: string;
}

export interface Echoes {
  readonly count: number;
  /** Octets of data in each; 56 unless told. */
  readonly dataOctets?: number;
  readonly intervalMs?: number;
  /** No two ever travel together. */
  readonly oneByOne?: boolean;
}

/** What the static gateway is told beside its addresses. */
export interface GatewayOptions {
  readonly suite?: string;
  readonly encapsulation?: "udp" | "none";
  readonly extendedSequenceNumbers?: boolean;
  readonly replayWindowPackets?: number;
  /** SAs and policies beside the one: static-gateway.ts. */
  readonly others?: number;
  readonly otherPrefix?: number;
  readonly lifetimes?: { readonly inbound?: SaLifetimes; readonly outbound?: SaLifetimes };
  /** Outbound workers, and whether each has an SA of its own; those of the other direction. */
  readonly workers?: number;
  readonly workerSas?: boolean;
  readonly inboundWorkers?: number;
}

/** What a flow of counted-flow.ts has come to. */
export interface FlowResult {
  readonly sent: number;
  readonly lost: number;
  readonly doubled: number;
  readonly late: number;
}

export function ip(...args: string[]): string {
  return execFileSync("ip", args, { encoding: "utf8" });
}

export function inNamespace(namespace: string, ...argv: string[]): Promise<{ stdout: string }> {
  return run("ip", ["netns", "exec", namespace, ...argv], { maxBuffer: 1 << 24, timeout: 60_000 });
}

/** As IKE does it: nobody sends on an SA that the other does not have. */
export async function rekeyBoth(gateways: readonly LiveGateway[]): Promise<void> {
  await Promise.all(gateways.map((gateway) => gateway.expect()));
  await Promise.all(gateways.map((gateway) => gateway.rekey()));
}

export class LivePair {
  readonly left: LiveSite;
  readonly right: LiveSite;
  readonly #directory = mkdtempSync(join(tmpdir(), "cvdt-live-"));
  readonly #started: LiveGateway[] = [];

  readonly #outerFamily: 4 | 6;

  /** `name`: a few letters, different for each test file that runs at the same time. */
  constructor(name: string, outerFamily: 4 | 6 = 4) {
    this.#outerFamily = outerFamily;
    const namespace = (side: string) => `cvdt-${name}${process.pid}-${side}`;
    const outside = outerFamily === 4 ? (["192.0.2.1", "192.0.2.2"] as const) : (["2001:db8::1", "2001:db8::2"] as const);
    this.left = { side: "left", namespace: namespace("l"), outside: outside[0], inside: "10.1.0.1", network: "10.1.0.0/24" };
    this.right = { side: "right", namespace: namespace("r"), outside: outside[1], inside: "10.2.0.1", network: "10.2.0.0/24" };
  }

  makeNamespaces(): void {
    const { left, right } = this;
    // A kernel with IPv6 sends router solicitations to each new device, at times of its own: nobody could count what passes.
    const disableIpv6 = () => {
      for (const { namespace } of [left, right]) ip("netns", "exec", namespace, "bash", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
    };
    for (const { namespace } of [left, right]) ip("netns", "add", namespace);
    if (this.#outerFamily === 4) disableIpv6();
    ip("-n", left.namespace, "link", "add", "out0", "type", "veth", "peer", "name", "out0", "netns", right.namespace);
    for (const me of [left, right]) {
      ip("-n", me.namespace, "addr", "add", `${me.outside}/${this.#outerFamily === 4 ? 24 : 64}`, "dev", "out0", ...(this.#outerFamily === 4 ? [] : ["nodad"]));
      ip("-n", me.namespace, "addr", "add", `${me.inside}/32`, "dev", "lo");
      for (const device of ["lo", "out0"]) ip("-n", me.namespace, "link", "set", device, "up");
    }
    ip("-n", right.namespace, "addr", "add", `${STRANGER}/24`, "dev", "out0");
    // The outer device has its addresses; those that come later, the TUN devices, get none.
    if (this.#outerFamily === 6) disableIpv6();
  }

  removeNamespaces(): void {
    for (const { namespace } of [this.left, this.right]) ip("netns", "del", namespace);
    rmSync(this.#directory, { recursive: true });
  }

  startBoth(options: GatewayOptions = {}): Promise<[LiveGateway, LiveGateway]> {
    return Promise.all([this.start(this.left, options), this.start(this.right, options)]);
  }

  /** `env`: more variables for its environment. */
  async start(me: LiveSite, options: GatewayOptions = {}, env: Record<string, string> = {}): Promise<LiveGateway> {
    const peer = me === this.left ? this.right : this.left;
    const addresses = { local: me.outside, remote: peer.outside, localNetwork: me.network, remoteNetwork: peer.network, side: me.side, mtu: 1_500 };
    const order = JSON.stringify({ suite: "aes128gcm16", ...addresses, ...options });
    const child = spawn("ip", ["netns", "exec", me.namespace, process.execPath, program("static-gateway"), order], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    let events = "";
    child.stderr.on("data", (bytes: Buffer) => {
      events += bytes.toString();
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const ask = async (command: string) => {
      child.stdin.write(`${command}\n`);
      return JSON.parse(String((await lines.next()).value));
    };
    const gateway: LiveGateway = {
      process: child,
      counters: () => ask("counters"),
      expect: () => ask("expect"),
      rekey: () => ask("rekey"),
      rekeyShared: () => ask("rekeyShared"),
      narrow: () => ask("narrow"),
      events: () => events,
    };
    this.#started.push(gateway);
    const greeting = await lines.next();
    if (greeting.value !== "ready") throw new Error(`the ${me.side} gateway did not start: ${events}`);
    ip("-n", me.namespace, "route", "replace", peer.network, "dev", "culvert0", "src", me.inside);
    return gateway;
  }

  async endGateways(): Promise<void> {
    for (const { process: child } of this.#started.splice(0)) {
      child.stdin?.end();
      const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
      if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once("close", resolve));
      clearTimeout(timer);
    }
  }

  /** Sends echoes from left to right and returns the numbers of those not answered. */
  async lostEchoes(echoes: Echoes): Promise<readonly number[]> {
    const order = { source: this.left.inside, target: this.right.inside, dataOctets: 56, intervalMs: 5, oneByOne: false, ...echoes };
    const { stdout } = await inNamespace(this.left.namespace, process.execPath, program("echo-sender"), JSON.stringify(order));
    return JSON.parse(stdout).unanswered;
  }

  /** So many flows of UDP from left to right and back at once, as fast as they go, while `during` runs. */
  async flows(count: number, during: () => Promise<unknown> = async () => undefined): Promise<FlowResult[]> {
    const mirror = this.#flowProgram(this.right, "pipe", "mirror", this.right.inside);
    const mirrorEnded = new Promise((resolve) => mirror.once("close", resolve));
    await new Promise((resolve) => mirror.stdout?.once("data", resolve));
    const senders = Array.from({ length: count }, () => this.#flowProgram(this.left, "pipe", "send", this.left.inside, this.right.inside));
    const results = senders.map(async (sender) => {
      let output = "";
      sender.stdout?.on("data", (bytes: Buffer) => {
        output += bytes.toString();
      });
      await new Promise((resolve) => sender.once("close", resolve));
      return JSON.parse(output.trim().split("\n").at(-1) ?? "");
    });
    try {
      await during();
      for (const sender of senders) sender.stdin?.end();
      return await Promise.all(results);
    } finally {
      // Those that have not ended by themselves: `during` has failed.
      for (const sender of senders) sender.kill("SIGTERM");
      mirror.kill("SIGTERM");
      await Promise.allSettled([...results, mirrorEnded]);
    }
  }

  #flowProgram(where: LiveSite, stdin: "pipe" | "ignore", ...args: string[]): ChildProcess {
    return spawn("ip", ["netns", "exec", where.namespace, process.execPath, program("counted-flow"), ...args], { stdio: [stdin, "pipe", "inherit"] });
  }

  /** Sends so many octets over TCP from left to right and all of them back. Throws unless every octet returns. */
  async mirroredStream(octets: number): Promise<void> {
    const mirror = spawn("ip", ["netns", "exec", this.right.namespace, process.execPath, program("tcp-mirror"), "mirror", this.right.inside], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = new Promise((resolve) => mirror.once("close", resolve));
    await new Promise((resolve) => mirror.stdout.once("data", resolve));
    const sender = [process.execPath, program("tcp-mirror"), "send", this.right.inside, String(octets)];
    const { stdout } = await inNamespace(this.left.namespace, ...sender).finally(() => mirror.kill("SIGTERM"));
    await ended;
    if (stdout.trim() !== "true") throw new Error("what came back over TCP is not what was sent");
  }

  /** Every datagram (UDP unless told), as octets from the IPv4 header on, that passes to this site's outside address while `during` runs. */
  captured(during: () => Promise<unknown>, towards: LiveSite = this.left, protocols = "udp"): Promise<Buffer[]> {
    const from = towards === this.left ? this.right : this.left;
    // The cable keeps the order: with this one in the file, all before it are.
    const last = () => inNamespace(from.namespace, "bash", "-c", `echo end > /dev/udp/${towards.outside}/${DISCARD_PORT}`);
    return this.#capture({ device: "out0", filter: `(${protocols}) and dst host ${towards.outside}`, linkOctets: 14 }, during, last);
  }

  /**
   * Plays the right gateway: seals and sends these packets to the left one, and returns what that delivers of them, from the IP header on. They
   * may arrive together, unless `between` waits after each for what it knows of.
   */
  async delivered(
    packets: readonly PlayedPacket[],
    lastSequence = 1 + Math.max(...packets.map((packet) => packet.sequence)),
    between: (sent: number) => Promise<void> = async () => undefined,
  ): Promise<Buffer[]> {
    const extended = packets.some((packet) => packet.extended === true);
    const argv = ["netns", "exec", this.right.namespace, process.execPath, program("played-peer"), this.right.outside, this.left.outside];
    const peer = spawn("ip", argv, { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();
    const send = async (packet: PlayedPacket) => {
      peer.stdin.write(`${JSON.stringify(packet)}\n`);
      if ((await lines.next()).value !== "sent") throw new Error("the played peer could not send");
    };
    try {
      if ((await lines.next()).value !== "ready") throw new Error("the played peer did not start");
      const all = async () => {
        for (const [index, packet] of packets.entries()) {
          await send(packet);
          await between(index + 1);
        }
      };
      const last = { inner: buildUdp(this.right.inside, this.left.inside, DISCARD_PORT).toString("hex"), sequence: lastSequence, extended };
      return await this.#capture({ device: "culvert0", filter: `src host ${this.right.inside}`, linkOctets: 0 }, all, () => send(last));
    } finally {
      peer.stdin.end();
      await new Promise((resolve) => peer.once("close", resolve));
    }
  }

  /** `last` sends what ends the capture: a UDP datagram to the discard port. */
  async #capture(
    what: { device: string; filter: string; linkOctets: number },
    during: () => Promise<unknown>,
    last: () => Promise<unknown>,
  ): Promise<Buffer[]> {
    const file = join(this.#directory, "capture.pcap");
    const argv = ["tcpdump", "-U", "--immediate-mode", "-B", "8192", "-Z", "root", "-i", what.device, "-w", file, what.filter];
    const dump = spawn("ip", ["netns", "exec", this.left.namespace, ...argv], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    dump.stderr.on("data", (bytes: Buffer) => {
      said += bytes.toString();
    });
    await until("tcpdump to listen", () => said.includes("listening on"));
    await during();
    await last();
    let packets: Buffer[] = [];
    await until("the last packet to be captured", () => {
      packets = readPackets(readFileSync(file), what.linkOctets);
      return packets.at(-1)?.[9] === UDP && packets.at(-1)?.readUInt16BE(22) === DISCARD_PORT;
    });
    dump.kill("SIGINT");
    await new Promise((resolve) => dump.once("close", resolve));
    return packets.slice(0, -1);
  }

  /** Has the host 10.1.0.77 behind the left gateway send these frames (vnet header and IP packet), which the kernel forwards; ends when `after` does. */
  async forwarded(frames: readonly Uint8Array[], after: () => Promise<void>): Promise<void> {
    const { namespace } = this.left;
    const host = spawn("ip", ["netns", "exec", namespace, process.execPath, program("frame-feeder"), "host0"], { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: host.stdout })[Symbol.asyncIterator]();
    try {
      if ((await lines.next()).value !== "ready") throw new Error("the forwarded host did not start");
      await inNamespace(namespace, "bash", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward");
      ip("-n", namespace, "route", "add", FORWARDED_HOST, "dev", "host0");
      for (const frame of frames) {
        host.stdin.write(`${Buffer.from(frame).toString("hex")}\n`);
        if ((await lines.next()).value !== "sent") throw new Error("the kernel did not take a forwarded frame");
      }
      await after();
    } finally {
      host.stdin.end();
      await new Promise((resolve) => host.once("close", resolve));
    }
  }

  /**
   * Sends UDP payloads (hexadecimal) at the left gateway from the right one's address and from a stranger's; resolves with their number when the
   * gateway has dealt with all of them: an echo that is sent after them has come back.
   */
  async fire(target: LiveGateway, order: { datagrams: string[]; mutations?: number; truncations?: boolean; seed?: number }): Promise<number> {
    const cannon = spawn("ip", ["netns", "exec", this.right.namespace, process.execPath, program("datagram-cannon")], { stdio: ["pipe", "pipe", "inherit"] });
    const addresses = { sources: [this.right.outside, STRANGER], target: this.left.outside, targetProcess: target.process.pid };
    cannon.stdin.end(`${JSON.stringify({ ...addresses, mutations: 0, truncations: false, seed: 1, ...order })}\n`);
    let output = "";
    cannon.stdout.on("data", (bytes: Buffer) => {
      output += bytes.toString();
    });
    await new Promise((resolve) => cannon.once("close", resolve));
    const lost = await this.lostEchoes({ count: 1 });
    if (lost.length > 0) throw new Error("the echo behind the datagrams was lost");
    return JSON.parse(output).count;
  }

  /** Sends payloads (hexadecimal) of an IP protocol at the left gateway from the right one's address; it has dealt with them when this resolves. */
  async fireRaw(protocol: number, payloads: readonly string[]): Promise<void> {
    const order = { source: this.right.outside, target: this.left.outside, protocol, payloads };
    await inNamespace(this.right.namespace, process.execPath, program("raw-sender"), JSON.stringify(order));
    // Taken in order from the same socket.
    const lost = await this.lostEchoes({ count: 1 });
    if (lost.length > 0) throw new Error("the echo behind the packets was lost");
  }
}

/** The UDP payload of a captured datagram. */
export function payloadOf(datagram: Buffer): Buffer {
  return datagram.subarray(28);
}

export async function until(what: string, reached: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  while (!(await reached())) {
    if (performance.now() > deadline) throw new Error(`waited ${WAIT_MS} ms for ${what}`);
    await delay(10);
  }
}

/** pcap: 24 octets, then records of 16 octets and a frame. A record that is still being written is left out. */
function readPackets(file: Buffer, linkOctets: number): Buffer[] {
  const packets: Buffer[] = [];
  for (let at = 24; at + 16 <= file.length; ) {
    const end = at + 16 + file.readUInt32LE(at + 8);
    if (end > file.length) break;
    packets.push(file.subarray(at + 16 + linkOctets, end));
    at = end;
  }
  return packets;
}
