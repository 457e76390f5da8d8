import { Encr, Integ } from "../../wire/iana.ts";
import { Reqids } from "./ownership.ts";
import { type KernelSa, saIdOf } from "./sa-messages.ts";
import { XfrmKernel } from "./xfrm-kernel.ts";

/**
 * Null when this kernel does ESP with AES-GCM and lets us tell it what to protect; else why not, in a sentence. Tried with an SA that no packet can
 * come to: it is between two loopback addresses and gone at once.
 */
export function whyNoKernelEsp(): string | null {
  let kernel: XfrmKernel | null = null;
  try {
    kernel = XfrmKernel.open();
    const sa = probe(new Reqids().next());
    kernel.addSa(sa);
    kernel.deleteSa(saIdOf(sa));
    return null;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `no ESP of the kernel can be used (${reason})`;
  } finally {
    kernel?.close();
  }
}

function probe(reqid: number): KernelSa {
  const [spi = 0] = crypto.getRandomValues(new Uint32Array(1));
  return {
    direction: "inbound",
    // Those below 256 are reserved (RFC 4303 §2.1).
    spi: (spi | 0x100) >>> 0,
    reqid,
    protocol: "esp",
    mode: "tunnel",
    local: { address: "127.0.0.1", port: 0 },
    remote: { address: "127.0.0.2", port: 0 },
    encapsulation: "none",
    extendedSequenceNumbers: true,
    replayWindowPackets: 64,
    selector: null,
    ifId: 0,
    offload: false,
    keys: {
      encr: Encr.AES_GCM_16,
      encryptionKey: crypto.getRandomValues(new Uint8Array(16)),
      salt: new Uint8Array(4),
      integ: Integ.NONE,
      integrityKey: new Uint8Array(0),
    },
  };
}
