import { expectUp } from "../scenario.ts";
import { peerCertificateScenario } from "../peer-certificate.ts";

const dates = ["-enddate", "20550101000000Z"];

export const scenario = peerCertificateScenario({
  name: "pki-valid-after-2038",
  description: "The certificates are valid until 2055, beyond 32-bit seconds and two-digit years: up, and traffic passes",
  authorityDays: 12_000,
  issue: async (authority) => ({
    left: await authority.issue("left.example", [], { dates }),
    right: await authority.issue("right.example", [], { dates }),
  }),
  async check({ context, peer, us }) {
    await peer.initiate("net");
    await expectUp(context, us, peer);
  },
});
