import type { DataPlane } from "../dataplane/data-plane.ts";
import { TunDataPlane } from "../dataplane/tun/tun-data-plane.ts";
import { openBypassedSocket } from "../dataplane/xfrm/ike-socket.ts";
import { whyNoKernelEsp } from "../dataplane/xfrm/kernel-probe.ts";
import { XfrmDataPlane } from "../dataplane/xfrm/xfrm-data-plane.ts";
import { gcmLibrary } from "../dataplane/ffi/gcm-library.ts";
import { sourceAddressTo } from "../dataplane/ffi/source-address.ts";
import { UnfragmentedSender } from "../dataplane/ffi/unfragmented-sender.ts";
import { Endpoint } from "../ike/endpoint.ts";
import type { EngineFactories, PlaneSettings } from "./engine.ts";
import { NetworkWatch } from "./network-watch.ts";
import { UdpTransport } from "./udp-transport.ts";

/** The parts of a gateway that runs on this machine: ESP of the kernel or behind a TUN device, UDP sockets, the IKE engine. Loads native code. */
export const machineFactories: EngineFactories = {
  openPlane,
  openTransport: ({ bypassesPolicies, ...options }) => UdpTransport.open({ ...options, ...(bypassesPolicies ? { openSocket: openBypassedSocket } : {}) }),
  openWholeSender: () => UnfragmentedSender.open(),
  watchNetwork: (onChange) => new NetworkWatch(onChange),
  createEndpoint: (options, random) => new Endpoint({ ...options, sourceOf: sourceAddressTo }, random),
};

/** The kernel's plane where it can be had, unless the configuration says which. Why it is which is in the plane's capabilities. */
async function openPlane({ kind, tunName, tunMtu, natPort, outboundWorkers, inboundWorkers, espOffload }: PlaneSettings): Promise<DataPlane> {
  const tun = (why: string) => {
    const reason = `${why}; AES-GCM by ${gcmLibrary()?.name ?? "OpenSSL"}`;
    return TunDataPlane.create({ tunName, mtu: tunMtu, natPort, reason, outboundWorkers, inboundWorkers });
  };
  if (kind === "tun") return tun("userspace ESP through a TUN device, as configured");
  try {
    const missing = whyNoKernelEsp();
    if (missing !== null) throw new Error(missing);
    return await XfrmDataPlane.create({
      natPort,
      interfaceMtu: tunMtu,
      espOffload,
      reason: `ESP of the kernel${kind === "kernel" ? ", as configured" : ", which has it"}`,
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (kind === "kernel") throw new Error(`the configuration asks for the kernel's data plane: ${reason}`);
    return tun(`userspace ESP through a TUN device: ${reason}`);
  }
}
