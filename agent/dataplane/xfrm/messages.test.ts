import { describe, expect, test } from "vitest";
import { Encr, Integ } from "../../wire/iana.ts";
import { decodeInterface, encodeInterfaceId, encodeNewInterface, encodeNoOwnAddress, encodeUp, LinkMessage } from "./interface-messages.ts";
import { decodeEvent, decodePolicyEvent, isAboutLostInterface } from "./kernel-events.ts";
import { decodeAttributes, decodeError, decodeMessages, encodeMessage, NetlinkFlag } from "./netlink.ts";
import { decodePolicy, encodePolicy, encodePolicyId, type KernelPolicy, type PolicyTemplate } from "./policy-messages.ts";
import { decodeSa, encodeSa, encodeSaId, type KernelSa, moveSa, SA_INFO_OCTETS, saIdOf } from "./sa-messages.ts";
import { movedFrom } from "./xfrm-kernel.ts";
import { type KernelSelector, readSelector, reverseSelector, selectorKey, writeSelector, XfrmAttribute, XfrmMessage } from "./xfrm-structures.ts";

/*
 * Golden octets: written by a C program that fills the structures of Linux 6.1's linux/xfrm.h on x86-64 (gcc 12); those about interfaces are what iproute2 6.1 sends. `z8` stands for
 * eight zeros.
 */
const golden = {
  selector: "0a02 z14 0a01 z14 01bbffff000000000200181006 z11",
  sa: "0a01 z14 0a02 z18 01bbffff0200101806 z11 c0000201 z12 c0ffee0132000000c6336401 z12 e803000000000000d007000000000000ffffffffffffffffffffffffffffffff z8 3c z71 01000043020001008000000000000000",
  aead: "726663343130362867636d286165732929 z47 a000000080000000000102030405060708090a0b0c0d0e0f10111213",
  auth: "686d61632873686132353629 z53 01000080000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  crypt: "6362632861657329 z56 80000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
  encap: "020011951194 z18",
  replay: "20 z20 04 z130",
  id: "20010db8 z11 01c0ffee010a003300",
  policy:
    "0a02 z14 0a01 z14 01bbffff000000000200181006 z11 ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff z64 70110100090000430100000000000000",
  tmpl: "c6336401 z12 c0ffee023200000002000000c0000201 z12 0200004301000000ffffffffffffffffffffffff",
  policyid: "0a02 z14 0a01 z14 01bbffff000000000200181006 z15 01000000",
  acquire: "z252 0900004301 z23",
  expire: "z56 c0000201 z12 c0ffee0132000000c6336401 z76 881300000000000007 z16 f1536500000000010000000200000003000000000000000100004302 z11 0100000000000000",
  newlink: "z16 08000400780500000e00030063756c76657274783700000018001200080001007866726d0c0002000800020007000043",
  addrgenmode: "z4 01000000 z8 10001a000c000a000500080001000000",
  up: "z4 010000000100000001000000",
  linkid: "z4 01000000 z8",
  mapping: "z16 c0ffee010200000001000043 z16 cb007109 z14 0401",
} as const;

const toSite: KernelSelector = {
  family: 4,
  source: "10.1.0.0",
  sourcePrefix: 16,
  destination: "10.2.0.0",
  destinationPrefix: 24,
  protocol: 6,
  sourcePort: 0,
  sourcePortMask: 0,
  destinationPort: 443,
  destinationPortMask: 0xffff,
};
const gcm = { encr: Encr.AES_GCM_16, encryptionKey: counting(0, 16), salt: counting(16, 4), integ: Integ.NONE, integrityKey: new Uint8Array(0) };
const inbound: KernelSa = {
  direction: "inbound",
  spi: 0xc0ffee01,
  reqid: 0x43000001,
  protocol: "esp",
  mode: "tunnel",
  local: { address: "192.0.2.1", port: 4_500 },
  remote: { address: "198.51.100.1", port: 4_501 },
  encapsulation: "udp",
  extendedSequenceNumbers: true,
  replayWindowPackets: 1_024,
  selector: reverseSelector(toSite),
  ifId: 0,
  offload: false,
  keys: gcm,
  softBytes: 1_000,
  hardBytes: 2_000,
  hardSeconds: 60,
};
const template: PolicyTemplate = {
  family: 4,
  source: "192.0.2.1",
  destination: "198.51.100.1",
  spi: 0xc0ffee02,
  reqid: 0x43000002,
  protocol: "esp",
  mode: "tunnel",
};
const policy = { direction: "out", selector: toSite, priority: 70_000, index: 0x43000009, template } as const;

