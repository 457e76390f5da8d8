import type { DesiredState } from "../../contract/desired-state.ts";
import type { RevocationQuery, RevocationSource } from "../crypto/revocation.ts";
import type { UdpEndpoint } from "../ipsec/security-association.ts";
import type { DataPlane } from "../dataplane/data-plane.ts";
import type { EndpointOptions, IkeEndpoint, IkeEvent, RandomSource, TraceSource } from "../ike/endpoint-types.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";
import { Driver, type DriverParts, type IkeTransport } from "./driver.ts";
import { endpointDefaults } from "./endpoint-options.ts";
import { Routes, type RunIp } from "./routes.ts";
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
}

/** Rejects with a sentence when the device or the ports cannot be had; nothing is left open then. */
export async function openEngine(settings: GatewaySettings, options: EngineOptions): Promise<Engine> {
  const { factories, clock, random, onEvent, onTrace, revocation, onRevocationQuery, onPlaneFailed, onPlaneFault, onFault } = options;
  const plane = await factories.openPlane({
    kind: settings.dataPlane ?? "auto",
    tunName: settings.tunName,
    tunMtu: settings.tunMtu === 0 ? defaultTunMtu : settings.tunMtu,
    natPort: settings.natPort,
    outboundWorkers: settings.outboundWorkers ?? 1,
    inboundWorkers: settings.inboundWorkers ?? 1,
    espOffload: settings.espOffload ?? false,
  });
  const followsPolicies = plane.capabilities.steering === "policies";
  // Where the kernel protects packets, it also knows how large they may be.
  const wholeSender = followsPolicies ? null : (factories.openWholeSender?.() ?? null);
  const { ikePort, natPort } = settings;
  try {
    const packets = (direction: "inbound" | "outbound", spi: EspSpi): number => plane.querySa(direction, spi)?.packets ?? 0;
    const traffic = { packets: (inbound: EspSpi, outbound: EspSpi) => packets("inbound", inbound) + packets("outbound", outbound) };
    const settled = {
      ...endpointDefaults,
      ikePort,
      natPort,
      revocation,
      traffic,
      probesPaths: wholeSender !== null,
      inboundWorkers: plane.capabilities.inboundWorkers ?? 1,
    };
    const endpoint = factories.createEndpoint(settled, random);
    let driver: Driver | null = null;
    const transport = await factories.openTransport({
      port: settings.ikePort,
      bypassesPolicies: followsPolicies,
      onDatagram: (datagram) => driver?.receive(datagram),
      onFault,
    });
    driver = new Driver({
      endpoint,
      plane,
      transport,
      natPort,
      clock,
      sendWhole: (local, remote, datagram) => void wholeSender?.send(local, remote, datagram),
      onEvent,
      onTrace,
      onRevocationQuery,
      onPlaneFailed,
      onPlaneFault,
      onFault,
    });
    const routes = new Routes(followsPolicies ? null : settings.tunName, factories.runIp);
    await routes.removeLeftovers();
    return { settings, plane, endpoint, driver, transport, routes, wholeSender };
  } catch (error) {
    wholeSender?.close();
    await plane.close();
    throw error;
  }
}

/** Tells the peers, then removes routes, SAs, device and sockets. */
export async function closeEngine(engine: Engine): Promise<void> {
  await engine.driver.shutdown();
  await engine.routes.removeAll();
  await engine.plane.flush();
  await engine.plane.close();
  engine.transport.close();
  engine.wholeSender?.close();
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
