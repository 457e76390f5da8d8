import { fileURLToPath } from "node:url";
import { pollUntil } from "../lib/poll.ts";
import type { Context } from "./scenario.ts";

const program = fileURLToPath(new URL("../../bench/unfinished-initiator.ts", import.meta.url));

export interface UnfinishedInitiator {
  /** IKE SAs that it made half open until the responder answered no more, and the cookies that it was asked for. */
  readonly begun: number;
  readonly cookies: number;
  /** How many more the responder has begun since: as soon as there is room. */
  more(): number;
  end(): void;
}

/** In the middle: fills a responder up to its limit with `most` attempts, and resolves when it answers no more; then it goes on knocking. */
export async function fillWithHalfOpen({ net }: Context, target: string, most: number): Promise<UnfinishedInitiator> {
  const running = net.middle.start([process.execPath, program, target, `${most}`], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  running.stdout?.on("data", (text: Buffer) => {
    said += text.toString();
  });
  const lines = () => said.split("\n").slice(0, -1);
  const end = () => running.kill("SIGKILL");
  try {
    const first = await pollUntil("the responder to answer no more", 25_000, async () => lines()[0]);
    return { ...(JSON.parse(first) as { begun: number; cookies: number }), more: () => lines().length - 1, end };
  } catch (error) {
    end();
    throw error;
  }
}