describe("SAs", () => {
  test("are written to the octet, with window, encapsulation and AEAD as attributes", () => {
    const { fixed, attributes } = encodeSa(inbound);
    expect(hex(fixed)).toBe(of("sa"));
    expect(Object.fromEntries(attributes.map(({ type, value }) => [type, hex(value)]))).toEqual({
      [XfrmAttribute.ALG_AEAD]: of("aead"),
      [XfrmAttribute.ENCAP]: of("encap"),
      [XfrmAttribute.REPLAY_ESN_VAL]: of("replay"),
      [XfrmAttribute.MTIMER_THRESH]: "05000000",
    });
  });

  test("with cipher and HMAC have both, the ICV cut to its length", () => {
    const keys = {
      ...gcm,
      encr: Encr.AES_CBC,
      encryptionKey: new Uint8Array(16).fill(0xbb),
      salt: new Uint8Array(0),
      integ: Integ.HMAC_SHA2_256_128,
      integrityKey: new Uint8Array(32).fill(0xaa),
    };
    const { attributes } = encodeSa({ ...inbound, keys, encapsulation: "none", extendedSequenceNumbers: false, direction: "outbound" });
    expect(attributes.map(({ type, value }) => [type, hex(value)])).toEqual([
      [XfrmAttribute.ALG_AUTH_TRUNC, of("auth")],
      [XfrmAttribute.ALG_CRYPT, of("crypt")],
    ]);
  });

  test("of AH have no cipher, are aligned to 4 octets in IPv4 as RFC 4302 has it, and refuse one", () => {
    const keys = {
      ...gcm,
      encr: Encr.NULL,
      encryptionKey: new Uint8Array(0),
      salt: new Uint8Array(0),
      integ: Integ.HMAC_SHA2_256_128,
      integrityKey: new Uint8Array(32).fill(0xaa),
    };
    const { fixed, attributes } = encodeSa({ ...inbound, protocol: "ah", encapsulation: "none", extendedSequenceNumbers: false, selector: null, keys });
    expect([fixed[56 + 20], fixed[216]]).toEqual([51, 64 | 32]);
    expect(attributes.map(({ type }) => type)).toEqual([XfrmAttribute.ALG_AUTH_TRUNC, XfrmAttribute.REPLAY_ESN_VAL]);
    expect(() => encodeSa({ ...inbound, protocol: "ah" })).toThrow(/AH has no ESP cipher/);
  });

  test("of an interface carry its if_id", () => {
    const { fixed, attributes } = encodeSa({ ...inbound, ifId: 0x43000007 });
    expect(hex(fixed)).toBe(of("sa"));
    expect(attributes.filter(({ type }) => type === 31)).toEqual([{ type: 31, value: bytesOf("07000043") }]);
    expect(encodeSa(inbound).attributes.filter(({ type }) => type === 31)).toEqual([]);
    const moved = moveSa(encodeMessage(0x10, 0, 1, fixed, attributes).subarray(16), { direction: "outbound", remote: inbound.remote, skip: 1 });
    expect(moved?.attributes.filter(({ type }) => type === 31)).toEqual([{ type: 31, value: bytesOf("07000043") }]);
  });

  test("that a network card is asked to take say the direction and the family, and leave the device to the kernel", () => {
    const offloads = (sa: Partial<KernelSa>) =>
      encodeSa({ ...inbound, ...sa, offload: true }).attributes.flatMap(({ type, value }) => (type === 28 ? hex(value) : []));
    const over6 = { local: { address: "2001:db8::1", port: 0 }, remote: { address: "2001:db8::2", port: 0 } };
    expect(offloads({})).toEqual(["0000000002000000"]);
    expect(offloads({ direction: "outbound" })).toEqual(["0000000000000000"]);
    // struct xfrm_user_offload as a C program writes it.
    expect(offloads(over6)).toEqual(["0000000003000000"]);
    const taken = encodeSa({ ...inbound, offload: true });
    for (const { type, value } of taken.attributes) if (type === 28) value[0] = 5;
    const report = encodeMessage(XfrmMessage.NEWSA, 0, 1, taken.fixed, taken.attributes).subarray(16);
    expect(decodeSa(report)).toMatchObject({ offloadDevice: 5 });
    // Elsewhere another card would have to have it.
    expect(moveSa(report, { direction: "inbound", remote: inbound.remote, skip: 0 })?.attributes.map(({ type }) => type)).not.toContain(28);
  });

  test("are named to the octet", () => {
    expect(hex(encodeSaId({ destination: "2001:db8::1", spi: 0xc0ffee01, protocol: 51 }))).toBe(of("id"));
  });

  test("that are reported are read, whatever their length", () => {
    const report = bytesOf(of("expire")).subarray(0, SA_INFO_OCTETS);
    expect(decodeSa(report)).toEqual({
      id: { destination: "192.0.2.1", spi: 0xc0ffee01, protocol: 50 },
      source: "198.51.100.1",
      reqid: 0x43000001,
      bytes: 5_000,
      packets: 7,
      lastUsedAt: 1_700_000_000,
      replayed: 3,
      integrityFailed: 3,
      keys: "none",
      offloadDevice: 0,
    });
    for (let length = 0; length < SA_INFO_OCTETS; length++) expect(decodeSa(report.subarray(0, length))).toBeNull();
  });

  test("that move keep keys and limits, skip the numbers that may have been sent, and stay when too few are left", () => {
    const { fixed, attributes } = encodeSa({ ...inbound, direction: "outbound", extendedSequenceNumbers: true });
    expect(decodeSa(encodeMessage(XfrmMessage.NEWSA, 0, 1, fixed, attributes).subarray(16))).toMatchObject({ keys: "told" });
    const report = (low: number) => {
      const sent = attributes.map(({ type, value }) => ({ type, value: value.slice() }));
      for (const { type, value } of sent) if (type === XfrmAttribute.REPLAY_ESN_VAL) new DataView(value.buffer).setUint32(4, low, true);
      return encodeMessage(XfrmMessage.NEWSA, 0, 1, fixed, sent).subarray(16);
    };
    const moved = moveSa(report(0xffff_fff0), { direction: "outbound", remote: { address: "203.0.113.9", port: 1_025 }, skip: 0x100 });
    const found = new Map(moved?.attributes.map(({ type, value }) => [type, value]));
    expect(hex(moved!.fixed.subarray(56, 60))).toBe("cb007109");
    expect(hex(found.get(XfrmAttribute.ENCAP)!.subarray(0, 6))).toBe("020011940401");
    expect(hex(found.get(XfrmAttribute.ALG_AEAD)!)).toBe(of("aead"));
    // Low half, high half of what was sent last.
    expect([4, 12].map((at) => hex(found.get(XfrmAttribute.REPLAY_ESN_VAL)!.subarray(at, at + 4)))).toEqual(["f0000000", "01000000"]);
    fixed[216] = 0;
    expect(moveSa(report(0xffff_fff0), { direction: "outbound", remote: inbound.remote, skip: 0x100 })).toBeNull();
  });
});

