import type { DataPlane } from "../dataplane/data-plane.ts";
import { TunDataPlane } from "../dataplane/tun/tun-data-plane.ts";
import { openBypassedSocket } from "../dataplane/xfrm/ike-socket.ts";
import { whyNoKernelEsp } from "../dataplane/xfrm/kernel-probe.ts";
import { removeLeftovers } from "../dataplane/xfrm/leftovers.ts";
import { XfrmDataPlane } from "../dataplane/xfrm/xfrm-data-plane.ts";
import { gcmLibrary } from "../dataplane/ffi/gcm-library.ts";
import { sourceAddressTo } from "../dataplane/ffi/source-address.ts";
import { UnfragmentedSender } from "../dataplane/ffi/unfragmented-sender.ts";
import { Endpoint } from "../ike/endpoint.ts";
import type { EngineFactories, PlaneSettings } from "./engine.ts";
import { NetworkWatch } from "./network-watch.ts";
import { Routes } from "./routes.ts";
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
async function openPlane(settings: PlaneSettings): Promise<DataPlane> {
  const { kind, tunMtu, natPort, espOffload } = settings;
  if (kind === "tun") return openTun(settings, "userspace ESP through a TUN device, as configured");
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
    return openTun(settings, `userspace ESP through a TUN device: ${reason}`);
  }
}

async function openTun({ tunName, tunMtu, natPort, outboundWorkers, inboundWorkers }: PlaneSettings, why: string): Promise<DataPlane> {
  const reason = [why, ...(await sweepKernel()), `AES-GCM by ${gcmLibrary()?.name ?? "OpenSSL"}`].join("; ");
  return TunDataPlane.create({ tunName, mtu: tunMtu, natPort, reason, outboundWorkers, inboundWorkers });
}

/** The run before may have used the kernel and been killed: what it left would take packets away from the device. Removes it; returns a sentence why, where it cannot. */
async function sweepKernel(): Promise<string[]> {
  try {
    await removeLeftovers(() => new Routes(null).removeLeftovers());
    return [];
  } catch (error) {
    return [`what an earlier run may have left in the kernel could not be removed (${error instanceof Error ? error.message : String(error)})`];
  }
}
