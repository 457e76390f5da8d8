import { readCertificate } from "../../crypto/certificate.ts";
import { readRevocationList } from "../../crypto/crl.ts";
import { CryptoError } from "../../crypto/crypto-error.ts";
import { dnEqual, formatDn, parseDn } from "../../crypto/dn.ts";
import { readStatusAnswer, statusRequest } from "../../crypto/ocsp.ts";
import { addFragment, checkFragment, newReassembly } from "../../ike/fragmentation.ts";
import { parseProposal } from "../../ike/negotiation/proposal-keywords.ts";
import { formatSelector, parseSelector } from "../../ipsec/traffic-selector.ts";
import { formatAddress, parseAddress } from "../../wire/address.ts";
import { findAh, isPossibleAh } from "../../wire/ah.ts";
import { zeroMutableFields } from "../../wire/ah-mutable-fields.ts";
import { espPayloadEnd } from "../../wire/esp.ts";
import { buildPacketTooBig } from "../../wire/icmp.ts";
import { goldenPackets } from "../../wire/ikev2/golden/packets.ts";
import { parseMessage, parsePayloads, refuseUnknownCritical, serializePayloads } from "../../wire/ikev2/message.ts";
import type { PayloadOf } from "../../wire/ikev2/message-types.ts";
import { IkeProtocolError } from "../../wire/ikev2/protocol-error.ts";
import { makeIpPacketView, readIpPacket } from "../../wire/ip.ts";
import { ahVectors } from "../esp-vectors.ts";
import { authenticTarget } from "./authentic-target.ts";
import { credentialTargets } from "./credential-targets.ts";
import { documentTargets } from "./document-targets.ts";
import { espVectorPackets } from "./seeds.ts";
import { once, refusing, require, type Target, textOf } from "./target.ts";
import { linkConfigs, Pair } from "../pair.ts";
import { RevokingAuthority } from "../revoking-authority.ts";

const text = new TextEncoder();

const pki = once(() => {
  const ca = new RevokingAuthority();
  try {
    const peer = ca.issue("peer.example", [
      "crlDistributionPoints = URI:http://a.example/x",
      "authorityInfoAccess = OCSP;URI:http://a.example/",
      "extendedKeyUsage = 1.3.6.1.5.5.7.3.17",
    ]);
    const [certificate, issuer] = [readCertificate(peer), readCertificate(ca.certificate)];
    const answer = ca.answer(statusRequest(certificate, issuer));
    ca.revoke("peer.example");
    const lists = ["endEntitiesOnly", "oneShard", "indirect", "strange"].map((extensions) => ca.list({ extensions }));
    return {
      peer,
      authority: ca.certificate,
      certificate,
      issuer,
      answers: [answer, ca.answer(statusRequest(certificate, issuer))],
      lists: [ca.list(), ...lists],
    };
  } finally {
    ca.remove();
  }
});

/** An engine that waits for strangers; made anew before it has seen too many. */
class Stranger {
  #pair: Pair | null = null;
  #left = 0;

  receive(input: Uint8Array): void {
    if (this.#left-- <= 0 || this.#pair === null) {
      this.#pair = new Pair(3);
      this.#left = 300;
      const { b } = linkConfigs();
      this.#pair.give(this.#pair.b, { kind: "setLink", link: { ...b, remoteAddresses: [], initiate: "respond" } });
    }
    const { b, clock } = this.#pair;
    const remote = { address: "192.0.2.77", port: 500 };
    const effects = b.endpoint.handle({ kind: "datagram", local: { address: b.address, port: 500 }, remote, bytes: input }, clock.now());
    const answers = effects.filter((effect) => effect.kind === "transmit");
    require(answers.length <= 1, "one datagram gets one answer at most");
    // RFC 7296 §2.21: responses, and what is too short for a header, are answered by nobody.
    if (input.length < 28 || (input[19]! & 0x20) !== 0) require(answers.length === 0, "a response is not answered");
    require(!effects.some((effect) => effect.kind === "installSa"), "a stranger gets no SA");
  }
}

const stranger = new Stranger();
const view = makeIpPacketView();