describe("SAs whose keys the kernel does not tell", () => {
  const hmac = { integ: Integ.HMAC_SHA2_256_128, integrityKey: new Uint8Array(32).fill(0xaa), salt: new Uint8Array(0) };
  const kinds: readonly (readonly [string, Partial<KernelSa>])[] = [
    ["AES-GCM", {}],
    ["AES-CBC with HMAC", { keys: { ...gcm, ...hmac, encr: Encr.AES_CBC } }],
    ["HMAC alone", { keys: { ...gcm, ...hmac, encr: Encr.NULL, encryptionKey: new Uint8Array(0) } }],
    ["AH", { protocol: "ah", encapsulation: "none", keys: { ...gcm, ...hmac, encr: Encr.NULL, encryptionKey: new Uint8Array(0) } }],
  ];
  const elsewhere = { direction: "outbound", remote: { address: "203.0.113.9", port: 1_025 }, skip: 1 } as const;

  test.each(kinds)("are not made anew with zeros at another address, and take another port: %s", (_, kind) => {
    const sa: KernelSa = { ...inbound, direction: "outbound", ...kind };
    const { fixed, attributes } = encodeSa(sa);
    const report = () => encodeMessage(XfrmMessage.NEWSA, 0, 1, fixed, attributes).subarray(16);
    const samePlace = { ...elsewhere, remote: { ...elsewhere.remote, address: sa.remote.address } };
    const moves = () => [elsewhere, samePlace].map((place) => movedFrom(report(), saIdOf(sa), place)?.isInPlace ?? null);
    expect([decodeSa(report())?.keys, moves()]).toEqual(["told", [false, true]]);
    // As copy_to_user_aead and its like do: the lengths stay.
    for (const { type, value } of attributes) value.fill(0, type === XfrmAttribute.ALG_CRYPT ? 68 : type === XfrmAttribute.ENCAP ? value.length : 72);
    expect([decodeSa(report())?.keys, moves()]).toEqual(["withheld", [null, true]]);
  });
});

