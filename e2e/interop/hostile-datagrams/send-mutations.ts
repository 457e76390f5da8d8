import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/**
 * `send-mutations.ts SEEDS.json ADDRESS SEED COUNT`: sends every truncation of each sample, then COUNT of them with octets changed
 * at random, from a port of its own. The same SEED sends the same octets.
 */
const [file = "", address = "", seedText = "1", countText = "0"] = process.argv.slice(2);
const samples: { port: number; hex: string }[] = JSON.parse(readFileSync(file, "utf8"));
const originals = samples.map(({ port, hex }) => ({ port, bytes: Buffer.from(hex, "hex") }));

/** A small burst at a time: what is lost to a full socket buffer has tested nothing. */
const burst = 100;
const pauseMilliseconds = 10;

const socket = createSocket("udp4");
let sent = 0;
let state = Number(seedText) >>> 0 || 1;

for (const { port, bytes } of originals) {
  for (let length = 0; length < bytes.length; length++) await send(port, bytes.subarray(0, length));
}
for (let index = 0; index < Number(countText); index++) {
  const original = originals[random(originals.length)];
  if (original === undefined) throw new Error("no samples");
  const bytes = Buffer.from(original.bytes);
  for (let changes = 1 + random(4); changes > 0; changes--) bytes[random(bytes.length)] = random(256);
  await send(original.port, random(8) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes);
}
socket.close();
process.stdout.write(`${sent}\n`);

async function send(port: number, bytes: Buffer): Promise<void> {
  socket.send(bytes, port, address);
  if (++sent % burst === 0) await delay(pauseMilliseconds);
}

/** xorshift32: an integer from 0 to `below` − 1. */
function random(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  state >>>= 0;
  return state % below;
}
