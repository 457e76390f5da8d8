import { deepEqual, equal, ok } from "node:assert/strict";
import type { Agent } from "../../lib/agent.ts";
import { countedFlow } from "../counted-rekeys.ts";
import { expectTraffic, linkId, type Context, type Scenario } from "../scenario.ts";

const WORKERS = 2;
/** It takes one chance of 30,000 for all of them to fall to one of two workers. */
const MOST_FLOWS = 16;

/** Waits until this end has one Child SA that every worker may send on and one of each worker, and returns them in that order. */
export function expectOneEach(us: Agent) {
  return us.waitForLink(linkId, `a Child SA for all workers and one for each of ${WORKERS}`, ({ ikeSas }) => {
    const children = ikeSas.flatMap((ike) => ike.childSas).filter(({ state }) => state === "established");
    const byWorker = Array.from({ length: WORKERS + 1 }, (_, worker) => children.find((child) => child.worker === worker));
    const each = byWorker.filter((child) => child !== undefined);
    return each.length === WORKERS + 1 && children.length === each.length ? each : undefined;
  });
}

/** Whether packets have come in and gone out on the SAs of all workers of each end. */
async function areAllUsed(...ends: readonly Agent[]): Promise<boolean> {
  const children = await Promise.all(ends.map(expectOneEach));
  return children.every(([, ...own]) => own.every(({ packetsIn, packetsOut }) => packetsIn > 0 && packetsOut > 0));
}

async function startWithWorkers(context: Context): Promise<[Agent, Agent]> {
  const [ours, theirs] = [context.configuration(), context.configurationAtRight()];
  const withWorkers = (config: typeof ours) => ({ ...config, gateway: { ...config.gateway, outboundWorkers: WORKERS, inboundWorkers: WORKERS } });
  const right = await context.startUsAtRightWith(withWorkers(theirs));
  return [await context.startUsWith(withWorkers(ours)), right];
}

export const scenario: Scenario = {
  name: "per-resource-sas",
  description:
    "Our gateway at both ends with two workers of each direction: a Child SA for every worker and one for each (RFC 9611), all of them rekeyed from either end under traffic with 0 lost, packets in and out on those of both workers",
  async run(context) {
    const [left, right] = await startWithWorkers(context);
    const before = await expectOneEach(left);
    await expectOneEach(right);
    await expectTraffic(context);
    let spis = before.map((child) => child.inboundSpi);
    await countedFlow(context, async () => {
      for (const end of [left, right]) {
        await end.rekey(linkId, "child");
        const old = spis;
        await left.waitForLink(linkId, "new Child SAs alone", ({ ikeSas }) =>
          ikeSas.flatMap((ike) => ike.childSas).every((child) => child.state !== "established" || !old.includes(child.inboundSpi)) ? true : undefined,
        );
        spis = (await expectOneEach(left)).map((child) => child.inboundSpi);
        await expectOneEach(right);
      }
      await left.waitForLink(linkId, "packets after the last rekey", ({ ikeSas }) =>
        ikeSas.some(({ childSas }) => childSas.some(({ inboundSpi, packetsOut }) => spis.includes(inboundSpi) && packetsOut > 0)) ? true : undefined,
      );
    });
    const [ours, theirs] = [await expectOneEach(left), await expectOneEach(right)];
    deepEqual(ours.map((child) => child.inboundSpi).toSorted(), theirs.map((child) => child.outboundSpi).toSorted());
    const [forAll, ...ofWorkers] = ours;
    ok(ofWorkers.some((child) => child.packetsOut > 0) && forAll?.packetsOut === 0, "what was sent after the last rekey went on the SA of a worker");
    // Of the two SAs that the peer's workers send on, each inbound worker has one: the remainder of the SPI says which.
    for (const [, ...own] of [ours, theirs]) equal(new Set(own.map(({ inboundSpi }) => Number.parseInt(inboundSpi, 16) % WORKERS)).size, WORKERS);
    for (let flow = 0; flow < MOST_FLOWS && !(await areAllUsed(left, right)); flow++) await countedFlow(context, async () => undefined);
    ok(await areAllUsed(left, right), `${MOST_FLOWS} flows went on the SA of one worker`);
  },
};
