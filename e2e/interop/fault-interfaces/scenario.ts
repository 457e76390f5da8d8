import { deepEqual, equal, ok } from "node:assert/strict";
import { pollUntil } from "../../lib/poll.ts";
import { ping } from "../../lib/traffic.ts";
import { outageOf } from "../plane-fault.ts";
import { expectTraffic, expectUp, type Context, type Scenario } from "../scenario.ts";

/** Each is done to our site, and undone; an address on an interface that is down is still its own, so echoes go on then. Its outside interface has a default route, which whoever takes that up again has to set. */
const faults: readonly { readonly what: string; readonly stops: boolean; readonly make: readonly string[]; readonly undo: readonly string[] }[] = [
  {
    what: "the outside interface down and up",
    stops: true,
    make: ["link set out0 down"],
    undo: ["link set out0 up", "neigh replace 192.0.2.254 lladdr 02:00:00:00:01:fe dev out0 nud permanent", "route add default via 192.0.2.254"],
  },
  {
    what: "the outside address gone and back",
    stops: true,
    make: ["address del 192.0.2.1/24 dev out0"],
    undo: ["address add 192.0.2.1/24 dev out0", "route replace default via 192.0.2.254"],
  },
  { what: "the inside interface down and up", stops: false, make: ["link set in0 down"], undo: ["link set in0 up"] },
  { what: "the inside address gone and back", stops: true, make: ["address del 10.1.0.1/24 dev in0"], undo: ["address add 10.1.0.1/24 dev in0"] },
  { what: "the tunnel's device down and up", stops: true, make: ["link set culvert0 down"], undo: ["link set culvert0 up"] },
];

export const scenario: Scenario = {
  name: "fault-interfaces",
  description:
    "Interfaces go down and up and addresses vanish and come back, inside and outside: routes are set again, within 3 s traffic goes on under the same SAs",
  async run(context) {
    const peer = await context.startPeer();
    const us = await context.startUs();
    const first = await expectUp(context, us, peer);
    const routes = await ourRoutes(context);
    for (const { what, stops, make, undo } of faults) {
      context.note(what);
      let undone = 0;
      const { began, outageMs } = await outageOf(
        context,
        async () => {
          await batch(context, make);
          await (stops ? expectSilence(context) : expectTraffic(context));
          await batch(context, undo);
          undone = performance.now();
        },
        () =>
          pollUntil(
            `our routes after ${what}`,
            5_000,
            async () => ((await ourRoutes(context)) === routes ? true : undefined),
            () => ourRoutes(context),
          ),
      );
      const backMs = began + outageMs - undone;
      ok(backMs < 3_000, `${what}: back ${backMs} ms after it was undone`);
      const now = await expectUp(context, us, peer);
      deepEqual([now.ike.spiI, now.child.inboundSpi, now.child.outboundSpi], [first.ike.spiI, first.child.inboundSpi, first.child.outboundSpi], what);
      equal((await us.status()).links[0]?.state, "up");
    }
  },
};

/** From the peer: this end's own ping says nothing without its address. */
async function expectSilence({ net }: Context): Promise<void> {
  equal((await ping(net.right, net.left, { count: 3, waitSeconds: 0.3 })).received, 0);
}

async function batch({ net }: Context, commands: readonly string[]): Promise<void> {
  await net.left.run(["ip", "-batch", "-"], { input: `${commands.join("\n")}\n` });
}

function ourRoutes({ net }: Context): Promise<string> {
  return net.left.run(["ip", "route", "show", "proto", "213"]);
}
