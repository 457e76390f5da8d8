import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { desiredState } from "../contract/desired-state.ts";
import { Endpoint } from "../agent/ike/endpoint.ts";
import type { Input } from "../agent/ike/endpoint-types.ts";
import { endpointDefaults } from "../agent/runtime/endpoint-options.ts";
import { toLinkConfig } from "../agent/runtime/link-config.ts";

/*
 * `node bench/ike-initiator.ts STATE.json ADDRESS`: the IKE engine on two UDP sockets, without a data plane, as the initiator of many
 * links at once. Each line `up N` on standard input brings the links up with N handshakes under way at a time, `down` takes them down,
 * `rekey` rekeys every IKE SA, `timed MS` brings one after the other up and down for so long and tells how long each took, `watch MS` waits until
 * both SAs of every link have been rekeyed, by whichever end, or so long; each answers with a line of JSON when all are done.
 */

const [file = "", address = ""] = process.argv.slice(2);
const state = desiredState.parse(JSON.parse(readFileSync(file, "utf8")));
const endpoint = new Endpoint(
  { ...endpointDefaults, ikePort: 500, natPort: 4500, retransmitTries: 8 },
  { bytes: (length) => new Uint8Array(randomBytes(length)) },
);
const sockets = { 500: createSocket("udp4"), 4500: createSocket("udp4") };
const marker = Buffer.alloc(4);
let timer: NodeJS.Timeout | null = null;
let onEvent: (kind: string, text: string, linkId: string | null) => void = () => undefined;

for (const [port, socket] of Object.entries(sockets)) {
  await new Promise<void>((resolve) => socket.bind(Number(port), address, resolve));
  socket.on("message", (bytes, from) => receive(Number(port), bytes, from));
}
for (const link of state.links) give({ kind: "setLink", link: { ...toLinkConfig(link, [link.remote.address ?? ""], true), initiate: "respond" } });
say({ ready: state.links.length });
for await (const line of createInterface({ input: process.stdin })) {
  const [command, argument] = line.split(" ");
  if (command === "up") say(await bringUp(Number(argument)));
  else if (command === "down") say(await forEach("ikeSaDeleted", (linkId) => ({ kind: "down", linkId })));
  else if (command === "timed") say(await timed(Number(argument)));
  else if (command === "watch") say(await watch(Number(argument)));
  else if (command === "rekey") say(await forEach("ikeSaRekeyed", (linkId) => ({ kind: "rekey", linkId, what: "ike" })));
}

/** Handshakes one after the other, a few of them a second; milliseconds each. One that fails counts with all its attempts. */
async function timed(forMs: number): Promise<unknown> {
  const times: number[] = [];
  const end = performance.now() + forMs;
  for (let i = 0; performance.now() < end; i = (i + 1) % state.links.length) {
    const { id } = state.links[i]!;
    const began = performance.now();
    await new Promise<void>((resolve) => {
      onEvent = (kind) => {
        if (kind === "childSaEstablished") resolve();
      };
      give({ kind: "up", linkId: id });
    });
    times.push(performance.now() - began);
    onEvent = () => undefined;
    give({ kind: "down", linkId: id });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { times };
}

/** Links whose IKE SA, and whose Child SA, has been rekeyed at least once; what was lost meanwhile. */
function watch(forMs: number): Promise<unknown> {
  const started = performance.now();
  const seen = { ike: new Set<string>(), child: new Set<string>() };
  let lost = 0;
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(deadline);
      onEvent = () => undefined;
      resolve({ ike: seen.ike.size, child: seen.child.size, lost, milliseconds: performance.now() - started });
    };
    const deadline = setTimeout(finish, forMs);
    onEvent = (kind, _text, linkId) => {
      if (kind === "ikeSaRekeyed" && linkId !== null) seen.ike.add(linkId);
      else if (kind === "childSaRekeyed" && linkId !== null) seen.child.add(linkId);
      else if (kind === "linkDown" || kind === "failed") lost += 1;
      else return;
      if (seen.ike.size === state.links.length && seen.child.size === state.links.length) finish();
    };
  });
}

function receive(port: number, bytes: Uint8Array, from: { address: string; port: number }): void {
  // On the NAT-T port four zero octets mark IKE (RFC 3948 §2.2); the rest is ESP, which nobody is here for.
  if (port === 4500 && (bytes.length < 4 || bytes.subarray(0, 4).some((octet) => octet !== 0))) return;
  give({ kind: "datagram", local: { address, port }, remote: { address: from.address, port: from.port }, bytes: port === 4500 ? bytes.subarray(4) : bytes });
}

function give(input: Input): void {
  for (const effect of endpoint.handle(input, Date.now())) {
    if (effect.kind === "transmit") {
      const bytes = effect.encapsulated ? [marker, effect.bytes] : [effect.bytes];
      sockets[effect.encapsulated ? 4500 : 500].send(bytes, effect.remote.port, effect.remote.address);
    } else if (effect.kind === "event") {
      const { event } = effect;
      onEvent(event.kind, event.kind === "failed" ? event.sentence : "", event.linkId);
    }
  }
  arm();
}

function arm(): void {
  if (timer !== null) clearTimeout(timer);
  const next = endpoint.nextTimer();
  timer = next === null ? null : setTimeout(() => give({ kind: "timer" }), Math.min(Math.max(next.at - Date.now(), 0), 60_000));
}

/** Resolves with the milliseconds it took; `failures` are the sentences of those that did not come up at first. */
function bringUp(atOnce: number): Promise<unknown> {
  const started = performance.now();
  const waiting = state.links.map((link) => link.id);
  const failures: string[] = [];
  let up = 0;
  return new Promise((resolve) => {
    const next = (): void => {
      const linkId = waiting.shift();
      if (linkId !== undefined) give({ kind: "up", linkId });
    };
    onEvent = (kind, text) => {
      if (kind === "failed") failures.push(text);
      if (kind !== "childSaEstablished") return;
      up += 1;
      if (up === state.links.length) resolve({ up, milliseconds: performance.now() - started, failures: failures.slice(0, 3) });
      else setImmediate(next);
    };
    for (let i = 0; i < atOnce; i++) next();
  });
}

/** One command for each link, all at once, until as many events of the kind have come. */
function forEach(event: "ikeSaDeleted" | "ikeSaRekeyed", input: (linkId: string) => Input): Promise<unknown> {
  const started = performance.now();
  let done = 0;
  return new Promise((resolve) => {
    onEvent = (kind) => {
      if (kind !== event) return;
      done += 1;
      if (done === state.links.length) resolve({ done, milliseconds: performance.now() - started });
    };
    for (const link of state.links) give(input(link.id));
  });
}

function say(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
