import { describe, expect, it } from "vitest";
import { failureScenarios } from "../../testing/failures.ts";
import { establishedPair } from "../../testing/pair.ts";
import { ownVerdict, type Verdict, verdict } from "./verdict.ts";

/** Of each failure of engine.md: what each end says by its own trace alone, and what both traces say together. */
const SENTENCES: Readonly<Record<string, { readonly a: string | null; readonly b: string | null; readonly both: string }>> = {
  "NO_PROPOSAL_CHOSEN, IKE: the group": {
    a: "NO_PROPOSAL_CHOSEN: The peer accepts none of the IKE proposals that this side offered: aes256gcm16-prfsha384-modp2048. Or it has no link for this gateway: it may be down there, deleted, not applied yet, or between other addresses.",
    b: "NO_PROPOSAL_CHOSEN: No common IKE proposal: the peer offers aes256gcm16-prfsha384-modp2048; this side allows aes256gcm16-prfsha384-x25519 (key exchange: offered modp2048, allowed x25519).",
    both: "NO_PROPOSAL_CHOSEN: Amsterdam offers group modp2048 only for IKE, Berlin only x25519: add modp2048 to Berlin or x25519 to Amsterdam.",
  },
  "NO_PROPOSAL_CHOSEN, IKE: several algorithms": {
    a: "NO_PROPOSAL_CHOSEN: The peer accepts none of the IKE proposals that this side offered: aes256gcm16-prfsha384-x25519. Or it has no link for this gateway: it may be down there, deleted, not applied yet, or between other addresses.",
    b: "NO_PROPOSAL_CHOSEN: No common IKE proposal: the peer offers aes256gcm16-prfsha384-x25519; this side allows aes128-sha256-modp2048, aes256-sha256-modp2048 (encryption: offered aes256gcm16, allowed aes128).",
    both: "NO_PROPOSAL_CHOSEN: No common IKE proposal: Amsterdam offers aes256gcm16-prfsha384-x25519, Berlin allows aes128-sha256-modp2048, aes256-sha256-modp2048 (encryption aes256gcm16 against aes128, PRF prfsha384 against prfsha256, integrity none against sha256, key exchange x25519 against modp2048): add aes128-sha256-modp2048 to Amsterdam or aes256gcm16-prfsha384-x25519 to Berlin.",
  },
  "NO_PROPOSAL_CHOSEN, ESP": {
    a: "NO_PROPOSAL_CHOSEN: The peer accepts none of the ESP proposals that this side offered: aes256gcm16.",
    b: "NO_PROPOSAL_CHOSEN: No common ESP proposal: the peer offers aes256gcm16; this side allows aes128gcm16 (encryption: offered aes256gcm16, allowed aes128gcm16).",
    both: "NO_PROPOSAL_CHOSEN: Amsterdam offers encryption aes256gcm16 only for ESP, Berlin only aes128gcm16: add aes256gcm16 to Berlin or aes128gcm16 to Amsterdam.",
  },
  "wrong pre-shared key": {
    a: 'AUTHENTICATION_FAILED: The peer refused to authenticate a.example to b.example: the pre-shared keys differ (the peer does not hold this side\'s key "k1"), or it expects other identities.',
    b: "AUTHENTICATION_FAILED: The pre-shared keys differ: a.example does not prove a key that this side holds.",
    both: 'AUTHENTICATION_FAILED: The pre-shared keys differ: Amsterdam uses a key that Berlin does not hold (it tried "2026-11"): set the same key at Berlin and Amsterdam.',
  },
  "identity of the initiator": {
    a: 'AUTHENTICATION_FAILED: The peer refused to authenticate a.example to b.example: the pre-shared keys differ (the peer does not hold this side\'s key "k1"), or it expects other identities.',
    b: "AUTHENTICATION_FAILED: The peer says it is a.example; this side expects c.example.",
    both: "AUTHENTICATION_FAILED: Amsterdam says it is a.example, Berlin expects c.example: set the remote identity of Berlin to a.example, or the local identity of Amsterdam to c.example.",
  },
  "identity of the responder": {
    a: 'AUTHENTICATION_FAILED: The peer refused to authenticate a.example to c.example: the pre-shared keys differ (the peer does not hold this side\'s key "k1"), or it expects other identities.',
    b: "AUTHENTICATION_FAILED: The peer wants to reach c.example; this side is b.example.",
    both: "AUTHENTICATION_FAILED: Amsterdam wants to reach c.example, Berlin is b.example: set the remote identity of Amsterdam to b.example, or the local identity of Berlin to c.example.",
  },
  "certificate expired": {
    a: 'AUTHENTICATION_FAILED: The peer refused to authenticate a.example to b.example: it does not accept the certificate "a.example" (valid from 2026-10-07 to 2027-01-14; it is 2027-01-15 here), or it expects other identities.',
    b: "AUTHENTICATION_FAILED: a.example is refused: the certificate of CN=a.example expired on 2027-01-14 (it is 2027-01-15 here).",
    both: "AUTHENTICATION_FAILED: Berlin refuses the certificate of Amsterdam: the certificate of CN=a.example expired on 2027-01-14 (it is 2027-01-15 here): renew the certificate of Amsterdam.",
  },
  "certificate untrusted": {
    a: 'AUTHENTICATION_FAILED: The peer refused to authenticate a.example to b.example: it does not accept the certificate "a.example" (valid from 2026-10-07 to 2027-04-25; it is 2027-01-15 here), or it expects other identities.',
    b: "AUTHENTICATION_FAILED: a.example is refused: the certificate of CN=a.example was issued by CN=Foreign authority, which does not lead to an authority that this link trusts.",
    both: "AUTHENTICATION_FAILED: Berlin refuses the certificate of Amsterdam: the certificate of CN=a.example was issued by CN=Foreign authority, which does not lead to an authority that this link trusts: add its authority to Berlin, or give Amsterdam a certificate of one that Berlin trusts.",
  },
  "certificate of another name": {
    a: 'AUTHENTICATION_FAILED: The peer refused to authenticate a.example to b.example: it does not accept the certificate "c.example" (valid from 2026-10-07 to 2027-04-25; it is 2027-01-15 here), or it expects other identities.',
    b: "AUTHENTICATION_FAILED: a.example is refused: the peer calls itself a.example but its certificate says CN=c.example, c.example.",
    both: "AUTHENTICATION_FAILED: Berlin refuses the certificate of Amsterdam: the peer calls itself a.example but its certificate says CN=c.example, c.example: give Amsterdam a certificate with that name, or another identity.",
  },
  "clock skew against a certificate": {
    a: 'AUTHENTICATION_FAILED: The peer refused to authenticate a.example to b.example: it does not accept the certificate "a.example" (valid from 2027-01-14 to 2027-04-25; it is 2027-01-15 here), or it expects other identities.',
    b: "AUTHENTICATION_FAILED: a.example is refused: the certificate of CN=a.example is not valid before 2027-01-14 (it is 2027-01-12 here: is a clock wrong?).",
    both: "AUTHENTICATION_FAILED: Berlin refuses the certificate of Amsterdam: the certificate of CN=a.example is not valid before 2027-01-14 (it is 2027-01-12 here: is a clock wrong?); the clock of Berlin is 3 days behind that of Amsterdam: set the wrong clock right.",
  },
  "certificate against pre-shared key": {
    a: 'AUTHENTICATION_FAILED: The peer refused to authenticate a.example to b.example: it does not accept the certificate "a.example" (valid from 2026-10-07 to 2027-04-25; it is 2027-01-15 here), or it expects other identities.',
    b: "AUTHENTICATION_FAILED: The peer authenticates with DIGITAL_SIGNATURE, this side expects a pre-shared key.",
    both: "AUTHENTICATION_FAILED: Amsterdam authenticates with DIGITAL_SIGNATURE, Berlin expects a pre-shared key: choose the same method at both.",
  },
  "INVALID_KE_PAYLOAD: a group that was not offered": {
    a: "INVALID_KE_PAYLOAD: The peer wants the key exchange ecp521, which this side does not offer (aes256gcm16-prfsha384-x25519).",
    b: null,
    both: "INVALID_KE_PAYLOAD: Berlin insists on the key exchange ecp521, Amsterdam offers aes256gcm16-prfsha384-x25519: add ecp521 to the IKE proposals of Amsterdam, or one of its groups to Berlin.",
  },
  TS_UNACCEPTABLE: {
    a: 'TS_UNACCEPTABLE: The peer accepts no part of the networks of "net": this side asked for 10.1.0.0/24 to 10.2.0.0/24.',
    b: "TS_UNACCEPTABLE: The peer asks for traffic from 10.1.0.0/24 to 10.2.0.0/24; this side allows 10.1.0.0/24 to 10.9.0.0/24.",
    both: "TS_UNACCEPTABLE: Amsterdam asks for 10.1.0.0/24 to 10.2.0.0/24, Berlin allows 10.1.0.0/24 to 10.9.0.0/24: add 10.2.0.0/24 to the local networks of Berlin, or 10.9.0.0/24 to the remote networks of Amsterdam.",
  },
  "AH against ESP": {
    a: "NO_PROPOSAL_CHOSEN: The peer accepts none of the AH proposals that this side offered: sha256.",
    b: "NO_PROPOSAL_CHOSEN: The peer offers AH; this side allows ESP only.",
    both: "NO_PROPOSAL_CHOSEN: Amsterdam offers AH, Berlin allows ESP only: use the same at both.",
  },
  "AH, and UDP encapsulation asked for": {
    a: "AH_BEHIND_NAT: AH cannot pass a NAT, and there is one in front of the peer, or the peer asks for UDP encapsulation as if there were: AH covers the addresses that a NAT changes and has no UDP encapsulation. Use ESP.",
    b: null,
    both: "AH_BEHIND_NAT: The link between Amsterdam and Berlin uses AH, which cannot pass a NAT, and there is one between them or one end asks for UDP encapsulation: use ESP at both.",
  },
  "transport mode at one end only": {
    a: 'TRANSPORT_MODE_DECLINED: The peer does not agree to transport mode for "host", which this side requires; the Child SA is deleted.',
    b: null,
    both: 'TRANSPORT_MODE_DECLINED: Berlin does not agree to transport mode for "host", which Amsterdam wants: set mode: transport at Berlin, or mode: tunnel at Amsterdam.',
  },
  "tunnel mode at one end only": {
    a: "NO_PROPOSAL_CHOSEN: The peer accepts none of the ESP proposals that this side offered: aes256gcm16.",
    b: 'NO_PROPOSAL_CHOSEN: The peer asks for tunnel mode; this side allows transport mode only for "host".',
    both: 'NO_PROPOSAL_CHOSEN: Amsterdam does not ask for transport mode for "host", which Berlin wants: set mode: transport at Amsterdam, or mode: tunnel at Berlin.',
  },
  "peer silent: nothing arrives": {
    a: "PEER_SILENT: The peer is silent: IKE_SA_INIT to 192.0.2.2 port 500 was sent 6 times without an answer; no gateway may run there, or a NAT or firewall is likely to drop UDP on that port.",
    b: null,
    both: "PEER_SILENT: Amsterdam sent IKE_SA_INIT 6 times to 192.0.2.2 port 500, and Berlin has seen nothing of it: the address is wrong, Berlin is not running, or a firewall or NAT drops UDP port 500 on the way.",
  },
  "peer silent: the answers are lost": {
    a: "PEER_SILENT: The peer is silent: IKE_SA_INIT to 192.0.2.2 port 500 was sent 6 times without an answer; no gateway may run there, or a NAT or firewall is likely to drop UDP on that port.",
    b: null,
    both: "PEER_SILENT: Amsterdam sent IKE_SA_INIT 6 times to 192.0.2.2 port 500; Berlin received it and answered, but no answer reached Amsterdam: a firewall or NAT drops UDP from Berlin to Amsterdam.",
  },
  "peer silent: IKE_AUTH is lost on the NAT-T port": {
    a: "PEER_SILENT: The peer is silent: IKE_AUTH to 192.0.2.2 port 4500 was sent 6 times without an answer; IKE_SA_INIT was answered on another port, so a NAT or firewall is likely to drop UDP port 4500.",
    b: null,
    both: "PEER_SILENT: Amsterdam sent IKE_AUTH 6 times to 192.0.2.2 port 4500, none of which reached Berlin, although an earlier message did: a firewall or NAT drops UDP port 4500 or fragments on the way to Berlin.",
  },
  "peer silent: the SA was up": {
    a: "PEER_SILENT: The peer is silent: INFORMATIONAL to 192.0.2.2 port 500 was sent 6 times without an answer; the SA was up before, so the path or the peer is down.",
    b: "PEER_SILENT: The peer is silent: INFORMATIONAL to 192.0.2.1 port 500 was sent 6 times without an answer; the SA was up before, so the path or the peer is down.",
    both: "PEER_SILENT: Berlin sent INFORMATIONAL 6 times to 192.0.2.1 port 500 without an answer, although the SA was up: the path between Berlin and Amsterdam is down, or one of them is.",
  },
  "INVALID_SYNTAX in a protected request": {
    a: "INVALID_SYNTAX: The peer could not read this side's CREATE_CHILD_SA (INVALID_SYNTAX): one of the two breaks the protocol, or something on the path changes messages.",
    b: "INVALID_SYNTAX: The peer's CREATE_CHILD_SA breaks the protocol: a proposal needs 8 octets and has 0.",
    both: "INVALID_SYNTAX: Berlin cannot use the CREATE_CHILD_SA of Amsterdam: a proposal needs 8 octets and has 0. Update the software of Amsterdam, or look for what changes messages on the path.",
  },
  "unsupported critical payload in a protected request": {
    a: "UNSUPPORTED_CRITICAL_PAYLOAD: The peer does not know a payload that this side's CREATE_CHILD_SA marks as critical (type 77).",
    b: "UNSUPPORTED_CRITICAL_PAYLOAD: The peer's CREATE_CHILD_SA cannot be read: the peer insists on a payload of type 77, which is unknown here.",
    both: "UNSUPPORTED_CRITICAL_PAYLOAD: Amsterdam marks a payload of type 77 in CREATE_CHILD_SA as critical, which Berlin does not know: turn off the extension at Amsterdam, or update Berlin.",
  },
  "unsupported critical payload in IKE_SA_INIT": {
    a: "UNSUPPORTED_CRITICAL_PAYLOAD: The peer does not know a payload that this side's IKE_SA_INIT marks as critical (type 77).",
    b: "UNSUPPORTED_CRITICAL_PAYLOAD: The peer's IKE_SA_INIT cannot be read: the peer insists on a payload of type 77, which is unknown here.",
    both: "UNSUPPORTED_CRITICAL_PAYLOAD: Amsterdam marks a payload of type 77 in IKE_SA_INIT as critical, which Berlin does not know: turn off the extension at Amsterdam, or update Berlin.",
  },
  "cookie required": {
    a: "COOKIE: 192.0.2.2 is busy and asks for a cookie; the request is sent again with it.",
    b: "COOKIE: 0 IKE SAs are half open, and from 0 on a cookie is asked for: 192.0.2.1 has to send its request again with it.",
    both: "COOKIE: Berlin is busy (0 half-open IKE SAs, cookies from 0 on) and asked Amsterdam for a cookie; that alone is harmless.",
  },
  "cookie required again and again": {
    a: "COOKIE: 192.0.2.2 asks for a cookie again although it was sent back 5 times: a NAT is likely to change this side's address or port with every datagram.",
    b: "COOKIE: 0 IKE SAs are half open, and from 0 on a cookie is asked for: 192.0.2.1 has to send its request again with it.",
    both: "COOKIE: Berlin asks Amsterdam for a cookie again and again (5 times): a NAT between them changes the address or port of Amsterdam with every datagram: give Amsterdam a fixed mapping.",
  },
  "half-open limit": {
    a: "PEER_SILENT: The peer is silent: IKE_SA_INIT to 192.0.2.2 port 500 was sent 6 times without an answer; it asked for a cookie first, so it is reached and is likely at its limit of half-open IKE SAs.",
    b: "HALF_OPEN_LIMIT: 0 IKE SAs are half open, the limit is 0: a request from 192.0.2.1 is dropped.",
    both: "HALF_OPEN_LIMIT: Berlin is at its limit of 0 half-open IKE SAs and drops the requests of Amsterdam: find out who floods Berlin with IKE_SA_INIT.",
  },
  "SA lifetime mismatch": {
    a: 'SA_LIFETIME_MISMATCH: The peer deleted the Child SA "net" after 42 s without rekeying it; this side rekeys after 60 min: the peer was told to, closes what carries nothing, or its lifetime is shorter.',
    b: null,
    both: 'SA_LIFETIME_MISMATCH: Berlin deleted the Child SA "net" after 42 s without rekeying it, Amsterdam rekeys after 60 min: set the lifetime of Amsterdam below that of Berlin.',
  },
  "SA lifetime mismatch of the IKE SA": {
    a: "SA_LIFETIME_MISMATCH: The peer deleted the IKE SA after 42 s without rekeying it; this side rekeys after 4 h: the peer was told to, closes what carries nothing, or its lifetime is shorter.",
    b: null,
    both: "SA_LIFETIME_MISMATCH: Berlin deleted the IKE SA after 42 s without rekeying it, Amsterdam rekeys after 4 h: set the lifetime of Amsterdam below that of Berlin.",
  },
  "PFS mismatch, seen only at the rekey": {
    a: 'NO_PROPOSAL_CHOSEN: The Child SA "net" could not be rekeyed. The peer accepts none of the ESP proposals that this side offered at the rekey: aes256gcm16-x25519. It may want another PFS group or none, which only shows at a rekey.',
    b: "NO_PROPOSAL_CHOSEN: No common ESP proposal at the rekey: the peer offers aes256gcm16-x25519; this side allows aes256gcm16-modp2048 (key exchange: offered x25519, allowed modp2048). The first Child SA takes its keys from the IKE SA, so a difference in PFS groups only shows at a rekey.",
    both: "NO_PROPOSAL_CHOSEN: The Child SA comes up and cannot be rekeyed: Amsterdam offers group x25519 only for ESP, Berlin only modp2048: add x25519 to Berlin or modp2048 to Amsterdam.",
  },
  "PFS wanted by one end only": {
    a: 'NO_PROPOSAL_CHOSEN: The Child SA "net" could not be rekeyed. The peer accepts none of the ESP proposals that this side offered at the rekey: aes256gcm16-x25519. It may want another PFS group or none, which only shows at a rekey.',
    b: "NO_PROPOSAL_CHOSEN: No common ESP proposal at the rekey: the peer offers aes256gcm16-x25519; this side allows aes256gcm16 (key exchange: offered x25519, allowed none). The first Child SA takes its keys from the IKE SA, so a difference in PFS groups only shows at a rekey.",
    both: "NO_PROPOSAL_CHOSEN: The Child SA comes up and cannot be rekeyed: Amsterdam offers group x25519 for ESP, Berlin allows none: add x25519 to the ESP proposals of Berlin, or take it from those of Amsterdam.",
  },
  "duplicate SA": {
    a: "DUPLICATE_SA: Both ends began at once, so there are two IKE SAs: c47b6aa1cb2871ea/cb58c452b7db1195 stays, 7d4fa84a8df59128/f48e003452bde0da has the lowest nonce and is closed by this side, which began it (RFC 7296 §2.8.2).",
    b: "DUPLICATE_SA: Both ends began at once, so there are two IKE SAs: c47b6aa1cb2871ea/cb58c452b7db1195 stays, 7d4fa84a8df59128/f48e003452bde0da has the lowest nonce and is closed by the peer, which began it (RFC 7296 §2.8.2).",
    both: "DUPLICATE_SA: Berlin and Amsterdam both began at once and made two IKE SAs; Amsterdam closes 7d4fa84a8df59128/f48e003452bde0da: let only one of them start the link.",
  },
  "the link was taken down at the peer": {
    a: "NO_PROPOSAL_CHOSEN: The peer accepts none of the IKE proposals that this side offered: aes256gcm16-prfsha384-x25519. Or it has no link for this gateway: it may be down there, deleted, not applied yet, or between other addresses.",
    b: "NO_PROPOSAL_CHOSEN: The link between 192.0.2.2 and 192.0.2.1 was taken down here: whoever calls is refused until it is brought up.",
    both: "NO_PROPOSAL_CHOSEN: The link was taken down at Berlin, which refuses Amsterdam: bring it up at Berlin, or take it down at Amsterdam too.",
  },
  "no link for the peer's address": {
    a: "NO_PROPOSAL_CHOSEN: The peer accepts none of the IKE proposals that this side offered: aes256gcm16-prfsha384-x25519. Or it has no link for this gateway: it may be down there, deleted, not applied yet, or between other addresses.",
    b: "NO_PROPOSAL_CHOSEN: No link of this gateway is between 192.0.2.2 and 192.0.2.1.",
    both: "NO_PROPOSAL_CHOSEN: Berlin has no link between its address 192.0.2.2 and 192.0.2.1, from where Amsterdam calls: correct the peer address at Berlin, or the outside address of Amsterdam.",
  },
};

