import { TunDataPlane } from "../dataplane/tun/tun-data-plane.ts";
import { UnfragmentedSender } from "../dataplane/ffi/unfragmented-sender.ts";
import { Endpoint } from "../ike/endpoint.ts";
import type { EngineFactories } from "./engine.ts";
import { NetworkWatch } from "./network-watch.ts";
import { UdpTransport } from "./udp-transport.ts";

/** The parts of a gateway that runs on this machine: a TUN device, UDP sockets, the IKE engine. Loads native code. */
export const machineFactories: EngineFactories = {
  openPlane: ({ tunName, tunMtu, natPort }) => TunDataPlane.create({ tunName, mtu: tunMtu, natPort }),
  openTransport: (options) => UdpTransport.open(options),
  openWholeSender: () => UnfragmentedSender.open(),
  watchNetwork: (onChange) => new NetworkWatch(onChange),
  createEndpoint: (options, random) => new Endpoint(options, random),
};
