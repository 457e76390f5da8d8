import { equal, match } from "node:assert/strict";
import { makeAuthority } from "../../lib/pki.ts";
import { expectUp, linkId, type LinkInput, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "pki-two-certificates",
  description: "Both ends hold two certificates of two authorities: ours shows the one in use, the peer the one that our CERTREQ asks for; then the other pair",
  async run(context) {
    const [rsa, ecdsa] = await Promise.all([makeAuthority("rsa-2048", "First authority"), makeAuthority("ecdsa-p256", "Second authority")]);
    const [first, second] = await Promise.all([rsa.issue("left.example"), ecdsa.issue("left.example")]);
    const peer = await context.startPeer({
      connection: {
        local: { auth: "pubkey", id: "right.example", certs: "own0.pem, own1.pem" },
        remote: { auth: "pubkey", id: "left.example" },
      },
      certificates: await Promise.all([rsa.issue("right.example"), ecdsa.issue("right.example")]),
      authorities: [rsa.certificatePem, ecdsa.certificatePem],
    });
    const authentication = (use: "first" | "second"): LinkInput["authentication"] => ({
      method: "certificate",
      certificates: [
        { id: "first", chain: first.certificatePem, privateKey: first.privateKeyPem },
        { id: "second", chain: second.certificatePem, privateKey: second.privateKeyPem },
      ],
      use,
      trustedAuthorities: [use === "first" ? rsa.certificatePem : ecdsa.certificatePem],
    });

    // The second at first: an end that took the head of its list would be refused.
    const us = await context.startUs({ initiate: "respond", authentication: authentication("second") });
    await peer.initiate("net");
    equal((await expectUp(context, us, peer)).ike.credentialId, "second");
    match(peer.log(), /authentication of 'right\.example' \(myself\) with ECDSA/);

    await us.configure({ ...context.configuration({ authentication: authentication("first") }), revision: 2 });
    await us.command({ name: "reauthenticate", linkId });
    await us.waitForLink(linkId, "to hold only an IKE SA of the first certificate", ({ ikeSas }) =>
      ikeSas.length === 1 && ikeSas[0]?.credentialId === "first" ? true : undefined,
    );
    equal((await expectUp(context, us, peer)).ike.role, "initiator");
    match(peer.log(), /authentication of 'right\.example' \(myself\) with RSA/);
  },
};