const spoken = (one: Verdict | null): string | null => (one === null ? null : `${one.code}: ${one.sentence}`);

describe("one plain sentence for each failure", () => {
  it("has a sentence for every scenario, and none too many", () => {
    expect(Object.keys(SENTENCES)).toEqual(failureScenarios.map((scenario) => scenario.name));
  });

  for (const scenario of failureScenarios) {
    it(scenario.name, async () => {
      const { pair } = await scenario.provoke();
      const expected = SENTENCES[scenario.name]!;
      expect(spoken(ownVerdict(pair.a.trace))).toBe(expected.a);
      expect(spoken(ownVerdict(pair.b.trace))).toBe(expected.b);
      const [amsterdam, berlin] = [
        { name: "Amsterdam", trace: pair.a.trace },
        { name: "Berlin", trace: pair.b.trace },
      ];
      expect(spoken(verdict(amsterdam, berlin))).toBe(expected.both);
      expect(verdict(berlin, amsterdam)?.code).toBe(verdict(amsterdam, berlin)?.code);
    });
  }

  it("does not claim to know what an end without a trace has seen", async () => {
    const { pair } = await failureScenarios.find((one) => one.name === "peer silent: nothing arrives")!.provoke();
    expect(spoken(verdict({ name: "Amsterdam", trace: pair.a.trace }, { name: "Partner", trace: null }))).toBe(
      "PEER_SILENT: Amsterdam: The peer is silent: IKE_SA_INIT to 192.0.2.2 port 500 was sent 6 times without an answer; no gateway may run there, or a NAT or firewall is likely to drop UDP on that port.",
    );
  });

  it("does not take a peer's NO_PROPOSAL_CHOSEN for more than it says", async () => {
    const { pair } = await failureScenarios.find((one) => one.name === "no link for the peer's address")!.provoke();
    // What a request without a link left at the peer is in no link's trace.
    expect(spoken(verdict({ name: "Amsterdam", trace: pair.a.trace }, { name: "Berlin", trace: [] }))).toBe(
      "NO_PROPOSAL_CHOSEN: Berlin accepts none of the IKE proposals of Amsterdam (aes256gcm16-prfsha384-x25519), or has no link for it: give both one in common, and see that the link is applied and up at Berlin.",
    );
  });

  it("tells who asks for a link that was taken down in its trace, which is no failure of it", async () => {
    const { pair } = await failureScenarios.find((one) => one.name === "the link was taken down at the peer")!.provoke();
    const ofLink = (side: typeof pair.a) => side.trace.filter(({ linkId }) => linkId === "link");
    expect(spoken(verdict({ name: "Amsterdam", trace: ofLink(pair.a) }, { name: "Berlin", trace: ofLink(pair.b) }))).toMatch(/taken down at Berlin/);
    expect(pair.b.link().lastFailure).toBeNull();
    pair.give(pair.b, { kind: "up", linkId: "link" });
    expect(pair.runUntil(() => pair.bothUp())).toBe(true);
  });

  it("says nothing of a link that came up at once", () => {
    const pair = establishedPair(3);
    expect(verdict({ name: "Amsterdam", trace: pair.a.trace }, { name: "Berlin", trace: pair.b.trace })).toBeNull();
  });
});
