import { equal, ok } from "node:assert/strict";
import { expectNewChild, expectTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

/** The remainder of the SPI says which it is. */
function inboundWorker({ inboundSpi }: { readonly inboundSpi: string }): number {
  return Number.parseInt(inboundSpi, 16) % 2;
}

export const scenario: Scenario = {
  name: "per-resource-foreign",
  description:
    "Our gateway with two workers of each direction, the peer knows of no Child SAs of workers (RFC 9611): the outbound ones share the one there is, an inbound one has it, also when it is rekeyed from either end",
  async run(context) {
    const peer = await context.startPeer();
    const config = context.configuration();
    const us = await context.startUsWith({ ...config, gateway: { ...config.gateway, outboundWorkers: 2, inboundWorkers: 2 } });
    const { child } = await expectUp(context, us, peer);
    const announced = (await us.trace(linkId)).find(({ direction, exchange }) => direction === "sent" && exchange === "IKE_AUTH");
    ok(announced?.summary.includes("N(SA_RESOURCE_INFO)") === true, announced?.summary ?? "nothing was sent");
    equal(child.worker, undefined);
    await us.rekey(linkId, "child");
    const next = await expectNewChild(us, child.inboundSpi);
    await peer.rekey({ child: "net" });
    await expectNewChild(us, next.inboundSpi);
    await expectTraffic(context);
    const { child: last } = await expectUp(context, us, peer);
    equal(inboundWorker(last), inboundWorker(child));
    const { ike } = await expectUp(context, us, peer);
    equal(ike.childSas.filter(({ state }) => state === "established").length, 1);
    equal((await us.link(linkId)).lastFailure, null);
  },
};
