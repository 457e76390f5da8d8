import { describe, expect, it } from "vitest";
import { goldenPackets } from "./golden/packets.ts";
import { requireAllowedPayloads } from "./exchange-payloads.ts";
import { parseMessage, parsePayloads, refuseUnknownCritical, serializeMessage } from "./message.ts";
import { IkeProtocolError } from "./protocol-error.ts";

/** FUZZ_COUNT mutations of each golden packet; FUZZ_SEED repeats a run. */
const COUNT = Number(process.env["FUZZ_COUNT"] ?? 100_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 32)) >>> 0;
const ROUNDS = 10;
const HEAP_ALLOWANCE = 24 * 1024 * 1024;

/** mulberry32: small, seedable, good enough to pick octets. */
function makeRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const INTERESTING = [0, 1, 2, 3, 4, 7, 8, 0x10, 0x20, 0x7f, 0x80, 0xfe, 0xff, 33, 34, 40, 41, 42, 44, 45, 46, 53];

function mutate(original: Uint8Array, random: (below: number) => number): Uint8Array {
  const cut = random(4) === 0 ? random(original.length + 1) : original.length;
  const bytes = original.slice(0, cut);
  for (let edits = 1 + random(6); edits > 0 && bytes.length > 0; edits--) {
    bytes[random(bytes.length)] = random(2) === 0 ? INTERESTING[random(INTERESTING.length)]! : random(256);
  }
  // Mostly a right length field, or nothing behind the header would ever be reached.
  if (bytes.length >= 28 && random(8) !== 0) new DataView(bytes.buffer).setUint32(24, bytes.length);
  return bytes;
}

/** Parses as the engine would, the payload area also as if it had been decrypted. Any error but IkeProtocolError escapes. */
function feed(bytes: Uint8Array): "parsed" | "refused" {
  let outcome: "parsed" | "refused" = "refused";
  for (const parse of [() => acceptWhole(bytes), () => void parsePayloads(bytes[16] ?? 0, bytes.subarray(28))]) {
    try {
      parse();
      outcome = "parsed";
    } catch (error) {
      if (!(error instanceof IkeProtocolError)) throw error;
    }
  }
  return outcome;
}

function acceptWhole(bytes: Uint8Array): void {
  const message = parseMessage(bytes);
  const again = serializeMessage(message.header, message.payloads);
  if (again.length !== bytes.length) throw new Error("A message that was accepted has another length when written back.");
  refuseUnknownCritical(message.payloads);
  requireAllowedPayloads(message.header.exchangeType, "clear", message.payloads);
}

describe("hostile IKE messages", () => {
  it(`give an IkeProtocolError or a message, never anything else (${COUNT} mutations a packet, FUZZ_SEED=${SEED})`, { timeout: 180_000 }, () => {
    console.info(`FUZZ_SEED=${SEED} FUZZ_COUNT=${COUNT}`);
    const traceLimit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0; // a stack for each of a million expected errors would be most of the time
    const random = makeRandom(SEED);
    const outcomes = { parsed: 0, refused: 0 };
    const heap: number[] = [];
    try {
      for (let round = 0; round < ROUNDS; round++) {
        for (const { name, bytes } of goldenPackets) {
          for (let index = 0; index < COUNT / ROUNDS; index++) {
            const mutated = mutate(bytes, random);
            try {
              outcomes[feed(mutated)]++;
            } catch (error) {
              throw new Error(`FUZZ_SEED=${SEED}, a mutation of ${name}: ${Buffer.from(mutated).toString("hex")}`, { cause: error });
            }
          }
        }
        globalThis.gc?.();
        heap.push(process.memoryUsage().heapUsed);
      }
    } finally {
      Error.stackTraceLimit = traceLimit;
    }
    expect(outcomes.parsed).toBeGreaterThan(0);
    expect(outcomes.refused).toBeGreaterThan(0);
    // Garbage makes single readings jump; what grows shows in the lowest reading of the second half.
    const half = ROUNDS / 2;
    expect(Math.min(...heap.slice(half)) - Math.min(...heap.slice(0, half))).toBeLessThan(HEAP_ALLOWANCE);
  });
});
