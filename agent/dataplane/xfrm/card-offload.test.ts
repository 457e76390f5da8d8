import { expect, test } from "vitest";
import { describeOutcomes, outcomeOf, whyNotOffered } from "./card-offload.ts";

test("an SA whose keys no card takes is not offered to one", () => {
  expect(whyNotOffered({ protocol: "esp", encapsulation: "none" })).toBeNull();
  expect(whyNotOffered({ protocol: "esp", encapsulation: "udp" })).toBe("in UDP");
  expect(whyNotOffered({ protocol: "ah", encapsulation: "none" })).toBe("AH");
});

test("what the kernel reports decides who protects, and a device is named", () => {
  // The loopback device is the first one of every network namespace.
  expect(outcomeOf(null, 1)).toEqual({ kind: "card", device: "lo" });
  expect(outcomeOf(null, 2 ** 30)).toEqual({ kind: "card", device: `device ${2 ** 30}` });
  expect(outcomeOf("the kernel refused the SA: no room", 0)).toEqual({ kind: "kernel", reason: "the kernel refused the SA: no room" });
});

test("SAs are counted by where they are and why", () => {
  const [card, silent, refused] = [outcomeOf(null, 1), outcomeOf(null, 0), outcomeOf("no room", 0)];
  expect(describeOutcomes([])).toBe("offload to a network card wanted");
  expect(describeOutcomes([card, silent, card, refused])).toBe(
    "offload to a network card wanted: 2 SAs by lo, 1 SA by the kernel (the device that leads to the peer takes none), 1 SA by the kernel (no room)",
  );
});
