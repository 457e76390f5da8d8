import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type DesiredStateInput, desiredState } from "../contract/desired-state.ts";
import { preSharedKey } from "../e2e/interop/scenario.ts";
import { startAgent } from "../e2e/lib/agent.ts";
import { cpuSeconds, processIn, residentKilobytes } from "./process-usage.ts";
import { makeThreeNamespaces, type Site, sweepLeftovers } from "../e2e/lib/namespaces.ts";

/** What a flood of IKE_SA_INIT from spoofed addresses did to a gateway whose tunnel is up. */
export interface FloodFigures {
  readonly wantedASecond: number;
  readonly sentASecond: number;
  readonly seconds: number;
  /** Handshakes of an honest peer during the flood: from the first message to the Child SA, milliseconds. */
  readonly honest: { readonly count: number; readonly p50: number; readonly p99: number; readonly most: number };
  /** Echoes through the tunnel that was up before, one each 10 ms. */
  readonly tunnel: { readonly sent: number; readonly lost: number };
  /** The gateway's, in kilobytes. */
  readonly memory: { readonly before: number; readonly most: number };
  /** Share of one core that the gateway used. */
  readonly cpu: number;
}

const initiator = fileURLToPath(new URL("./ike-initiator.ts", import.meta.url));
const sender = fileURLToPath(new URL("./flood-sender.ts", import.meta.url));
const honestLinks = 400;
/** The middle's own: nobody else there has the ports of IKE. */
const honestAddress = "192.0.2.254";

/** Floods the left gateway from the middle for so many seconds. */
export async function benchFlood(aSecond: number, seconds: number, say: (line: string) => void): Promise<FloodFigures> {
  sweepLeftovers("cvf");
  const net = await makeThreeNamespaces("cvf");
  const directory = mkdtempSync(join(tmpdir(), "cvf-"));
  try {
    for (const side of ["l", "r"]) execFileSync("mkdir", [join(directory, side)]);
    const left = await startAgent(net.left, join(directory, "l"), stateOf("left"));
    const right = await startAgent(net.right, join(directory, "r"), stateOf("right"));
    await right.waitUntilUp("tunnel");
    const honest = await startHonest(net.middle, directory);
    const pid = processIn(net.left.name, "agent/main.ts");
    const before = residentKilobytes(pid);
    const cpuBefore = cpuSeconds(pid);
    say(`flooding with ${aSecond} a second for ${seconds} s`);
    const flood = net.middle.start([process.execPath, sender, net.left.outsideAddress, `${aSecond}`, `${seconds}`], { stdio: ["ignore", "pipe", "inherit"] });
    const started = performance.now();
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, residentKilobytes(pid));
    }, 200);
    const [sent, tunnel, times] = await Promise.all([
      lastLine(flood.stdout),
      ping(net.right, Math.floor((seconds - 1) * 100)),
      honest(`timed ${Math.floor((seconds - 1) * 1_000)}`),
    ]);
    clearInterval(watch);
    const elapsed = (performance.now() - started) / 1_000;
    const cpu = (cpuSeconds(pid) - cpuBefore) / elapsed;
    await left.kill();
    await right.kill();
    const sorted = (times as { times: number[] }).times.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
    return {
      wantedASecond: aSecond,
      sentASecond: (JSON.parse(sent) as { aSecond: number }).aSecond,
      seconds,
      honest: { count: sorted.length, p50: at(0.5), p99: at(0.99), most: sorted.at(-1) ?? Number.NaN },
      tunnel,
      memory: { before, most },
      cpu,
    };
  } finally {
    net.remove();
    rmSync(directory, { recursive: true, force: true });
  }
}

