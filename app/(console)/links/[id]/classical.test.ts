import { describe, expect, it } from "vitest";
import type { ObservedIkeSa } from "../../../../contract/observed-state.ts";
import { isClassical } from "./classical.ts";

const sa = (state: ObservedIkeSa["state"], postQuantum: boolean) => ({ state, postQuantum });

describe("the finding that a link is classical", () => {
  it("is there when both ends report IKE SAs without ML-KEM", () => {
    expect(isClassical([{ ikeSas: [sa("established", false)] }, { ikeSas: [sa("established", false)] }])).toBe(true);
  });

  it("is there with a third-party peer, of which only our end reports", () => {
    expect(isClassical([{ ikeSas: [sa("established", false)] }, { ikeSas: [] }])).toBe(true);
  });

  it("is not there with ML-KEM", () => {
    expect(isClassical([{ ikeSas: [sa("established", true)] }, { ikeSas: [sa("established", true)] }])).toBe(false);
  });

  it("does not come and go while the IKE SA is rekeyed", () => {
    expect(isClassical([{ ikeSas: [sa("rekeying", false)] }])).toBe(true);
    expect(isClassical([{ ikeSas: [sa("rekeying", true)] }])).toBe(false);
  });

  it("says nothing of IKE SAs that are not up yet, or not any more", () => {
    expect(isClassical([{ ikeSas: [sa("connecting", false), sa("deleting", false)] }])).toBe(false);
    expect(isClassical([{ ikeSas: [sa("deleting", false), sa("established", true)] }])).toBe(false);
    expect(isClassical([])).toBe(false);
  });
});