describe("policies", () => {
  test("are written to the octet, with their template", () => {
    const { fixed, attributes } = encodePolicy(policy);
    expect(hex(fixed)).toBe(of("policy"));
    expect(attributes.map(({ type, value }) => [type, hex(value)])).toEqual([[XfrmAttribute.TMPL, of("tmpl")]]);
    expect(encodePolicyId(policy)).toEqual({ fixed: bytesOf(of("policyid")), attributes: [] });
    // By its index alone: what another program has for the same packets is not meant.
    expect(hex(encodePolicyId(policy, policy.index).fixed)).toBe(of("policyid").replace(/0{8}(01000000)$/, "09000043$1"));
  });

  test("of an interface carry its if_id beside the structure, also where they are only named, and are others than those of none", () => {
    const ofInterface = { ...policy, selector: { ...toSite, ifId: 0x43000007 } };
    const { fixed, attributes } = encodePolicy(ofInterface);
    expect(hex(fixed)).toBe(of("policy"));
    expect(attributes.map(({ type, value }) => [type, hex(value)])).toEqual([
      [XfrmAttribute.TMPL, of("tmpl")],
      [31, "07000043"],
    ]);
    // As `ip xfrm policy delete … if_id 0x43000007` of iproute2 6.1 sends it.
    const named = encodePolicyId(ofInterface);
    expect([hex(named.fixed), named.attributes]).toEqual([of("policyid"), [{ type: 31, value: bytesOf("07000043") }]]);
    expect(decodePolicy(encodeMessage(0x13, 0, 1, fixed, attributes).subarray(16))?.selector).toEqual(ofInterface.selector);
    expect(selectorKey(ofInterface.selector)).not.toBe(selectorKey(toSite));
    expect(selectorKey({ ...toSite, ifId: 0 })).toBe(selectorKey(toSite));
  });

  test("without a template let packets pass as they are", () => {
    expect(encodePolicy({ ...policy, template: null }).attributes).toEqual([]);
  });

  test("that are reported are read, whatever their length", () => {
    const report = bytesOf(of("policy"));
    expect(decodePolicy(report)).toEqual({ selector: toSite, direction: "out", index: 0x43000009 });
    for (let length = 0; length < report.length; length++) expect(decodePolicy(report.subarray(0, length))).toBeNull();
  });

  test("have selectors that read as they were written", () => {
    const bytes = new Uint8Array(56);
    writeSelector(bytes, 0, toSite);
    expect(hex(bytes)).toBe(of("selector"));
    expect(readSelector(bytes, 0)).toEqual(toSite);
  });
});

describe("interfaces", () => {
  test("are asked for to the octet, as iproute2 6.1 does", () => {
    const { fixed, attributes } = encodeNewInterface({ name: "culvertx7", ifId: 0x43000007 }, 1_400);
    expect(hex(encodeMessage(16, 0, 1, fixed, attributes).subarray(16))).toBe(of("newlink"));
    const none = encodeNoOwnAddress(1);
    expect(hex(encodeMessage(16, 0, 1, none.fixed, none.attributes).subarray(16))).toBe(of("addrgenmode"));
    expect(hex(encodeUp(1).fixed)).toBe(of("up"));
    expect(hex(encodeInterfaceId(1).fixed)).toBe(of("linkid"));
  });

  test("are read with index, name and if_id, and other devices are none", () => {
    const report = bytesOf(of("newlink"));
    report[4] = 9;
    expect(decodeInterface(report)).toEqual({ index: 9, name: "culvertx7", ifId: 0x43000007 });
    // Kind "xfrN".
    const other = report.slice();
    other[report.indexOf(0x6d, 50)] = 0x6e;
    expect(decodeInterface(other)).toBeNull();
    for (let length = 0; length < report.length; length++) expect(decodeInterface(report.subarray(0, length))).toBeNull();
  });
});

describe("word of network devices", () => {
  const isLoss = (type: number, payload: Uint8Array) => isAboutLostInterface({ type, flags: 0, sequence: 0, payload });

  test("is of a lost interface when one like ours is deleted, and not when one changes or another program's goes", () => {
    const ours = bytesOf(of("newlink"));
    expect([isLoss(LinkMessage.DELLINK, ours), isLoss(LinkMessage.NEWLINK, ours)]).toEqual([true, false]);
    // The if_id, 0x43000007, in the host's order.
    const another = ours.slice();
    another[ours.lastIndexOf(0x43)] = 0;
    expect(decodeInterface(another)).toMatchObject({ ifId: 7 });
    expect(isLoss(LinkMessage.DELLINK, another)).toBe(false);
    expect(isLoss(LinkMessage.DELLINK, bytesOf(of("linkid")))).toBe(false);
  });
});

