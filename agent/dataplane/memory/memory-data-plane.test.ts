import { expect, it } from "vitest";
import { dataPlaneContract } from "../data-plane.contract.ts";
import type { DataPlaneEvent } from "../data-plane.ts";
import { MemoryDataPlane } from "./memory-data-plane.ts";

it.each(dataPlaneContract)("the memory plane $name", async ({ run }) => {
  await run(new MemoryDataPlane());
});

it("hands events and IKE datagrams to every listener and remembers what was sent", () => {
  const plane = new MemoryDataPlane();
  const events: DataPlaneEvent[] = [];
  const received: Uint8Array[] = [];
  plane.onEvent((event) => events.push(event));
  plane.onIkeDatagram((datagram) => received.push(datagram.bytes));
  const local = { address: "192.0.2.1", port: 4_500 };
  const datagram = { local, remote: local, bytes: Uint8Array.of(1) };
  plane.raise({ kind: "failed", reason: "test" });
  plane.receive(datagram);
  plane.sendIkeDatagram(datagram);
  plane.sendNatKeepalive(local, local);
  expect(events).toEqual([{ kind: "failed", reason: "test" }]);
  expect(received).toEqual([Uint8Array.of(1)]);
  expect(plane.sent.map(({ bytes }) => bytes)).toEqual([Uint8Array.of(1), "keepalive"]);
});
