import { equal, match } from "node:assert/strict";
import { makeAuthority } from "../../lib/pki.ts";
import { expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "pki-certificate-asked-for",
  description: "We hold two certificates of two authorities and the peer's CERTREQ names that of the one not in use: it is shown, whoever initiates",
  async run(context) {
    const [rsa, ecdsa] = await Promise.all([makeAuthority("rsa-2048", "First authority"), makeAuthority("ecdsa-p256", "Second authority")]);
    const [first, second, right] = await Promise.all([rsa.issue("left.example"), ecdsa.issue("left.example"), rsa.issue("right.example")]);
    const peer = await context.startPeer({
      connection: {
        local: { auth: "pubkey", id: "right.example", certs: "own0.pem" },
        remote: { auth: "pubkey", id: "left.example" },
      },
      certificates: [right],
      authorities: [rsa.certificatePem],
    });
    const us = await context.startUs({
      initiate: "respond",
      authentication: {
        method: "certificate",
        certificates: [
          { id: "second", chain: second.certificatePem + ecdsa.certificatePem, privateKey: second.privateKeyPem },
          { id: "first", chain: first.certificatePem, privateKey: first.privateKeyPem },
        ],
        use: "second",
        trustedAuthorities: [rsa.certificatePem],
      },
    });
    await peer.initiate("net");
    const before = await expectUp(context, us, peer);
    equal(before.ike.credentialId, "first");
    match(peer.log(), /authentication of 'left\.example' with RSA.* successful/);
    await us.command({ name: "reauthenticate", linkId });
    await us.waitForLink(linkId, "to hold only another IKE SA", ({ ikeSas }) =>
      ikeSas.length === 1 && ikeSas[0]?.spiI !== before.ike.spiI ? true : undefined,
    );
    const after = await expectUp(context, us, peer);
    equal(after.ike.role, "initiator");
    equal(after.ike.credentialId, "first");
    const told = (await us.trace(linkId)).filter(({ summary }) => summary.includes('of another authority than that of "second": "first" is shown.'));
    equal(told.length, 2);
  },
};
