import { afterEach, expect } from "vitest";
import { type DesiredLink, link } from "../../contract/desired-state.ts";
import { LinkProbes } from "./link-probes.ts";
import { Prober } from "./probe.ts";
import { decide } from "./test-privileges.ts";

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

// Raw sockets need CAP_NET_RAW; the check runs as root.
const asRoot = decide();

asRoot("a link that is up is probed, unless it is to be closed when nothing passes: the echoes would keep it", async () => {
  const prober = new Prober(0x4712);
  const probes = new LinkProbes(prober, () => true);
  open.push(probes, prober);
  probes.apply([probed("kept"), probed("closed", { initiate: "onDemand", inactivitySeconds: 60 })]);
  await expect.poll(() => probes.stateOf("kept").answered, { timeout: 10_000 }).toBeGreaterThanOrEqual(3);
  expect(probes.stateOf("closed")).toMatchObject({ sent: 0, fault: null });
});

function probed(id: string, change: Partial<DesiredLink> = {}): DesiredLink {
  return link.parse({
    id,
    name: id,
    local: { identity: "a.example" },
    remote: { address: "192.0.2.1", identity: "b.example" },
    authentication: { method: "psk", keys: [{ id: "k", secret: "s" }], use: "k" },
    children: [{ name: "net", localNetworks: ["10.1.0.0/24"], remoteNetworks: ["10.2.0.0/24"] }],
    probe: { source: "127.0.0.1", target: "127.0.0.1" },
    probeSeconds: 0.2,
    ...change,
  });
}
