import type { ChildProcess } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { z } from "zod";
import { askAgent } from "../../agent/runtime/control-client.ts";
import { probeResult } from "../../contract/hub-protocol.ts";
import { type ObservedChildSa, observedState } from "../../contract/observed-state.ts";
import { exitOnSignals } from "../../e2e/lib/cleanup.ts";
import { makeThreeNamespaces, type Site, sweepLeftovers, type ThreeNamespaces } from "../../e2e/lib/namespaces.ts";
import { root } from "../setup.mjs";
import type { FieldReply, FieldRequest, GatewayOrder, Measurement, TunnelFacts } from "./field-protocol.ts";

/*
 * The demo's field: two sites and the internet between them as network namespaces, a gateway at each site, and the counter in
 * the middle. Started by the demo, asked over the message channel. When the channel closes, however the demo ended, it goes too,
 * with everything it made.
 */

const node = process.execPath;
const agentProgram = join(root, "agent/main.ts");
const streamPort = 5_201;

/** A gateway that runs in a site. */
interface Gateway {
  readonly site: Site;
  readonly process: ChildProcess;
  readonly socket: string;
}

class Field {
  private readonly net: ThreeNamespaces;
  private readonly counter: ChildProcess;
  private readonly counterLines: Interface;
  private gateways: readonly [Gateway, Gateway] | null = null;
  private isStopping = false;

  constructor(net: ThreeNamespaces, counter: ChildProcess, counterLines: Interface) {
    this.net = net;
    this.counter = counter;
    this.counterLines = counterLines;
  }

  /** Enrols and starts both gateways, and waits until each has its first configuration and listens for IKE. */
  async enrol(request: Extract<FieldRequest, { kind: "enrol" }>): Promise<null> {
    this.gateways = await Promise.all([this.startGateway(this.net.left, request.left, request), this.startGateway(this.net.right, request.right, request)]);
    await Promise.all(this.gateways.map(untilListening));
    return null;
  }

