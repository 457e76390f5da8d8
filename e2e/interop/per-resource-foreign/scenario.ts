import { equal, ok } from "node:assert/strict";
import { expectNewChild, expectTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "per-resource-foreign",
  description:
    "Our gateway with two outbound workers, the peer knows of no Child SAs of workers (RFC 9611): both share the one there is, rekeyed from either end",
  async run(context) {
    const peer = await context.startPeer();
    const config = context.configuration();
    const us = await context.startUsWith({ ...config, gateway: { ...config.gateway, outboundWorkers: 2 } });
    const { child } = await expectUp(context, us, peer);
    const announced = (await us.trace(linkId)).find(({ direction, exchange }) => direction === "sent" && exchange === "IKE_AUTH");
    ok(announced?.summary.includes("N(SA_RESOURCE_INFO)") === true, announced?.summary ?? "nothing was sent");
    equal(child.worker, undefined);
    await us.rekey(linkId, "child");
    const next = await expectNewChild(us, child.inboundSpi);
    await peer.rekey({ child: "net" });
    await expectNewChild(us, next.inboundSpi);
    await expectTraffic(context);
    const { ike } = await expectUp(context, us, peer);
    equal(ike.childSas.filter(({ state }) => state === "established").length, 1);
    equal((await us.link(linkId)).lastFailure, null);
  },
};
