import { equal, match } from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeAuthority } from "../../lib/pki.ts";
import { runCommand } from "../../lib/run-command.ts";
import { expectUp, type Scenario } from "../scenario.ts";

const password = "correct horse";

/** The peer knows the root alone, so it can only take us when the intermediate comes with our certificate (RFC 7296 §3.6). */
export const scenario: Scenario = {
  name: "pkcs12-initiate",
  description: "our certificate, its intermediate and its key come from a PKCS #12 file of OpenSSL; the peer knows the root alone",
  async run(context) {
    const root = await makeAuthority("ecdsa-p256");
    const intermediate = await root.authorize("Culvert test intermediate");
    const [left, right] = await Promise.all([intermediate.issue("left.example"), root.issue("right.example")]);
    const file = (name: string, content = "") => {
      const path = join(context.directory, name);
      writeFileSync(path, content, { mode: 0o600 });
      return path;
    };
    const container = file("left.p12");
    const parts = ["-in", file("left.pem", left.certificatePem), "-inkey", file("left.key", left.privateKeyPem)];
    const chain = ["-certfile", file("chain.pem", intermediate.certificatePem + root.certificatePem)];
    await runCommand(["openssl", "pkcs12", "-export", ...parts, ...chain, "-passout", `file:${file("password", password)}`, "-out", container]);

    const peer = await context.startPeer({
      connection: { local: { auth: "pubkey", id: "right.example", certs: "own0.pem" }, remote: { auth: "pubkey", id: "left.example" } },
      certificates: [right],
      authorities: [root.certificatePem],
    });
    const us = await context.startUs({
      authentication: {
        method: "certificate",
        certificates: [{ id: "own", pkcs12: { file: container }, password: { file: "../password" } }],
        use: "own",
        trustedAuthorities: [root.certificatePem],
      },
    });
    const { ike } = await expectUp(context, us, peer);
    equal(ike.credentialId, "own");
    match(peer.log(), /received issuer cert "CN=Culvert test intermediate"/);
    match(peer.log(), /authentication of 'left\.example' with ECDSA.* successful/);
  },
};