  /** Waits until both ends say that the link is up over the same pair of SAs. */
  async untilUp(timeoutSeconds: number): Promise<TunnelFacts> {
    const [left, right] = this.running();
    const deadline = performance.now() + timeoutSeconds * 1_000;
    let last = "";
    for (;;) {
      const [a, b] = await Promise.all([establishedChild(left), establishedChild(right)]);
      if (a !== null && b !== null && a.inboundSpi === b.outboundSpi && b.inboundSpi === a.outboundSpi)
        return { spis: [a.inboundSpi, b.inboundSpi], suite: a.suite };
      last = `${left.site.name}: ${a?.inboundSpi ?? "no SA"}, ${right.site.name}: ${b?.inboundSpi ?? "no SA"}`;
      if (performance.now() > deadline) throw new Error(`the link did not come up within ${timeoutSeconds} s (${last})`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Echoes from both ends, then a TCP stream in each direction, then what the middle has seen since the beginning. */
  async measure(echoes: number, streamSeconds: number): Promise<Measurement> {
    const [left, right] = this.running();
    const counts = [await echo(left, echoes), await echo(right, echoes)];
    const rates = [await stream(left.site, right.site, streamSeconds), await stream(right.site, left.site, streamSeconds)];
    const seen = await this.readCounter();
    const packetsSent = counts.reduce((sum, { sent }) => sum + sent, 0);
    const packetsReceived = counts.reduce((sum, { received }) => sum + received, 0);
    return {
      packetsSent,
      packetsReceived,
      packetsLost: packetsSent - packetsReceived,
      mbitPerSecond: Math.round(Math.min(...rates)),
      packetsNeitherIkeNorEsp: seen.other,
      packetsIkeOrEsp: seen.protected,
    };
  }

  /** Ends the gateways in order, so that their devices go with them, then removes the namespaces. */
  async stop(): Promise<void> {
    this.isStopping = true;
    await Promise.all((this.gateways ?? []).map(({ process }) => ended(process)));
    this.counterLines.close();
    this.counter.kill("SIGKILL");
    this.net.remove();
  }

  private running(): readonly [Gateway, Gateway] {
    if (this.gateways === null) throw new Error("the gateways have not been enrolled");
    return this.gateways;
  }

  private async startGateway(site: Site, order: GatewayOrder, hub: { hubUrl: string; hubSocket: string }): Promise<Gateway> {
    mkdirSync(order.stateDirectory, { recursive: true, mode: 0o700 });
    const enrol = [node, agentProgram, "enrol", "--hub", hub.hubUrl, "--via", `unix:${hub.hubSocket}`, "--state-dir", order.stateDirectory];
    // The token goes by the environment: arguments can be read by every user of the machine.
    await site.run(enrol, { env: { CULVERT_TOKEN: order.token } });
    const gateway = site.start([node, agentProgram, "run", "--state-dir", order.stateDirectory], { stdio: ["ignore", "inherit", "inherit"] });
    gateway.once("exit", (code, signal) => {
      if (!this.isStopping) process.stderr.write(`the gateway in ${site.name} ended unexpectedly (${signal ?? code})\n`);
    });
    return { site, process: gateway, socket: join(order.stateDirectory, "agent.sock") };
  }

  private readCounter(): Promise<{ other: number; protected: number }> {
    const line = new Promise<string>((resolve) => this.counterLines.once("line", resolve));
    this.counter.stdin?.write("\n");
    return line.then((text) => z.object({ other: z.number(), protected: z.number() }).parse(JSON.parse(text)));
  }
}

async function makeField(): Promise<Field> {
  sweepLeftovers("cvd");
  const net = await makeThreeNamespaces("cvd");
  const counter = net.middle.start([node, join(root, "scripts/demo/leak-counter.ts")], { stdio: ["pipe", "pipe", "inherit"] });
  if (counter.stdout === null) throw new Error("the counter has no output");
  const lines = createInterface({ input: counter.stdout });
  await new Promise<void>((resolve, reject) => {
    lines.once("line", () => resolve());
    counter.once("exit", () => reject(new Error("the packet counter in the middle could not be started")));
  });
  return new Field(net, counter, lines);
}

async function untilListening(gateway: Gateway): Promise<void> {
  const deadline = performance.now() + 20_000;
  for (let state = await status(gateway); state === null || state.plane === "none"; state = await status(gateway)) {
    if (gateway.process.exitCode !== null) throw new Error(`the gateway in ${gateway.site.name} ended with exit code ${gateway.process.exitCode}`);
    if (performance.now() > deadline) throw new Error(`the gateway in ${gateway.site.name} got no configuration within 20 s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function establishedChild(gateway: Gateway): Promise<ObservedChildSa | null> {
  if (gateway.process.exitCode !== null) throw new Error(`the gateway in ${gateway.site.name} ended with exit code ${gateway.process.exitCode}`);
  const state = await status(gateway);
  const link = state?.links.find((candidate) => candidate.state === "up");
  return link?.ikeSas.flatMap((ike) => ike.childSas).find((child) => child.state === "established") ?? null;
}

/** Null while the gateway does not answer yet. */
async function status(gateway: Gateway) {
  try {
    const answer = await askAgent(gateway.socket, { kind: "status" });
    return observedState.parse(answer.value);
  } catch (error) {
    if (error instanceof z.ZodError) throw error;
    return null;
  }
}

async function echo(gateway: Gateway, count: number): Promise<{ sent: number; received: number }> {
  const state = await status(gateway);
  const linkId = state?.links[0]?.id ?? "";
  const answer = await askAgent(gateway.socket, { kind: "command", command: { name: "probe", linkId, count, intervalMilliseconds: 5, payloadBytes: 56 } });
  if (!answer.ok) throw new Error(`${gateway.site.name}: ${answer.message}`);
  return z.object({ probe: probeResult }).parse(answer.value).probe;
}

/** Mbit/s of one TCP stream from one site's inside address to the other's. */
async function stream(from: Site, to: Site, seconds: number): Promise<number> {
  const program = join(root, "scripts/demo/stream.ts");
  const receiver = to.start([node, program, "receive", to.insideAddress, String(streamPort)], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    if (receiver.stdout === null) throw new Error("the receiver has no output");
    const lines = createInterface({ input: receiver.stdout })[Symbol.asyncIterator]();
    await lines.next();
    await from.run([node, program, "send", from.insideAddress, to.insideAddress, String(streamPort), String(seconds)], {
      timeoutMilliseconds: (seconds + 15) * 1_000,
    });
    const { value } = await lines.next();
    return z.object({ megabitsPerSecond: z.number() }).parse(JSON.parse(String(value))).megabitsPerSecond;
  } finally {
    receiver.kill("SIGKILL");
  }
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill("SIGTERM");
  });
}

function reply(message: FieldReply): void {
  if (process.connected) process.send?.(message);
}

async function answer(field: Field, request: FieldRequest): Promise<unknown> {
  switch (request.kind) {
    case "enrol":
      return field.enrol(request);
    case "until-up":
      return field.untilUp(request.timeoutSeconds);
    case "measure":
      return field.measure(request.echoes, request.streamSeconds);
    case "stop":
      await field.stop();
      return null;
    default:
      return assertNever(request);
  }
}

function assertNever(value: never): never {
  throw new Error(`Unexpected ${JSON.stringify(value)}`);
}

const sentenceOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

try {
  exitOnSignals();
  const field = await makeField();
  process.on("disconnect", () => void field.stop().finally(() => process.exit(0)));
  process.on("message", (request: FieldRequest) => {
    answer(field, request)
      .then((value) => reply({ kind: "answer", value }))
      .catch((error: unknown) => reply({ kind: "failed", sentence: sentenceOf(error) }))
      .finally(() => request.kind === "stop" && process.exit(0));
  });
  reply({ kind: "ready" });
} catch (error) {
  reply({ kind: "failed", sentence: sentenceOf(error) });
  process.exitCode = 1;
}
