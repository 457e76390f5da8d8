import { deepEqual, equal, match } from "node:assert/strict";
import type { KernelHost } from "../lib/kernel-host.ts";
import { startPing } from "../lib/traffic.ts";
import { expectNewChild, expectUp, linkId, type Scenario } from "./scenario.ts";

/**
 * A scenario with extended sequence numbers (RFC 4303 §2.2.1), which both ends insist on, against the ESP of a Linux kernel. UDP encapsulation is
 * forced, since our gateway has no other.
 */
export function kernelEsn(name: string, what: string, esp: string, initiator: "us" | "peer"): Scenario {
  return {
    name,
    description: `${what} with extended sequence numbers against a Linux kernel, ${initiator === "us" ? "we initiate" : "the peer initiates"}, rekeyed from both ends: 0 lost`,
    needsKernelPeer: true,
    async run(context) {
      const { charon: peer, host } = await context.startKernelPeer({ connection: { encap: true }, child: { esp_proposals: esp } });
      const us = await context.startUs({ initiate: initiator === "us" ? "start" : "respond", esp: { proposals: [esp] } });
      if (initiator === "peer") await peer.initiate("net");
      const ends = { net: { left: context.net.left, right: host } };
      const first = await expectUp(ends, us, peer);
      match(first.child.suite, /-esn$/);
      equal(first.child.encapsulation, "udp");
      await expectKernelEsn(host, [first.child.inboundSpi, first.child.outboundSpi]);
      const pinging = await startPing(context.net.left, host);
      await us.rekey(linkId, "child");
      await expectNewChild(us, first.child.inboundSpi);
      const second = await expectUp(ends, us, peer);
      await peer.rekey({ child: "net" });
      await expectNewChild(us, second.child.inboundSpi);
      const third = await expectUp(ends, us, peer);
      await us.rekey(linkId, "ike");
      await expectUp(ends, us, peer);
      await expectKernelEsn(host, [third.child.inboundSpi, third.child.outboundSpi]);
      const { sent, lost } = await pinging.stop();
      context.note(`${sent} echoes, ${lost} lost`);
      equal(lost, 0);
    },
  };
}

/** Both SAs are in the kernel with ESN and encapsulated, and the one it receives on has a window. */
async function expectKernelEsn(host: KernelHost, spis: readonly string[]): Promise<void> {
  const states = (await host.run(["ip", "-s", "xfrm", "state", "list", "nokeys"])).split(/^(?=src )/m);
  const ours = spis.map((spi) => states.find((state) => state.includes(`spi 0x${spi}`)) ?? `no state with SPI ${spi} among\n${states.join("\n")}`);
  for (const state of ours) {
    match(state, /flag .*esn/);
    match(state, /encap type espinudp/);
  }
  // The kernel keeps a window of 1 on the SA that it sends on, first of the two.
  deepEqual(
    ours.map((state) => /replay_window (\d+)/.exec(state)?.[1] ?? state),
    ["1", "32"],
  );
}
