import { deepEqual, equal, ok } from "node:assert/strict";
import { runCommand } from "../../lib/run-command.ts";
import { type Context, expectTraffic, expectUp, gatewayBundle, type Scenario } from "../scenario.ts";

const limitSeconds = 10;

export const scenario: Scenario = {
  name: "crash-both-kernels",
  description: "Our gateway is killed: its kernel's SAs carry on; started again it removes them, and is up within 10 s of having been read",
  onlyKernelPlane: true,
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs();
    const before = await expectUp(context, us, peer);
    await us.kill();
    await expectTraffic(context);
    deepEqual(await spisOf(context), [before.child.inboundSpi, before.child.outboundSpi].toSorted());
    // A kernel that runs as a program takes seconds to start Node: what the program alone takes there is not the gateway's.
    const reading = await secondsOf(() => runCommand([process.execPath, gatewayBundle, "--help"]));
    let after = before;
    const seconds = await secondsOf(async () => {
      after = await expectUp(context, await context.startUs(), peer);
    });
    context.note(`up again after ${seconds.toFixed(1)} s, of which ${reading.toFixed(1)} s to read the program`);
    ok(seconds - reading < limitSeconds);
    equal((await peer.listSas()).length, 1, "the peer still holds the SA of before the crash");
    deepEqual(await spisOf(context), [after.child.inboundSpi, after.child.outboundSpi].toSorted());
  },
};

/** Of our kernel's SAs. */
async function spisOf({ net }: Context): Promise<string[]> {
  const states = await net.left.run(["ip", "xfrm", "state", "list", "nokeys"]);
  return [...states.matchAll(/ spi 0x([0-9a-f]{8}) /g)].map(([, spi = ""]) => spi).toSorted();
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1_000;
}
