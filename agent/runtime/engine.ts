import type { DesiredState } from "../../contract/desired-state.ts";
import type { RevocationQuery, RevocationSource } from "../crypto/revocation.ts";
import type { UdpEndpoint } from "../ipsec/security-association.ts";
import type { DataPlane } from "../dataplane/data-plane.ts";
import type { EndpointOptions, IkeEndpoint, IkeEvent, RandomSource, TraceSource } from "../ike/endpoint-types.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";
import { Driver, type DriverParts, type IkeTransport } from "./driver.ts";
import { endpointDefaults } from "./endpoint-options.ts";
import type { ResolveHost } from "./peer-addresses.ts";
import type { RunIp } from "./peer-ways.ts";
import { Routes } from "./routes.ts";
import type { Clock } from "./system-clock.ts";
import { defaultTunMtu } from "./mtu.ts";

export type GatewaySettings = DesiredState["gateway"];

/** A transport that the engine opened and must close. */
export interface OwnedTransport extends IkeTransport {
  close(): void;
}

/** Makes the parts that touch the machine; the agent's tests give others. */
export interface EngineFactories {
  openPlane(settings: PlaneSettings): Promise<DataPlane>;
  openTransport(settings: {
    readonly port: number;
    /** Its packets must be kept from the kernel's policies. */
    readonly bypassesPolicies: boolean;
    readonly onDatagram: (datagram: ReceivedIke) => void;
    readonly onFault: (sentence: string) => void;
  }): Promise<OwnedTransport>;
  createEndpoint(options: EndpointOptions, random: RandomSource): IkeEndpoint;
  /** Sends datagrams that may not be fragmented; absent, or null where the kernel has none: paths are not probed. */
  readonly openWholeSender?: () => WholeSender | null;
  readonly runIp?: RunIp;
  /** Literal addresses of a host name; rejects when it does not resolve. Absent: the machine's resolver is asked. */
  readonly resolveHost?: ResolveHost;
  /** Calls back after changes of the machine's interfaces and addresses; absent: nobody watches. */
  readonly watchNetwork?: (onChange: () => void) => { close(): void };
}

export interface WholeSender {
  send(local: UdpEndpoint, remote: UdpEndpoint, datagram: Uint8Array): boolean;
  close(): void;
}

export interface PlaneSettings {
  readonly kind: "auto" | "tun" | "kernel";
  readonly tunName: string;
  readonly tunMtu: number;
  readonly natPort: number;
  readonly outboundWorkers: number;
  readonly inboundWorkers: number;
  /** Of the kernel's plane: ESP is offered to network cards. */
  readonly espOffload: boolean;
}

export interface ReceivedIke {
  readonly local: { readonly address: string; readonly port: number };
  readonly remote: { readonly address: string; readonly port: number };
  readonly bytes: Uint8Array;
}

export interface EngineOptions {
  readonly factories: EngineFactories;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly onEvent: (event: IkeEvent) => void;
  readonly onTrace: (entry: TraceSource) => void;
  readonly revocation: RevocationSource;
  readonly onRevocationQuery: (query: RevocationQuery) => void;
  readonly onPlaneFailed: (reason: string) => void;
  readonly onPlaneFault: DriverParts["onPlaneFault"];
  readonly onFault: (sentence: string) => void;
}

/** One running set of device, sockets and IKE endpoint, made from a gateway's settings; other settings need another engine. */
export interface Engine {
  readonly settings: GatewaySettings;
  readonly plane: DataPlane;
  readonly endpoint: IkeEndpoint;
  readonly driver: Driver;
  readonly transport: OwnedTransport;
  readonly routes: Routes;
  readonly wholeSender: WholeSender | null;
  readonly onFault: (sentence: string) => void;
}

