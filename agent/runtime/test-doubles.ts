import { parse } from "yaml";
import { type DesiredState, desiredState } from "../../contract/desired-state.ts";
import {
  type DataPlane,
  type DataPlaneCapabilities,
  type DataPlaneEvent,
  type DropCounters,
  type IkeDatagram,
  noDrops,
  type SaCounters,
} from "../dataplane/data-plane.ts";
import type { Effect, IkeEndpoint, Input, LinkSnapshot } from "../ike/endpoint-types.ts";
import type { EngineFactories } from "./engine.ts";
import type { InboundSa, OutboundPolicy, OutboundSa } from "../ipsec/security-association.ts";

/** Stand-ins of this folder's tests. They record what is asked of them. */

export class RecordingPlane implements DataPlane {
  readonly capabilities: DataPlaneCapabilities;
  readonly calls: string[] = [];
  /** Installing fails with this when set. */
  refusal: string | null = null;
  /** Installing takes this long. */
  delayMs = 0;
  emit: (event: DataPlaneEvent) => void = () => undefined;
  deliver: (datagram: IkeDatagram) => void = () => undefined;

  /** Without `workers` it has none, as the kernel's. */
  constructor(workers: Pick<DataPlaneCapabilities, "outboundWorkers" | "inboundWorkers"> = {}) {
    this.capabilities = {
      name: "recording",
      reason: "a test",
      encapsulations: ["udp"],
      preferredEncapsulation: "udp",
      protocols: ["esp"],
      modes: ["tunnel"],
      extendedSequenceNumbers: true,
      steering: "device",
      ...workers,
    };
  }

  onEvent(listener: (event: DataPlaneEvent) => void): void {
    this.emit = listener;
  }

  onIkeDatagram(listener: (datagram: IkeDatagram) => void): void {
    this.deliver = listener;
  }

  sendIkeDatagram(datagram: IkeDatagram): void {
    this.calls.push(`sendIke ${datagram.local.address}:${datagram.local.port} ${datagram.bytes.length}`);
  }

  sendNatKeepalive(): void {
    this.calls.push("keepalive");
  }

  async installSa(sa: InboundSa | OutboundSa): Promise<void> {
    this.calls.push(`install ${sa.direction} begin`);
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    if (this.refusal !== null) throw new Error(this.refusal);
    this.calls.push(`install ${sa.direction} end`);
  }

  async updateSa(): Promise<void> {
    this.calls.push("update");
  }

  querySa(): SaCounters | null {
    return { packets: 3, bytes: 300, drops: { ...noDrops, replay: 1 }, lastUsedAt: 0 };
  }

  async deleteSa(): Promise<void> {
    this.calls.push("delete");
  }

  async installPolicy(policy: OutboundPolicy): Promise<void> {
    this.calls.push(`policy ${policy.action.kind}`);
  }

  async deletePolicy(): Promise<void> {
    this.calls.push("deletePolicy");
  }

  globalDrops(): DropCounters {
    return noDrops;
  }

  async flush(): Promise<void> {
    this.calls.push("flush");
  }

  async close(): Promise<void> {
    this.calls.push("close");
  }
}

/** Answers each input with what the test says. */
export class ScriptedEndpoint implements IkeEndpoint {
  readonly inputs: Input[] = [];
  respond: (input: Input) => Effect[] = () => [];
  atOnce: Uint8Array | null = null;
  timer: { at: number; reason: string } | null = null;
  snapshots: LinkSnapshot[] = [];

  handle(input: Input): Effect[] {
    this.inputs.push(input);
    return this.respond(input);
  }

  answerAtOnce(): Uint8Array | null {
    return this.atOnce;
  }

  nextTimer(): { at: number; reason: string } | null {
    return this.timer;
  }

  snapshot(): LinkSnapshot[] {
    return this.snapshots;
  }
}

/** A machine whose parts record: planes and endpoints in the order in which they were made, `ip` calls, and what is to go wrong. */
export function recordingMachine() {
  const planes: RecordingPlane[] = [];
  const endpoints: ScriptedEndpoint[] = [];
  const ipCalls: string[] = [];
  /** `hasWorkers`: as a TUN device has, up to `mostWorkers` a direction. */
  const faults: { plane: string | null; hasWorkers: boolean; mostWorkers: number } = { plane: null, hasWorkers: true, mostWorkers: 16 };
  const factories: EngineFactories = {
    openPlane: async ({ outboundWorkers, inboundWorkers }) => {
      if (faults.plane !== null) throw new Error(faults.plane);
      if (Math.max(outboundWorkers, inboundWorkers) > faults.mostWorkers)
        throw new Error(`no room for ${outboundWorkers} outbound and ${inboundWorkers} inbound`);
      planes.push(new RecordingPlane(faults.hasWorkers ? { outboundWorkers, inboundWorkers } : {}));
      return planes.at(-1)!;
    },
    openTransport: async () => ({
      send: async () => undefined,
      sendAtOnce: () => undefined,
      localAddressFor: () => "192.0.2.1",
      close: () => void ipCalls.push("transport closed"),
    }),
    createEndpoint: () => {
      endpoints.push(new ScriptedEndpoint());
      return endpoints.at(-1)!;
    },
    runIp: async (args, input) => {
      if (input === undefined) ipCalls.push(args.join(" "));
      else
        ipCalls.push(
          ...input
            .trim()
            .split("\n")
            .map((line) => `${args[0]} ${line}`),
        );
      return "";
    },
  };
  /** What the endpoints were given since the last call. */
  const inputs = () =>
    endpoints.flatMap((endpoint) => endpoint.inputs.splice(0)).map((input) => (input.kind === "setLink" ? `set ${input.link.id}` : input.kind));
  return { factories, planes, endpoints, ipCalls, faults, inputs };
}

/** A good configuration of one link, as an author writes it. */
export const exampleYaml = `schema: 1
revision: 7
gateway:
  name: amsterdam
links:
  - id: berlin
    name: Amsterdam to Berlin
    local: { identity: a.example }
    remote: { address: 198.51.100.1, identity: b.example }
    authentication:
      method: psk
      keys:
        - { id: k1, secret: correct-horse-battery }
      use: k1
    ike: { proposals: [aes256gcm16-prfsha384-x25519] }
    esp: { proposals: [aes256gcm16] }
    children:
      - name: lan
        localNetworks: [10.1.0.0/24]
        remoteNetworks: [10.2.0.0/24]
`;

export function exampleState(): DesiredState {
  return desiredState.parse(parse(exampleYaml));
}

/** A state of links `l1` … `lN` with networks of their own. */
export function stateOfLinks(count: number): DesiredState {
  const base = exampleState();
  const links = Array.from({ length: count }, (_, index) => ({
    ...base.links[0]!,
    id: `l${index + 1}`,
    children: [{ name: "lan", localNetworks: ["10.1.0.0/24"], remoteNetworks: [`10.2.${index}.0/24`] }],
  }));
  return { ...base, links };
}
