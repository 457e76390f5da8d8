import { equal } from "node:assert/strict";
import { expectFailure, expectNoTraffic, expectUp, linkId } from "../scenario.ts";
import { peerCertificateScenario } from "../peer-certificate.ts";

const lifeSeconds = 8;
let end = "";

export const scenario = peerCertificateScenario({
  name: "pki-expires-while-up",
  description: "The peer's certificate ends while the link is up: its SAs go at that second, our sentence says so, and it is not let in again",
  issue: async (authority) => {
    const at = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + lifeSeconds * 1_000).toISOString();
    end = `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`;
    const dates = ["-enddate", `${at.replaceAll(/[-:T]/g, "").slice(0, 14)}Z`];
    return { left: await authority.issue("left.example"), right: await authority.issue("right.example", [], { dates }) };
  },
  async check({ context, peer, us }) {
    await peer.initiate("net");
    await expectUp(context, us, peer);
    await us.rekey(linkId, "ike");
    await expectUp(context, us, peer);
    await us.waitForLink(linkId, "to have ended with the certificate", ({ ikeSas }) => (ikeSas.length === 0 ? true : undefined), (lifeSeconds + 5) * 1_000);
    const sentence = await expectFailure(us, "AUTHENTICATION_FAILED", /expired/);
    equal(sentence, `right.example is refused: the certificate of CN=right.example expired on ${end} (it is ${end} here).`);
    equal((await peer.listSas()).length, 0);
    await expectNoTraffic(context);
    equal((await peer.tryInitiate("net")).ok, false);
    await expectNoTraffic(context);
  },
});
