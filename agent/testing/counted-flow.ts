import { createSocket, type Socket } from "node:dgram";

/**
 * A flow of UDP datagrams, each with its number, that a mirror sends back: as fast as it goes, with a bounded number of them on the way, so that no queue
 * overflows and whatever is missing was lost. `mirror ADDRESS` prints `ready`. `send SOURCE TARGET` prints `answered` when the first has come back, sends until its
 * standard input ends, waits for what is still on the way, and prints one line of JSON (`FlowResult`). Payloads are of many sizes.
 */
interface FlowResult {
  readonly sent: number;
  readonly lost: number;
  readonly doubled: number;
  /** Arrived behind one that was sent later. */
  readonly late: number;
}

const PORT = 7_007;
/** What the socket of a gateway without larger buffers holds: of its 200 kB the kernel counts some 1,500 octets for each, however small. */
const ON_THE_WAY = 96;
/** After which a datagram is taken for lost, and another one may go in its place. */
const PATIENCE_MS = 3_000;
const SMALLEST = 8;
const LARGEST = 1_300;
const [, , role, ...addresses] = process.argv;

if (role === "mirror") await mirror(addresses[0] ?? "");
else console.log(JSON.stringify(await send(addresses[0] ?? "", addresses[1] ?? "")));

async function mirror(address: string): Promise<void> {
  const socket = await bound(PORT, address);
  socket.on("message", (message, from) => socket.send(message, from.port, from.address));
  console.log("ready");
}

async function send(source: string, target: string): Promise<FlowResult> {
  const socket = await bound(0, source);
  /** Since when each is on its way. */
  const open = new Map<number, number>();
  const lost = new Set<number>();
  const payload = Buffer.alloc(LARGEST);
  let sent = 0;
  let doubled = 0;
  let late = 0;
  let highest = -1;
  let isEnding = false;
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const fill = () => {
    while (!isEnding && open.size < ON_THE_WAY) {
      payload.writeUInt32BE(sent, 0);
      open.set(sent, performance.now());
      socket.send(Buffer.from(payload.subarray(0, SMALLEST + ((sent * 37) % (LARGEST - SMALLEST)))), PORT, target);
      sent++;
    }
    if (isEnding && open.size === 0) resolve();
  };
  socket.on("message", (message) => {
    const number = message.readUInt32BE(0);
    if (highest < 0) console.log("answered");
    if (!open.delete(number) && !lost.delete(number)) doubled++;
    if (number < highest) late++;
    highest = Math.max(highest, number);
    fill();
  });
  process.stdin.resume().on("end", () => {
    isEnding = true;
    fill();
  });
  const watch = setInterval(() => {
    const now = performance.now();
    for (const [number, at] of open) {
      if (now - at <= PATIENCE_MS) break;
      open.delete(number);
      lost.add(number);
    }
    fill();
  }, 100);
  fill();
  await done;
  clearInterval(watch);
  socket.close();
  return { sent, lost: lost.size, doubled, late };
}

function bound(port: number, address: string): Promise<Socket> {
  const socket = createSocket({ type: "udp4", recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
  return new Promise((resolve) => socket.bind(port, address, () => resolve(socket)));
}
