import { describe, expect, it } from "vitest";
import { NotifyType } from "../iana.ts";
import { requireAllowedPayloads } from "./exchange-payloads.ts";
import { goldenPackets } from "./golden/packets.ts";
import { parseMessage, serializeMessage } from "./message.ts";
import { IkeProtocolError } from "./protocol-error.ts";

describe.each(goldenPackets)("golden packet $name", ({ bytes, summary, exchangeType, where }) => {
  it("has the values that were read by hand", () => {
    const message = parseMessage(bytes);
    expect(message.header.exchangeType).toBe(exchangeType);
    expect(message.payloads.map((payload) => payload.kind).join(" ")).toBe(summary);
    expect(() => requireAllowedPayloads(exchangeType, where, message.payloads)).not.toThrow();
  });

  it("is written back to the octet", () => {
    const { header, payloads } = parseMessage(bytes);
    expect(serializeMessage(header, payloads)).toEqual(bytes);
  });

  it("is refused with INVALID_SYNTAX at every truncation", () => {
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.slice(0, length);
      if (length >= 28) new DataView(cut.buffer).setUint32(24, length);
      expect(() => parseMessage(cut)).toThrow(expect.objectContaining({ name: IkeProtocolError.name, cause: NotifyType.INVALID_SYNTAX }));
    }
  });
});
