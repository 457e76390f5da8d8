import fc from "fast-check";
import { expect, test } from "vitest";
import { formatPath } from "./config-problem.ts";
import { overlaps, parsePrefix } from "./prefix.ts";
import { checkState } from "./state-checks.ts";
import { stateOfLinks } from "./test-doubles.ts";

const base = stateOfLinks(1).links[0]!;
const stateWith = (remotes: readonly string[]) => ({
  ...stateOfLinks(0),
  links: remotes.map((remote, index) => ({ ...base, id: `l${index}`, children: [{ name: "lan", localNetworks: ["10.1.0.0/24"], remoteNetworks: [remote] }] })),
});

test("two links are refused exactly when their networks overlap, and it is the later one that is", () => {
  const network = fc
    .tuple(fc.nat(7), fc.integer({ min: 22, max: 32 }))
    .map(([octet, length]) => `172.16.${octet & (0xff << Math.max(0, 24 - length))}.0/${length}`);
  fc.assert(
    fc.property(fc.array(network, { minLength: 1, maxLength: 6 }), (remotes) => {
      const prefixes = remotes.map((text) => parsePrefix(text)!);
      const expected = prefixes.flatMap((prefix, index) =>
        prefixes.slice(0, index).some((other) => overlaps(other, prefix)) ? [`links[${index}].children[0].remoteNetworks[0]`] : [],
      );
      expect(
        checkState(stateWith(remotes))
          .map((problem) => formatPath(problem.path))
          .toSorted(),
      ).toEqual(expected.toSorted());
    }),
  );
});

test("links of different local networks may reach the same remote network, and a disabled one claims nothing", () => {
  const state = stateWith(["10.9.0.0/24", "10.9.0.0/24"]);
  const [first, second] = [state.links[0]!, state.links[1]!];
  expect(checkState(state).length).toBe(1);
  expect(checkState({ ...state, links: [first, { ...second, enabled: false }] })).toEqual([]);
  expect(checkState({ ...state, links: [first, { ...second, children: [{ ...second.children[0]!, localNetworks: ["10.7.0.0/24"] }] }] })).toEqual([]);
});

test("ten thousand links are checked: comparing each with each would end in this test's timeout", () => {
  const remotes = Array.from({ length: 10_000 }, (_, index) => `172.16.${index >> 8}.${index & 255}/32`);
  expect(checkState(stateWith(remotes))).toEqual([]);
});

test("transport mode is between two hosts, AH does not go in UDP and names no cipher: each is said at its place", () => {
  const told = (changes: Partial<typeof base>) =>
    checkState({ ...stateOfLinks(0), links: [{ ...base, ...changes }] }).map((one) => `${formatPath(one.path)}: ${one.reason}`);
  const child = (mode: "transport" | "preferTransport" | "tunnel", remote: string) => ({
    children: [{ name: "host", localNetworks: ["192.0.2.1/32"], remoteNetworks: [remote], mode }],
  });
  expect(told(child("transport", "192.0.2.2/32"))).toEqual([]);
  expect(told(child("tunnel", "192.0.2.0/29"))).toEqual([]);
  expect(told(child("preferTransport", "198.51.100.0/24"))).toEqual([
    "links[0].children[0].remoteNetworks[0]: 198.51.100.0/24 is a network, but transport mode is between two hosts",
  ]);
  expect(told({ ah: { proposals: ["sha256-x25519"] }, encapsulation: "plain" })).toEqual([]);
  expect(told({ ah: { proposals: ["sha256"] }, encapsulation: "udp" })).toEqual(["links[0].encapsulation: AH does not go in UDP"]);
  expect(told({ ah: { proposals: ["aes256gcm16"] } })[0]).toMatch(/^links\[0\]\.ah\.proposals\[0\]: "aes256gcm16" names a cipher/);
});