export function floodText({ sentASecond, seconds, honest, tunnel, memory, cpu }: FloodFigures): string {
  return [
    `IKE_SA_INIT flood from spoofed addresses, ${Math.round(sentASecond)} a second for ${seconds} s:`,
    `honest handshakes: ${honest.count}, p50 ${honest.p50.toFixed(0)} ms, p99 ${honest.p99.toFixed(0)} ms, most ${honest.most.toFixed(0)} ms`,
    `tunnel that was up: ${tunnel.lost} of ${tunnel.sent} echoes lost`,
    `the gateway: ${Math.round(cpu * 100)} % of a core, ${Math.round(memory.before / 1_000)} MB before, ${Math.round(memory.most / 1_000)} MB at most`,
  ].join("\n");
}

async function startHonest(place: Pick<Site, "start">, directory: string): Promise<(command: string) => Promise<unknown>> {
  const file = join(directory, "honest.json");
  writeFileSync(file, JSON.stringify(desiredState.parse(stateOf("honest"))), { mode: 0o600 });
  const child = place.start([process.execPath, initiator, file, honestAddress], { stdio: ["pipe", "pipe", "inherit"] });
  if (child.stdout === null || child.stdin === null) throw new Error("the honest peer has no pipes");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => JSON.parse((await lines.next()).value as string);
  await answer();
  return (command) => {
    child.stdin?.write(`${command}\n`);
    return answer();
  };
}

function stateOf(side: "left" | "right" | "honest"): DesiredStateInput {
  const base = { authentication: { method: "psk" as const, keys: [{ id: "first", secret: preSharedKey }], use: "first" } };
  const ike = { proposals: ["aes256gcm16-prfsha384-x25519"] };
  const tunnel = (mine: boolean) => ({
    ...base,
    id: "tunnel",
    name: "Tunnel",
    ike,
    initiate: mine ? ("respond" as const) : ("start" as const),
    local: mine ? { address: "192.0.2.1", identity: "left.example" } : { address: "198.51.100.1", identity: "right.example" },
    remote: mine ? { identity: "right.example" } : { address: "192.0.2.1", identity: "left.example" },
    children: [{ name: "net", localNetworks: [mine ? "10.1.0.0/24" : "10.2.0.0/24"], remoteNetworks: [mine ? "10.2.0.0/24" : "10.1.0.0/24"] }],
  });
  const honest = (mine: boolean) =>
    Array.from({ length: honestLinks }, (_, i) => {
      const networks = [["10.1.0.0/24"], [`10.${100 + (i >> 8)}.${i & 255}.0/24`]] as const;
      const [localNetworks, remoteNetworks] = mine ? networks : [networks[1], networks[0]];
      return {
        ...base,
        id: `link-${i}`,
        name: `Link ${i}`,
        ike,
        initiate: mine ? ("respond" as const) : ("start" as const),
        local: mine ? { address: "192.0.2.1", identity: "left.example" } : { address: honestAddress, identity: `i${i}.example` },
        remote: mine ? { identity: `i${i}.example` } : { address: "192.0.2.1", identity: "left.example" },
        children: [{ name: "net", localNetworks: [...localNetworks], remoteNetworks: [...remoteNetworks] }],
      };
    });
  const links = side === "right" ? [tunnel(false)] : side === "honest" ? honest(false) : [tunnel(true), ...honest(true)];
  return { schema: 1, revision: 1, gateway: { name: side, dataPlane: "tun" }, links };
}

async function ping(from: Site, count: number): Promise<{ sent: number; lost: number }> {
  const text = await from.run(["ping", "-q", "-i", "0.01", "-c", `${count}`, "-W", "2", "-I", from.insideAddress, "10.1.0.1"], {
    timeoutMilliseconds: 120_000,
  });
  const [, sent = "0", received = "0"] = /(\d+) packets transmitted, (\d+) received/.exec(text) ?? [];
  return { sent: Number(sent), lost: Number(sent) - Number(received) };
}

async function lastLine(stream: NodeJS.ReadableStream | null): Promise<string> {
  let last = "{}";
  if (stream !== null) for await (const line of createInterface({ input: stream })) last = line;
  return last;
}