export const targets: readonly Target[] = [
  {
    name: "ike-message",
    watched: [/agent\/wire\/ikev2\//],
    seeds: () => goldenPackets.map((packet) => packet.bytes),
    run: (input) =>
      refusing([IkeProtocolError], () => {
        const { payloads } = parseMessage(input);
        refuseUnknownCritical(payloads);
      }),
  },
  {
    name: "ike-payloads",
    watched: [/agent\/wire\/ikev2\//],
    seeds: () => goldenPackets.map((packet) => Uint8Array.of(packet.bytes[16]!, ...packet.bytes.subarray(28))),
    run: (input) =>
      refusing([IkeProtocolError], () => {
        const payloads = parsePayloads(input[0] ?? 0, input.subarray(1));
        const again = serializePayloads(payloads);
        const third = serializePayloads(parsePayloads(again.firstPayload, again.bytes));
        require(Buffer.compare(again.bytes, third.bytes) === 0, "what is written is read as it was written");
      }),
  },
  {
    name: "fragments",
    watched: [/agent\/ike\/fragmentation/],
    seeds: () => [Uint8Array.of(1, 3, 10, 2, 3, 20, 3, 3, 30), Uint8Array.of(2, 2, 1, 1, 2, 1)],
    run: (input) => {
      const reassembly = newReassembly();
      for (let at = 0; at + 2 < input.length; at += 3) {
        const fragment = {
          kind: "skf",
          firstPayload: 33,
          fragmentNumber: input[at]!,
          totalFragments: input[at + 1]!,
          body: new Uint8Array(0),
        } as unknown as PayloadOf<"skf">;
        refusing([IkeProtocolError], () => {
          checkFragment(fragment);
          addFragment(reassembly, { messageId: 1, isResponse: false }, fragment, input.subarray(0, input[at + 2]! % 64));
        });
        require((reassembly.parts?.size ?? 0) <= 255, "a reassembly is bounded");
      }
    },
  },
  {
    name: "stranger",
    watched: [/agent\/ike\//, /agent\/wire\/ikev2\//],
    seeds: () => goldenPackets.filter((packet) => packet.where === "clear").map((packet) => packet.bytes),
    run: (input) => stranger.receive(input),
  },
  {
    name: "certificate",
    watched: [/agent\/crypto\/(?:certificate|der|dn|crl)/],
    seeds: () => [pki().peer, pki().authority],
    run: (input) => refusing([CryptoError], () => void readCertificate(input)),
  },
  {
    name: "revocation-list",
    watched: [/agent\/crypto\/(?:crl|der)/],
    seeds: () => pki().lists,
    run: (input) => refusing([CryptoError], () => void readRevocationList(input)),
  },
  {
    name: "ocsp-answer",
    watched: [/agent\/crypto\/(?:ocsp|der)/],
    seeds: () => pki().answers,
    run: (input) => refusing([CryptoError], () => void readStatusAnswer(input, pki().certificate, pki().issuer, Date.now())),
  },
  {
    name: "distinguished-name",
    watched: [/agent\/crypto\/(?:dn|der)/],
    seeds: () => ["C=NL, O=Example+OU=x, CN=amsterdam", "CN=a\\,b\\2c, E=x@y"].flatMap((name) => [parseDn(name), text.encode(name)]),
    run: (input) => {
      refusing([CryptoError], () => require(dnEqual(input, input) && formatDn(input).length < 100_000, "a name is itself"));
      refusing([CryptoError], () =>
        require(dnEqual(parseDn(formatDn(parseDn(textOf(input)))), parseDn(textOf(input))), "a name that was written is read back"),
      );
    },
  },
  {
    name: "inner-packet",
    watched: [/agent\/wire\/(?:ip|esp|icmp)/],
    seeds: espVectorPackets,
    run: (input) => {
      if (readIpPacket(input, 0, input.length, view)) buildPacketTooBig(input, 0, input.length, Uint8Array.of(192, 0, 2, 1), 1_280);
      const end = espPayloadEnd(input, 0, input.length);
      require(end >= -1 && end <= input.length, "a payload ends inside its packet");
    },
  },
  {
    name: "ah-packet",
    watched: [/agent\/wire\/ah/],
    seeds: () => ahVectors().map(({ wire }) => wire),
    run: (input) => {
      // Headers are zeroed on a copy between two guards, which must stay as they are.
      const guarded = Uint8Array.of(0xa5, ...input, 0xa5);
      const at = findAh(guarded, 1, guarded.length - 1);
      if (at === -1) return;
      require(at > 1 && at < guarded.length, "AH is found inside its packet");
      isPossibleAh(guarded, at, guarded.length - 1, 16, 4);
      zeroMutableFields(guarded, 1, at);
      require(guarded[0] === 0xa5 && Buffer.compare(guarded.subarray(at), Uint8Array.of(...input.subarray(at - 1), 0xa5)) === 0, "only headers are zeroed");
    },
  },
  {
    name: "keywords",
    watched: [/agent\/ike\/negotiation\/proposal-keywords/, /agent\/ipsec\/traffic-selector/, /agent\/wire\/address/],
    seeds: () =>
      [
        "aes256gcm16-prfsha384-x25519-ke1_mlkem768",
        "aes256-sha256-modp2048-esn",
        "10.0.0.5-10.0.0.9[tcp/80-90]",
        "2001:db8::/32[58/opaque]",
        "::ffff:192.0.2.1",
      ].map((one) => text.encode(one)),
    run: (input) => {
      const words = textOf(input);
      for (const protocol of ["ike", "esp", "ah"] as const) refusing([RangeError], () => void parseProposal(words, protocol));
      refusing([RangeError], () =>
        require(formatSelector(parseSelector(formatSelector(parseSelector(words)))) === formatSelector(parseSelector(words)), "a selector is read back"),
      );
      const address = parseAddress(words);
      if (address !== null) require(Buffer.compare(parseAddress(formatAddress(address))!, address) === 0, "an address is read back");
    },
  },
  ...documentTargets,
  ...credentialTargets,
  authenticTarget,
];
