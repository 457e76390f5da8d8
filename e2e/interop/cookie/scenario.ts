import { deepEqual, match } from "node:assert/strict";
import { pollUntil } from "../../lib/poll.ts";
import { expectTraffic, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "cookie",
  description: "The peer demands a cookie (RFC 7296 §2.6): we send it back and the link comes up",
  async run(context) {
    const peer = await context.startPeer({ daemon: { dos_protection: true, cookie_threshold: 1 } });
    // charon asks for cookies once one IKE SA is half open: that of a gateway which its answers did not reach and which died then.
    const { right } = context.net;
    await right.run(["ip", "route", "add", "blackhole", "192.0.2.1/32"]);
    const doomed = await context.startUs();
    await pollUntil(
      "a half-open IKE SA at the peer",
      5_000,
      async () => (/generating IKE_SA_INIT response/.test(peer.log()) ? true : undefined),
      () => peer.log(),
    );
    await doomed.kill();
    await right.run(["ip", "route", "delete", "blackhole", "192.0.2.1/32"]);
    const us = await context.startUs();
    await pollUntil("the link to be up", 10_000, async () => ((await us.link("link")).state === "up" ? true : undefined));
    match(peer.log(), /IKE_SA_INIT response 0 \[ N\(COOKIE\) \]/);
    match(peer.log(), /IKE_SA_INIT request 0 \[ N\(COOKIE\)/);
    const told = (await us.trace("link")).filter(({ detail }) => detail["finding"] === "COOKIE").map(({ summary }) => summary);
    deepEqual(told, ["198.51.100.1 is busy and asks for a cookie; the request is sent again with it."]);
    await expectTraffic(context);
  },
};
