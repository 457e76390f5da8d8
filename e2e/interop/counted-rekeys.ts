import { deepEqual } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { Context } from "./scenario.ts";

const program = fileURLToPath(new URL("../../agent/testing/counted-flow.ts", import.meta.url));

/** What the sender prints (agent/testing/counted-flow.ts). */
const flowResult = z.object({ sent: z.number(), lost: z.number(), doubled: z.number(), late: z.number() });

/** Runs `work` while numbered datagrams go from left to right and back as fast as the tunnel takes them, from the first answer on; fails unless each comes back once and in order. */
export async function countedFlow(context: Context, work: () => Promise<void>): Promise<z.infer<typeof flowResult>> {
  const { left, right } = context.net;
  const mirror = right.start([process.execPath, program, "mirror", right.insideAddress]);
  await new Promise((resolve) => mirror.stdout?.once("data", resolve));
  const sender = left.start([process.execPath, program, "send", left.insideAddress, right.insideAddress], { stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  const answered = new Promise((resolve) => sender.stdout?.once("data", resolve));
  sender.stdout?.on("data", (bytes: Buffer) => {
    said += bytes.toString();
  });
  const ended = new Promise((resolve) => sender.once("close", resolve));
  try {
    await Promise.race([answered, ended]);
    await work();
  } finally {
    sender.stdin?.end();
    await ended;
    mirror.kill("SIGTERM");
  }
  const result = flowResult.parse(JSON.parse(said.trim().split("\n").at(-1) ?? ""));
  context.note(`${result.sent} datagrams each way, ${result.lost} lost`);
  deepEqual({ lost: result.lost, doubled: result.doubled, late: result.late }, { lost: 0, doubled: 0, late: 0 });
  return result;
}
