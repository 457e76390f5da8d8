import { createSocket } from "node:dgram";
import { openUdpSocket } from "../dataplane/ffi/udp-socket.ts";
import { afterEach, expect, test, vi } from "vitest";
import { type ReceivedDatagram, UdpTransport, type UdpTransportOptions } from "./udp-transport.ts";

const open: { close(): void }[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const socket of open.splice(0)) socket.close();
});

const port = 20_000 + (process.pid % 20_000);

async function openTransport(options: Pick<UdpTransportOptions, "openSocket"> = {}): Promise<{ transport: UdpTransport; received: ReceivedDatagram[] }> {
  const received: ReceivedDatagram[] = [];
  const transport = await UdpTransport.open({ ...options, port, onDatagram: (datagram) => received.push(datagram), onFault: () => undefined });
  open.push(transport);
  return { transport, received };
}

const sockets = {
  "node:dgram makes": {},
  "another part makes": { openSocket: (address: string) => openUdpSocket(address.includes(":") ? 6 : 4, port, { address, single: true }) },
};

test.each(Object.entries(sockets))(
  "on a socket that %s, a datagram comes with the address it was sent to, and the answer leaves from it",
  async (_, options) => {
    const { transport, received } = await openTransport(options);
    const peer = createSocket("udp4");
    open.push(peer);
    const answers: string[] = [];
    peer.on("message", (bytes, from) => answers.push(`${bytes} from ${from.address}:${from.port}`));
    await new Promise<void>((resolve) => peer.bind(0, "127.0.0.1", () => resolve()));
    peer.send("ask", port, "127.0.0.1");
    await expect.poll(() => received.length).toBe(1);
    expect(received[0]!.local).toEqual({ address: "127.0.0.1", port });
    await transport.send(received[0]!.local, received[0]!.remote, new TextEncoder().encode("answer"));
    await transport.send(null, received[0]!.remote, new TextEncoder().encode("routed"));
    await expect.poll(() => answers).toEqual([`answer from 127.0.0.1:${port}`, `routed from 127.0.0.1:${port}`]);
  },
);

test("a port that another program holds is an error that names it", async () => {
  await openTransport();
  await expect(openTransport()).rejects.toThrow(new RegExp(`port ${port} could not be opened`));
});

test("an address that is not ours cannot be sent from, and one without a route has no source", async () => {
  const { transport } = await openTransport();
  await expect(transport.send({ address: "203.0.113.9", port }, { address: "127.0.0.1", port: 9 }, new Uint8Array(1))).rejects.toThrow(
    /no address of this machine/,
  );
  expect(transport.localAddressFor("127.0.0.1")).toBe("127.0.0.1");
});

test("closed while it looks for new addresses it binds no more of them, and what was just bound is given back", async () => {
  vi.useFakeTimers({ toFake: ["setInterval"] });
  const opened: string[] = [];
  let refuses = true;
  const { transport } = await openTransport({
    openSocket: (address) => {
      opened.push(address);
      // The first address of all comes up after the others, and the gateway closes its ports as that one is bound.
      if (address === opened[0] && refuses) return null;
      const fd = openUdpSocket(address.includes(":") ? 6 : 4, port, { address, single: true });
      if (address === opened[0]) transport.close();
      return fd;
    },
  });
  expect(opened.length).toBeGreaterThan(1);
  refuses = false;
  const before = opened.length;
  await vi.advanceTimersByTimeAsync(2_000);
  expect(opened.slice(before)).toEqual([opened[0]]);
  await openTransport();
});
