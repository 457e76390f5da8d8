import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Context } from "../e2e/interop/scenario.ts";
import { exitOnSignals } from "../e2e/lib/cleanup.ts";
import { makeThreeNamespaces, type ThreeNamespaces } from "../e2e/lib/namespaces.ts";
import { pingUntilAnswered } from "../e2e/lib/traffic.ts";
import type { CipherName } from "./contenders.ts";
import { measureUnheardPackets, measureTcp, processesOf } from "./path-measures.ts";
import { type KernelContender, kernelContenders, type KernelMeasure, kernelMeasures, sampleKey } from "./xfrm-contenders.ts";

/*
 * `node bench/xfrm-in-host.ts ROUNDS SECONDS`, on a host whose kernel has ESP (xfrm.ts): both contenders' tunnels of a cipher stand side by side, each
 * between namespaces of its own, and are measured in turn, the first of a round being another one each time. The programs of the one that is not measured
 * are stopped meanwhile: the kernel alone moves packets, but this one has a single processor. Prints one JSON object: every sample of every measure.
 */
const answerMilliseconds = 30_000;
const warmUpSeconds = 1;

const [rounds = 0, seconds = 0] = process.argv.slice(2).map(Number);
const samples: Record<string, readonly number[]> = {};
exitOnSignals();
for (const cipher of ["aes128gcm16", "aes256gcm16"] as const) await measureCipher(cipher);
process.stdout.write(JSON.stringify(samples));
process.exit(0);

interface Path {
  readonly contender: KernelContender;
  readonly context: Context;
  readonly processes: readonly number[];
}

async function measureCipher(cipher: CipherName): Promise<void> {
  const measures = kernelMeasures.filter((measure) => measure.cipher === cipher);
  const paths: Path[] = [];
  for (const contender of kernelContenders) paths.push(await makePath(contender, cipher));
  for (let round = 0; round < rounds; round++) {
    for (const measure of measures) {
      for (const { contender, context, processes } of round % 2 === 0 ? paths : paths.toReversed()) {
        signal(processes, "SIGCONT");
        const key = sampleKey(contender.name, measure.name);
        samples[key] = [...(samples[key] ?? []), await measureOne(context.net, measure)];
        signal(processes, "SIGSTOP");
      }
    }
  }
  for (const { context, processes } of paths) {
    signal(processes, "SIGCONT");
    await context.close();
    context.net.remove();
  }
}

/** A tunnel that has carried a stream, and whose programs are stopped. */
async function makePath(contender: KernelContender, cipher: CipherName): Promise<Path> {
  const net = await makeThreeNamespaces("cvx");
  const context = new Context(net, mkdtempSync(join(tmpdir(), "cvx-")), "kernel");
  await contender.start(context, cipher);
  await pingUntilAnswered(net.left, net.right, answerMilliseconds);
  await measureTcp(net, [], 1, warmUpSeconds);
  const processes = processesOf(net);
  signal(processes, "SIGSTOP");
  return { contender, context, processes };
}

async function measureOne(net: ThreeNamespaces, { packetOctets }: KernelMeasure): Promise<number> {
  if (packetOctets === null) return (await measureTcp(net, [], 1, seconds)).megabitsPerSecond;
  return measureUnheardPackets(net.left, net.right, packetOctets, seconds, "10.2.0");
}

function signal(processes: readonly number[], name: NodeJS.Signals): void {
  for (const id of processes) process.kill(id, name);
}