describe("word of policies", () => {
  const decode = (type: number, deleted: KernelPolicy) => {
    const { fixed } = encodePolicyId(deleted);
    const payload = encodeMessage(type, 0, 1, fixed, [{ type: XfrmAttribute.POLICY, value: encodePolicy(deleted).fixed }]).subarray(16);
    return decodePolicyEvent({ type, flags: 0, sequence: 0, payload });
  };

  test("names one of ours that is deleted, and passes over others and what is no deletion", () => {
    expect(decode(XfrmMessage.DELPOLICY, policy)).toEqual({ kind: "policyDeleted", index: policy.index });
    expect(decode(XfrmMessage.DELPOLICY, { ...policy, index: 9 })).toBeNull();
    expect(decode(XfrmMessage.NEWPOLICY, policy)).toBeNull();
    expect(decodePolicyEvent({ type: XfrmMessage.DELPOLICY, flags: 0, sequence: 0, payload: new Uint8Array(3) })).toBeNull();
    expect(decodePolicyEvent({ type: XfrmMessage.FLUSHPOLICY, flags: 0, sequence: 0, payload: new Uint8Array(0) })).toEqual({
      kind: "policyDeleted",
      index: null,
    });
  });
});

describe("events", () => {
  const decode = (type: number, octets: string) => decodeEvent({ type, flags: 0, sequence: 0, payload: bytesOf(octets) });

  test("are read, and cut off or unknown they are none", () => {
    expect(decode(XfrmMessage.ACQUIRE, of("acquire"))).toEqual({ kind: "acquire", policyIndex: 0x43000009 });
    expect(decode(XfrmMessage.EXPIRE, of("expire"))).toMatchObject({ kind: "expire", hard: true, sa: { reqid: 0x43000001, packets: 7 } });
    expect(decode(XfrmMessage.MAPPING, of("mapping"))).toEqual({
      kind: "mapping",
      spi: 0xc0ffee01,
      reqid: 0x43000001,
      remote: { address: "203.0.113.9", port: 1_025 },
    });
    expect(decode(XfrmMessage.NEWSA, of("expire"))).toBeNull();
    for (const name of ["acquire", "expire", "mapping"] as const)
      for (let cut = 2; cut <= of(name).length; cut += 2) expect(decode(XfrmMessage[name.toUpperCase() as "ACQUIRE"], of(name).slice(0, -cut))).toBeNull();
  });
});

describe("netlink", () => {
  const message = encodeMessage(0x10, NetlinkFlag.REQUEST | NetlinkFlag.ACK, 7, Uint8Array.of(1, 2, 3), [
    { type: 31, value: Uint8Array.of(9) },
    { type: 5, value: Uint8Array.of(8, 8, 8, 8) },
  ]);

  test("messages and attributes are padded to 4", () => {
    expect(hex(message)).toBe("24000000 1000 0500 07000000 00000000 01020300 05001f0009000000 0800050008080808".replaceAll(" ", ""));
    expect(decodeMessages(message)).toMatchObject([{ type: 0x10, flags: 5, sequence: 7 }]);
    expect(decodeAttributes(decodeMessages(message)[0]!.payload, 3)).toEqual([
      { type: 31, value: Uint8Array.of(9) },
      { type: 5, value: Uint8Array.of(8, 8, 8, 8) },
    ]);
  });

  test("what is cut off is left out, and lengths that lie end the list", () => {
    for (let length = 0; length < message.length; length++) expect(decodeMessages(message.subarray(0, length))).toEqual([]);
    for (const lie of [0, 3, 200]) {
      const bytes = message.slice();
      bytes[20] = lie;
      expect(decodeAttributes(decodeMessages(bytes)[0]!.payload, 3)).toEqual([]);
    }
  });

  test("an answer has an errno, and the kernel's sentence where there is one", () => {
    const text = new TextEncoder().encode("Requested replay window too large\0");
    const fixed = new Uint8Array(20);
    new DataView(fixed.buffer).setInt32(0, -22, true);
    const [told] = decodeMessages(encodeMessage(2, NetlinkFlag.ACK_TLVS, 7, fixed, [{ type: 1, value: text }]));
    expect(decodeError(told!)).toEqual({ errno: 22, text: "Requested replay window too large" });
    const [bare] = decodeMessages(encodeMessage(2, 0, 7, new Uint8Array(20)));
    expect(decodeError(bare!)).toEqual({ errno: 0, text: null });
  });
});

function of(name: keyof typeof golden): string {
  return golden[name]
    .split(" ")
    .map((part) => (part.startsWith("z") ? "00".repeat(Number(part.slice(1))) : part))
    .join("");
}

function counting(first: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => first + index);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function bytesOf(octets: string): Uint8Array {
  return new Uint8Array(Buffer.from(octets, "hex"));
}
