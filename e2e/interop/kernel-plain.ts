import { equal, match } from "node:assert/strict";
import { addOutsideIpv6ToKernelHost, outsideIpv6 } from "../lib/addresses.ts";
import type { KernelHost } from "../lib/kernel-host.ts";
import { startPing } from "../lib/traffic.ts";
import { expectNewChild, expectUp, linkId, type Established, type LinkInput, type Scenario } from "./scenario.ts";

export interface KernelPlain {
  readonly name: string;
  /** Of what it is, for the matrix. */
  readonly what: string;
  readonly protocol: "esp" | "ah";
  /** Keywords, the same at both ends. */
  readonly proposal: string;
  readonly initiator: "us" | "peer";
  readonly outside?: 6;
}

/**
 * A scenario with ESP or AH as IP protocols of their own, without UDP, between our userspace plane and a Linux kernel, rekeyed from both ends under
 * traffic, with packets that are fragmented outside.
 */
export function kernelPlain({ name, what, protocol, proposal, initiator, outside }: KernelPlain): Scenario {
  return {
    name,
    description: `${what} without UDP against a Linux kernel${outside === 6 ? " over IPv6" : ""}, ${initiator === "us" ? "we initiate" : "the peer initiates"}, fragments outside, rekeyed from both ends: 0 lost`,
    needsKernelPeer: true,
    async run(context) {
      const addresses = outside === 6 ? outsideIpv6 : { left: "192.0.2.1", right: "198.51.100.1" };
      const net = { local_ts: "10.2.0.0/24", remote_ts: "10.1.0.0/24", [`${protocol}_proposals`]: proposal };
      const connection = { local_addrs: addresses.right, remote_addrs: addresses.left };
      const prepare = outside === 6 ? (host: KernelHost) => addOutsideIpv6ToKernelHost(context.net, host) : undefined;
      const { charon: peer, host } = await context.startKernelPeer({ connection, children: { net } }, prepare);
      const wish: Partial<LinkInput> = protocol === "ah" ? { ah: { proposals: [proposal] } } : { esp: { proposals: [proposal] }, encapsulation: "plain" };
      const us = await context.startUs({
        initiate: initiator === "us" ? "start" : "respond",
        local: { address: addresses.left, identity: "left.example" },
        remote: { address: addresses.right, identity: "right.example" },
        ...wish,
      });
      if (initiator === "peer") await peer.initiate("net");
      const ends = { net: { left: context.net.left, right: host } };
      const first = await expectUp(ends, us, peer);
      await expectPlain(host, first, protocol);
      await context.net.left.run(["ping", "-M", "dont", "-c", "3", "-i", "0.2", "-W", "5", "-s", "4000", host.insideAddress]);
      const pinging = await startPing(context.net.left, host);
      await us.rekey(linkId, "child");
      await expectNewChild(us, first.child.inboundSpi);
      const second = await expectUp(ends, us, peer);
      await peer.rekey({ child: "net" });
      await expectNewChild(us, second.child.inboundSpi);
      await expectUp(ends, us, peer);
      await us.rekey(linkId, "ike");
      await expectPlain(host, await expectUp(ends, us, peer), protocol);
      const { sent, lost } = await pinging.stop();
      context.note(`${sent} echoes, ${lost} lost`);
      equal(lost, 0);
    },
  };
}

/** Both SAs are in the kernel under this protocol and not encapsulated, and our side says the same. */
async function expectPlain(host: KernelHost, { child, ike }: Established, protocol: "esp" | "ah"): Promise<void> {
  equal(child.protocol, protocol);
  equal(child.encapsulation, "none");
  equal(child.mode, "tunnel");
  equal(ike.nat, "none");
  const states = (await host.run(["ip", "-s", "xfrm", "state", "list", "nokeys"])).split(/^(?=src )/m);
  for (const spi of [child.inboundSpi, child.outboundSpi]) {
    const state = states.find((one) => one.includes(`spi 0x${spi}`)) ?? `no state with SPI ${spi} among\n${states.join("\n")}`;
    match(state, new RegExp(`proto ${protocol} spi .*mode tunnel`, "s"));
    equal(/encap type/.test(state), false);
  }
}
