import { match } from "node:assert/strict";
import { expectUp, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "cookie",
  description: "The peer demands a cookie (RFC 7296 §2.6): we send it back and the link comes up",
  async run(context) {
    const peer = await context.startPeer({ daemon: { dos_protection: true, cookie_threshold: 0 } });
    const us = await context.startUs();
    await expectUp(context, us, peer);
    match(peer.log(), /N\(COOKIE\)/);
  },
};
