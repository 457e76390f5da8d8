import { equal } from "node:assert/strict";
import type { Section } from "../lib/swanctl-format.ts";
import { type Context, type Ends, type Established, expectNewChild, expectUp, linkId, type LinkInput, type Scenario, withoutLoss } from "./scenario.ts";

/** A scenario that runs only where both ends' kernels protect packets (kernel-plane.ts): up, rekeyed by us, by the peer, and the IKE SA. */
export function betweenKernels(
  name: string,
  description: string,
  config: { readonly us: Partial<LinkInput>; readonly peer: Section },
  check: (context: Context, established: Established) => Promise<void>,
  endsOf: (context: Context) => Ends = ({ net }) => ({ net }),
): Scenario {
  return {
    name,
    description: `${description}, rekeyed from both ends: 0 lost`,
    onlyKernelPlane: true,
    async run(context) {
      const peer = await context.startPeer({ child: config.peer });
      const us = await context.startUs(config.us);
      const ends = endsOf(context);
      const first = await expectUp(ends, us, peer);
      const { plane, planeReason } = await us.status();
      equal(plane, "kernel");
      context.note(planeReason);
      await check(context, first);
      await withoutLoss(
        {
          net: { ...context.net, left: { ...context.net.left, ...pick(ends.net.left) }, right: { ...context.net.right, ...pick(ends.net.right) } },
          note: (text) => context.note(text),
        },
        async () => {
          await us.rekey(linkId, "child");
          const second = await expectNewChild(us, first.child.inboundSpi);
          await peer.rekey({ child: "net" });
          await expectNewChild(us, second.inboundSpi);
          await us.rekey(linkId, "ike");
        },
      );
      await check(context, await expectUp(ends, us, peer));
    },
  };
}

function pick({ insideAddress }: Ends["net"]["left"]) {
  return { insideAddress };
}

/** What `ip xfrm state` says of our inbound SA. */
export async function inboundState({ net }: Context, { child }: Established): Promise<string> {
  const states = (await net.left.run(["ip", "-s", "xfrm", "state", "list", "nokeys"])).split(/^(?=src )/m);
  return states.find((state) => state.includes(`spi 0x${child.inboundSpi}`)) ?? states.join("\n");
}
