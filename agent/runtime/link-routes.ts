import type { DesiredLink } from "../../contract/desired-state.ts";
import type { LinkConfig } from "../ike/endpoint-types.ts";
import { linkMtu } from "./mtu.ts";
import type { LinkRoutes } from "./routes.ts";

/** What a running link needs of the routing table; `device` undefined: it has none of its own. */
export function routesOf({ desired, config }: { readonly desired: DesiredLink; readonly config: LinkConfig }, device: string | undefined): LinkRoutes {
  // In transport mode nothing is routed anywhere: the packets are the gateway's own.
  const routed = desired.children.filter(({ mode = "tunnel" }) => mode === "tunnel");
  const outerFamily = config.remoteAddresses.some((address) => address.includes(":")) || config.localAddress?.includes(":") ? 6 : 4;
  return {
    linkId: desired.id,
    localNetworks: routed.flatMap((child) => child.localNetworks),
    remoteNetworks: routed.flatMap((child) => child.remoteNetworks),
    peers: config.remoteAddresses,
    ...(device === undefined ? {} : { device }),
    mtu: linkMtu(desired, outerFamily),
  };
}
