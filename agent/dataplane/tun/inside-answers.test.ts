import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { buildUdp } from "../../testing/inner-packets.ts";
import { makeIpPacketView, readIpPacket } from "../../wire/ip.ts";
import { Arena } from "../ffi/arena.ts";
import { VNET_HEADER_OCTETS } from "../ffi/tun-device.ts";
import { InsideAnswers } from "./inside-answers.ts";

/* A file stands in for the device. */
const directory = mkdtempSync(join(tmpdir(), "cvdt-answers-"));
const file = join(directory, "device");
const arena = new Arena(1 << 20);
const start = arena.allocate(2_048);
const view = makeIpPacketView();

afterAll(() => rmSync(directory, { recursive: true }));

test("errors are limited in rate, those about size by themselves (RFC 4443 §2.4(f), RFC 1812 §4.3.2.8)", () => {
  const packet = buildUdp("10.1.0.1", "10.2.0.1", 9);
  arena.bytes.set(packet, start);
  if (!readIpPacket(arena.bytes, start, start + packet.length, view)) throw new Error("not a packet");
  const fd = openSync(file, "w");
  const answers = new InsideAnswers(arena, fd);
  const answered = () => readFileSync(file).length / (VNET_HEADER_OCTETS + 28 + packet.length);
  for (let i = 0; i < 2_000; i++) answers.tooBig(view, start, 1_400, 10);
  expect(answered()).toBe(500);
  for (let i = 0; i < 2_000; i++) answers.unreachable(view, start, "noPeer", 1_009);
  expect(answered()).toBe(500 + 50);
  answers.tooBig(view, start, 1_400, 1_009);
  expect(answered()).toBe(500 + 50);
  answers.tooBig(view, start, 1_400, 1_010);
  expect(answered()).toBe(500 + 50 + 1);
  closeSync(fd);
});
