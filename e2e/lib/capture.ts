import { readFileSync, statSync } from "node:fs";
import type { Namespace } from "./namespaces.ts";
import { pollUntil } from "./poll.ts";

/** What a datagram seen on the way carries, told by its ports and its first octets (RFC 3948 §2). */
export type PacketKind = "ike" | "esp" | "keepalive" | "other";

export interface CapturedPacket {
  readonly kind: PacketKind;
  /** The IP packet, from its first octet. */
  readonly ip: Uint8Array;
  /** What UDP carries; empty for anything but UDP over IPv4. */
  readonly payload: Uint8Array;
  readonly destinationPort: number;
}

export interface Capture {
  /** Ends the capture and returns every packet seen. */
  stop(): Promise<CapturedPacket[]>;
}

/** Records whole packets that pass a device with tcpdump. It has begun when this resolves. */
export async function startCapture(where: Namespace, device: string, file: string): Promise<Capture> {
  const program = where.start(["tcpdump", "-i", device, "-s", "0", "-U", "-B", "8192", "--immediate-mode", "-Z", "root", "-w", file], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  program.stderr?.on("data", (bytes: Buffer) => {
    said += bytes.toString("utf8");
  });
  const ended = new Promise<void>((resolve) => program.once("close", () => resolve()));
  await pollUntil(
    "tcpdump to listen",
    5_000,
    async () => (/listening on/.test(said) ? true : undefined),
    () => said,
  );
  return {
    async stop() {
      await settled(file);
      program.kill("SIGINT");
      await ended;
      return readPackets(readFileSync(file));
    },
  };
}

/** tcpdump forgets what it has not read when it is ended: waits until the file has stopped growing for a moment. */
async function settled(file: string): Promise<void> {
  let size = -1;
  await pollUntil(
    "the capture file to stop growing",
    5_000,
    async () => {
      const before = size;
      ({ size } = statSync(file));
      return size === before ? true : undefined;
    },
    () => `It has ${size} octets`,
    150,
  );
}

const fileHeaderOctets = 24;
const recordHeaderOctets = 16;
const ethernetOctets = 14;

/** The packets of a little-endian pcap file of Ethernet frames. */
function readPackets(file: Buffer): CapturedPacket[] {
  const packets: CapturedPacket[] = [];
  for (let at = fileHeaderOctets; at + recordHeaderOctets <= file.length; ) {
    const length = file.readUInt32LE(at + 8);
    const frame = file.subarray(at + recordHeaderOctets, at + recordHeaderOctets + length);
    packets.push(classify(frame));
    at += recordHeaderOctets + length;
  }
  return packets;
}

function classify(frame: Buffer): CapturedPacket {
  const ip = frame.subarray(ethernetOctets);
  const isIpv4 = frame.readUInt16BE(12) === 0x0800;
  if (!isIpv4 || ip[9] === undefined) return { kind: "other", ip, payload: new Uint8Array(), destinationPort: 0 };
  const protocol = ip[9];
  if (protocol === 50) return { kind: "esp", ip, payload: new Uint8Array(), destinationPort: 0 };
  const headerOctets = ((ip[0] ?? 0) & 0x0f) * 4;
  if (protocol !== 17 || ip.length < headerOctets + 8) return { kind: "other", ip, payload: new Uint8Array(), destinationPort: 0 };
  const ports = [ip.readUInt16BE(headerOctets), ip.readUInt16BE(headerOctets + 2)] as const;
  const payload = ip.subarray(headerOctets + 8);
  return { kind: kindOf(ports, payload), ip, payload, destinationPort: ports[1] };
}

function kindOf(ports: readonly [number, number], payload: Buffer): PacketKind {
  if (ports.includes(500)) return "ike";
  if (!ports.includes(4_500)) return "other";
  if (payload.length === 1 && payload[0] === 0xff) return "keepalive";
  if (payload.length < 8) return "other";
  return payload.readUInt32BE(0) === 0 ? "ike" : "esp";
}
