import { ok, strictEqual } from "node:assert/strict";
import { writeFileSync } from "node:fs";
import {
  answered,
  Cases,
  elsewhere,
  flushBoth,
  gcm,
  installBoth,
  left,
  listen,
  makeNamespaces,
  planeIn,
  type Planes,
  receiveElsewhere,
  right,
  run,
  spiOf,
  states,
} from "./xfrm-pair.ts";

/*
 * SAs that move between two planes of the kernel (xfrm-pair.ts), and do not where the kernel tells no keys. It does not until it is started anew, so nothing else may come after this. Prints
 * one JSON object: the name of each case and null, or what went wrong.
 */
const ECHOES = 5;
const cases = new Cases();

makeNamespaces();
const planes = { left: await planeIn(left), right: await planeIn(right) };
await cases.report("an SA that moves is sealed with its key at the other address", () => moved(planes).finally(() => flushBoth(planes)));
await run("mount", ["-t", "securityfs", "none", "/sys/kernel/security"]);
writeFileSync("/sys/kernel/security/lockdown", "confidentiality");
await cases.report("one whose key the kernel keeps to itself is over, and no other is in its place", () => withheld(planes).finally(() => flushBoth(planes)));
await Promise.all([planes.left.close(), planes.right.close()]);
console.log(JSON.stringify(cases.outcomes));

async function moved({ left: mine, right: peer }: Planes): Promise<void> {
  await installBoth(planes, { keys: gcm });
  const spi = spiOf("left", "outbound");
  await receiveElsewhere(planes, { keys: gcm });
  await mine.updateSa("outbound", spi, elsewhere);
  strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", ECHOES), ECHOES);
  strictEqual(peer.querySa("inbound", spi)?.packets, ECHOES);
}

async function withheld({ left: mine }: Planes): Promise<void> {
  await installBoth(planes, { keys: gcm });
  const heard = listen(mine);
  strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", ECHOES), ECHOES);
  await mine.updateSa("outbound", spiOf("left", "outbound"), elsewhere);
  const event = await heard.next("expire");
  ok(event.kind === "expire" && event.hard && event.spi === spiOf("left", "outbound"));
  ok(!(await states()).some((state) => state.includes(`dst ${elsewhere.address}`)));
}
