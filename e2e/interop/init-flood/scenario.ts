import { equal, ok } from "node:assert/strict";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expectTraffic, expectUp, withoutLoss, type Scenario } from "../scenario.ts";

const sender = fileURLToPath(new URL("../../../bench/flood-sender.ts", import.meta.url));
const [aSecond, mostSeconds, handshakes] = [10_000, 40, 5];

export const scenario: Scenario = {
  name: "init-flood",
  description: "10,000 IKE_SA_INIT a second from spoofed addresses: the tunnel loses nothing, and the peer gets through with a cookie again and again",
  async run(context) {
    const peer = await context.startPeer();
    // From any address: a link that knows its peer's lets no stranger get as far as a cookie.
    const us = await context.startUs({ initiate: "respond", remote: { identity: "right.example" } });
    await peer.initiate("net");
    await expectUp(context, us, peer);
    const { middle, left } = context.net;
    const flood = middle.start([process.execPath, sender, left.outsideAddress, `${aSecond}`, `${mostSeconds}`], { stdio: ["ignore", "pipe", "ignore"] });
    let said = "";
    flood.stdout?.on("data", (text: Buffer) => {
      said += text.toString();
    });
    const ended = once(flood, "close");
    try {
      await withoutLoss(context, () => new Promise((resolve) => setTimeout(resolve, 1_500)), 200);
      for (let i = 0; i < handshakes; i++) {
        await peer.terminate({ ike: "site" });
        await peer.initiate("net");
      }
      equal(flood.exitCode, null, "the flood ended before the handshakes were over");
      const asked = peer.log().match(/parsed IKE_SA_INIT response 0 \[ N\(COOKIE\) \]/g)?.length ?? 0;
      ok(asked >= handshakes, `a cookie was asked for ${asked} times in ${handshakes} handshakes`);
    } finally {
      flood.kill("SIGTERM");
      await ended;
    }
    const { sent, aSecond: rate } = JSON.parse(said) as { sent: number; aSecond: number };
    ok(rate > aSecond / 2, `only ${rate} requests a second were sent`);
    context.note(`${sent} requests`);
    await expectUp(context, us, peer);
    await expectTraffic(context);
  },
};
