import { match, ok } from "node:assert/strict";
import { pollUntil } from "../../lib/poll.ts";
import type { Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "unreachable-told",
  description: "No peer answers: the inside is told, once the negotiation has had its time; a network that no link is for is refused at once",
  async run(context) {
    const { left, right } = context.net;
    await context.startUs({ initiate: "onDemand" });
    const echo = async (target: string) => (await left.try(["ping", "-n", "-c", "1", "-W", "0.5", "-I", left.insideAddress, target])).stdout;
    const first = await echo(right.insideAddress);
    ok(!first.includes("Unreachable"), first);
    await pollUntil("the inside to be told", 10_000, async () =>
      (await echo(right.insideAddress)).includes("Destination Host Unreachable") ? true : undefined,
    );
    await left.run(["ip", "route", "add", "10.3.0.0/24", "dev", "culvert0"]);
    match(await echo("10.3.0.1"), /Packet filtered/);
  },
};