/** Rejects with a sentence when the device or the ports cannot be had, or are lost again meanwhile; nothing is left open then. */
export async function openEngine(settings: GatewaySettings, options: EngineOptions): Promise<Engine> {
  const { factories, clock, onEvent, onTrace, onRevocationQuery, onPlaneFailed, onPlaneFault, onFault } = options;
  const plane = await factories.openPlane(planeSettings(settings));
  const closing: (() => void | Promise<void>)[] = [() => plane.close()];
  try {
    const followsPolicies = plane.capabilities.steering === "policies";
    // Where the kernel protects packets, it also knows how large they may be.
    const wholeSender = followsPolicies ? null : (factories.openWholeSender?.() ?? null);
    closing.push(() => wholeSender?.close());
    const endpoint = createEndpoint(settings, options, plane, wholeSender !== null);
    let driver: Driver | null = null;
    const transport = await factories.openTransport({
      port: settings.ikePort,
      bypassesPolicies: followsPolicies,
      onDatagram: (datagram) => driver?.receive(datagram),
      onFault,
    });
    closing.push(() => transport.close());
    // Until there is an engine nobody could make another in its place: one whose plane fails meanwhile is none.
    let failure: string | null = null;
    let isOpen = false;
    driver = new Driver({
      endpoint,
      plane,
      transport,
      natPort: settings.natPort,
      clock,
      sendWhole: (local, remote, datagram) => void wholeSender?.send(local, remote, datagram),
      onEvent,
      onTrace,
      onRevocationQuery,
      onPlaneFailed: (reason) => {
        if (isOpen) onPlaneFailed(reason);
        else failure ??= reason;
      },
      onPlaneFault,
      onFault,
    });
    const running = driver;
    closing.push(() => running.shutdown());
    const routes = new Routes(followsPolicies ? null : settings.tunName, factories.runIp);
    await routes.removeLeftovers();
    if (failure !== null) throw new Error(`the data plane failed as soon as it was there: ${failure}`);
    isOpen = true;
    return { settings, plane, endpoint, driver, transport, routes, wholeSender, onFault };
  } catch (error) {
    await tryEach(closing.toReversed(), onFault);
    throw error;
  }
}

function planeSettings(settings: GatewaySettings): PlaneSettings {
  return {
    kind: settings.dataPlane ?? "auto",
    tunName: settings.tunName,
    tunMtu: settings.tunMtu === 0 ? defaultTunMtu : settings.tunMtu,
    natPort: settings.natPort,
    outboundWorkers: settings.outboundWorkers ?? 1,
    inboundWorkers: settings.inboundWorkers ?? 1,
    espOffload: settings.espOffload ?? false,
  };
}

function createEndpoint({ ikePort, natPort }: GatewaySettings, options: EngineOptions, plane: DataPlane, probesPaths: boolean): IkeEndpoint {
  const packets = (direction: "inbound" | "outbound", spi: EspSpi): number => plane.querySa(direction, spi)?.packets ?? 0;
  const settled = {
    ...endpointDefaults,
    ikePort,
    natPort,
    revocation: options.revocation,
    traffic: { packets: (inbound: EspSpi, outbound: EspSpi) => packets("inbound", inbound) + packets("outbound", outbound) },
    probesPaths,
    inboundWorkers: plane.capabilities.inboundWorkers ?? 1,
  };
  return options.factories.createEndpoint(settled, options.random);
}

/** Tells the peers, then removes routes, SAs, device and sockets. Never rejects: what cannot be closed is told as a fault, and keeps nothing else open. */
export async function closeEngine({ driver, routes, plane, transport, wholeSender, onFault }: Engine): Promise<void> {
  await tryEach(
    [() => driver.shutdown(), () => routes.removeAll(), () => plane.flush(), () => plane.close(), () => transport.close(), () => wholeSender?.close()],
    onFault,
  );
}

/** In their order, each whatever became of those before. */
async function tryEach(steps: readonly (() => void | Promise<void>)[], onFault: (sentence: string) => void): Promise<void> {
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      onFault(`closing: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** Whether an engine can serve these settings. Where the kernel protects packets there are no workers whose number could differ. */
export function canServe({ settings: own, plane }: Pick<Engine, "settings" | "plane">, wanted: GatewaySettings): boolean {
  const hasWorkers = plane.capabilities.outboundWorkers !== undefined;
  return isSameSettings(own, hasWorkers ? wanted : { ...wanted, outboundWorkers: own.outboundWorkers, inboundWorkers: own.inboundWorkers });
}

/** Whether the same engine comes of both. */
export function isSameSettings(a: GatewaySettings, b: GatewaySettings): boolean {
  const isSamePlane =
    (a.dataPlane ?? "auto") === (b.dataPlane ?? "auto") &&
    a.tunName === b.tunName &&
    a.tunMtu === b.tunMtu &&
    (a.outboundWorkers ?? 1) === (b.outboundWorkers ?? 1) &&
    (a.inboundWorkers ?? 1) === (b.inboundWorkers ?? 1) &&
    (a.espOffload ?? false) === (b.espOffload ?? false);
  return isSamePlane && a.ikePort === b.ikePort && a.natPort === b.natPort;
}
