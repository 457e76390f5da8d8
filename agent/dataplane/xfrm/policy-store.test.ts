import { beforeEach, describe, expect, test } from "vitest";
import { FakeXfrmKernel, placeOf } from "../../testing/fake-xfrm-kernel.ts";
import type { KernelPolicy, PolicyTemplate } from "./policy-messages.ts";
import { type PlacedPolicy, PolicyStore } from "./policy-store.ts";

const selector = {
  family: 4,
  source: "10.1.0.0",
  sourcePrefix: 24,
  destination: "10.2.0.0",
  destinationPrefix: 24,
  protocol: 0,
  sourcePort: 0,
  sourcePortMask: 0,
  destinationPort: 0,
  destinationPortMask: 0,
} as const;
const LEFTOVER = 0x4300_0011;
const sentence = "another program has a policy (out) for packets from 10.1.0.0/24 to 10.2.0.0/24";
const foreign: KernelPolicy = { direction: "out", selector, priority: 7, index: 9, template: null };
let kernel: FakeXfrmKernel;

beforeEach(() => {
  kernel = new FakeXfrmKernel();
});

function ours(spi: number): PlacedPolicy {
  const template: PolicyTemplate = { family: 4, source: null, destination: null, spi, reqid: 1, protocol: "esp", mode: "tunnel" };
  return { direction: "out", selector, priority: 70_000, template };
}

function inKernel(): (number | undefined)[] {
  return [...kernel.policies.values()].map(({ index, template }) => template?.spi ?? index);
}

describe("a policy of another program in the place of ours", () => {
  let store: PolicyStore;

  beforeEach(() => {
    store = new PolicyStore(kernel, []);
    store.put(ours(1));
    kernel.policies.set(placeOf(foreign), foreign);
  });

  test("is not overwritten when ours is rekeyed, and is told of once for each time", () => {
    store.put(ours(2));
    store.put(ours(3));
    expect(inKernel()).toEqual([foreign.index]);
    expect([store.takeLost(), store.takeLost()]).toEqual([[sentence], []]);
  });

  test.each(["remove", "clear"] as const)("is not deleted with ours: %s", (how) => {
    store[how](ours(1));
    expect(inKernel()).toEqual([foreign.index]);
  });

  test("stays when each may have been deleted, and when it is gone ours comes back as it was last wanted", () => {
    store.put(ours(2));
    expect(store.restore(null)).toBe(0);
    kernel.policies.clear();
    expect(store.restore(null)).toBe(1);
    expect(inKernel()).toEqual([2]);
  });

  test("gives way to ours at a rekey once it is gone", () => {
    kernel.policies.clear();
    store.put(ours(2));
    expect([inKernel(), store.takeLost()]).toEqual([[2], []]);
    store.put(ours(3));
    expect(inKernel()).toEqual([3]);
  });
});

describe("what a killed run left", () => {
  const left: KernelPolicy = { ...foreign, index: LEFTOVER };

  test("is replaced in its place, with its index, and deleted where nobody takes it over", () => {
    kernel.policies.set(placeOf(left), left);
    const store = new PolicyStore(kernel, [left]);
    store.put(ours(1));
    expect([...kernel.policies.values()]).toMatchObject([{ index: LEFTOVER, template: { spi: 1 } }]);
    store.removeLeftovers();
    expect(inKernel()).toEqual([1]);
    store.clear();
    kernel.policies.set(placeOf(left), left);
    new PolicyStore(kernel, [left]).removeLeftovers();
    expect(inKernel()).toEqual([]);
  });

  test("and another program has put its own in the place of: that is neither replaced nor deleted", () => {
    const store = new PolicyStore(kernel, [left]);
    kernel.policies.set(placeOf(foreign), foreign);
    expect(() => store.put(ours(1))).toThrow(sentence);
    store.removeLeftovers();
    store.clear();
    expect(inKernel()).toEqual([foreign.index]);
  });
});
