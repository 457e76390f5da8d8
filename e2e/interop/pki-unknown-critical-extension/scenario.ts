import { join } from "node:path";
import { RevokingAuthority } from "../../lib/revoking-authority.ts";
import { expectFailure, expectNoTraffic, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "pki-unknown-critical-extension",
  // charon does not load such a certificate, so ours plays the peer.
  description: "The peer's certificate has a critical extension that nobody here understands: refused, and our sentence names it (our gateway at both ends)",
  async run(context) {
    const authority = await RevokingAuthority.make(join(context.directory, "authority"), "192.0.2.254");
    const authenticate = async (name: string, extensions: readonly string[]) => {
      const { certificatePem, privateKeyPem } = await authority.issue(name, extensions);
      const certificates = [{ id: "own", chain: certificatePem, privateKey: privateKeyPem }];
      return { authentication: { method: "certificate" as const, certificates, use: "own", trustedAuthorities: [authority.certificatePem] } };
    };
    await context.startUsAtRight(await authenticate("right.example", ["1.3.6.1.4.1.99999.7 = critical, DER:0500"]));
    const us = await context.startUs(await authenticate("left.example", []));
    context.note(await expectFailure(us, "AUTHENTICATION_FAILED", /critical extension that is not understood here \(1\.3\.6\.1\.4\.1\.99999\.7\)/));
    await expectNoTraffic(context);
  },
};
