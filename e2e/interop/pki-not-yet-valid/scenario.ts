import { equal, match } from "node:assert/strict";
import { peerCertificateScenario } from "../peer-certificate.ts";
import { expectFailure, expectNoTraffic } from "../scenario.ts";

const days = (count: number) => `${new Date(Date.now() + count * 86_400_000).toISOString().slice(0, 10).replaceAll("-", "")}000000Z`;

export const scenario = peerCertificateScenario({
  name: "pki-not-yet-valid",
  description: "The peer's certificate is valid from next week on by our clock: refused, and our sentence asks whether a clock is wrong",
  authorityDays: 30,
  issue: async (authority) => ({
    left: await authority.issue("left.example"),
    right: await authority.issue("right.example", [], { dates: ["-startdate", days(7), "-enddate", days(14)] }),
  }),
  async check({ context, peer, us }) {
    equal((await peer.tryInitiate("net")).ok, false);
    const sentence = await expectFailure(us, "AUTHENTICATION_FAILED", /valid/);
    match(
      sentence,
      /^right\.example is refused: the certificate of CN=right\.example is not valid before \d{4}-\d\d-\d\d \(it is \d{4}-\d\d-\d\d here: is a clock wrong\?\)\.$/,
    );
    context.note(sentence);
    await expectNoTraffic(context);
  },
});
