import { join } from "node:path";
import type { Agent } from "../lib/agent.ts";
import type { Charon } from "../lib/charon.ts";
import type { KeyPair } from "../lib/pki.ts";
import { RevokingAuthority } from "../lib/revoking-authority.ts";
import type { Context, Scenario } from "./scenario.ts";

export interface Certificates {
  readonly left: KeyPair;
  readonly right: KeyPair;
  /** Beside its own certificate the peer sends these, PEM. */
  readonly rightChain?: readonly KeyPair[];
}

/** A scenario about what stands in the ends' certificates: `issue` makes them, both trust the authority, and unless told otherwise we wait for the peer. */
export function peerCertificateScenario(options: {
  readonly name: string;
  readonly description: string;
  readonly authorityDays?: number;
  readonly initiate?: "start" | "respond";
  readonly issue: (authority: RevokingAuthority) => Promise<Certificates>;
  readonly check: (place: { readonly context: Context; readonly peer: Charon; readonly us: Agent }) => Promise<void>;
}): Scenario {
  return {
    name: options.name,
    description: options.description,
    async run(context) {
      const authority = await RevokingAuthority.make(join(context.directory, "authority"), "192.0.2.254", options.authorityDays);
      const { left, right, rightChain = [] } = await options.issue(authority);
      const peer = await context.startPeer({
        connection: {
          local: { auth: "pubkey", id: "right.example", certs: "own0.pem" },
          remote: { auth: "pubkey", id: "left.example" },
        },
        certificates: [right, ...rightChain],
        authorities: [authority.certificatePem],
      });
      const us = await context.startUs({
        initiate: options.initiate ?? "respond",
        authentication: {
          method: "certificate",
          certificates: [{ id: "own", chain: left.certificatePem, privateKey: left.privateKeyPem }],
          use: "own",
          trustedAuthorities: [authority.certificatePem],
        },
      });
      await options.check({ context, peer, us });
    },
  };
}
