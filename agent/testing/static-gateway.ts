import { createInterface } from "node:readline";
import { TunDataPlane } from "../dataplane/tun/tun-data-plane.ts";
import { parseSelector } from "../ipsec/traffic-selector.ts";
import { Encr, Integ } from "../wire/iana.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";
import type { SaKeys } from "../crypto/sa-keys.ts";

/**
 * A gateway without IKE, for tests and benchmarks of the data plane: one SA in each direction from its arguments (one JSON object).
 * Prints `ready`; each line on standard input is a command (`counters`, `rekey`) answered by one line of JSON. Ends with standard input.
 */
interface Arguments {
  readonly local: string;
  readonly remote: string;
  readonly localNetwork: string;
  readonly remoteNetwork: string;
  readonly suite: keyof typeof suites;
  /** Decides which SPI and key is for which direction: the peer has the other. */
  readonly side: "left" | "right";
  readonly mtu: number;
}

const suites = {
  aes128gcm16: { encr: Encr.AES_GCM_16, keyOctets: 16, saltOctets: 4, integ: Integ.NONE, integOctets: 0 },
  aes256gcm16: { encr: Encr.AES_GCM_16, keyOctets: 32, saltOctets: 4, integ: Integ.NONE, integOctets: 0 },
  chacha20poly1305: { encr: Encr.CHACHA20_POLY1305, keyOctets: 32, saltOctets: 4, integ: Integ.NONE, integOctets: 0 },
  "aes256-sha256": { encr: Encr.AES_CBC, keyOctets: 32, saltOctets: 0, integ: Integ.HMAC_SHA2_256_128, integOctets: 32 },
  "aes128ctr-sha256": { encr: Encr.AES_CTR, keyOctets: 16, saltOctets: 4, integ: Integ.HMAC_SHA2_256_128, integOctets: 32 },
} as const;

const options: Arguments = JSON.parse(process.argv[2] ?? "{}");
const plane = await TunDataPlane.create({ tunName: "culvert0", mtu: options.mtu, natPort: 4_500 });
const local = { address: options.local, port: 4_500 };
const remote = { address: options.remote, port: 4_500 };
const localSelectors = [parseSelector(options.localNetwork)];
const remoteSelectors = [parseSelector(options.remoteNetwork)];
let generation = 0;
plane.onEvent((event) => console.error(JSON.stringify(event)));
await install();
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await obey(line)));
await plane.close();

async function install(): Promise<void> {
  const spiIn = spi(options.side);
  const spiOut = spi(options.side === "left" ? "right" : "left");
  const common = { extendedSequenceNumbers: false, mode: "tunnel", local, remote, encapsulation: "udp" } as const;
  const childSaId = `static-${generation}`;
  await plane.installSa({
    ...common,
    childSaId,
    direction: "inbound",
    spi: spiIn,
    keys: keysFor(spiIn),
    replayWindowPackets: 1_024,
    localSelectors,
    remoteSelectors,
  });
  await plane.installSa({ ...common, childSaId, direction: "outbound", spi: spiOut, keys: keysFor(spiOut) });
  await plane.installPolicy({ id: "static", localSelectors, remoteSelectors, action: { kind: "protect", spi: spiOut } });
}

function spi(side: "left" | "right"): EspSpi {
  return ((side === "left" ? 0x1000 : 0x2000) + generation) as EspSpi;
}

/** Fixed keys: this never leaves a test's own namespaces. */
function keysFor(of: EspSpi): SaKeys {
  const suite = suites[options.suite];
  const octets = (length: number, salt: number) => Uint8Array.from({ length }, (_, i) => (of * 7 + i * 13 + salt) & 0xff);
  return {
    encr: suite.encr,
    encryptionKey: octets(suite.keyOctets, 1),
    salt: octets(suite.saltOctets, 2),
    integ: suite.integ,
    integrityKey: octets(suite.integOctets, 3),
  };
}

async function obey(line: string): Promise<unknown> {
  if (line === "rekey") {
    generation++;
    await install();
    return { generation };
  }
  const other = options.side === "left" ? "right" : "left";
  return { inbound: plane.querySa("inbound", spi(options.side)), outbound: plane.querySa("outbound", spi(other)), global: plane.globalDrops() };
}
