import type { DropCounters, ObservedChildSa, ObservedIkeSa } from "../../../../contract/observed-state.ts";
import { Age, When } from "../../../_ui/clock.tsx";
import { Empty } from "../../../_ui/page.tsx";
import { Status } from "../../../_ui/status.tsx";
import { byteCount, plainCount } from "../../../_ui/words.ts";
import { ShieldOff } from "lucide-react";

export interface EndSas {
  readonly siteName: string;
  readonly ikeSas: readonly ObservedIkeSa[];
}

/** Every IKE SA of each end with its Child SAs, as the gateway holds them now. */
export function SaTables({ ends }: { ends: readonly EndSas[] }) {
  return (
    <div className="space-y-6">
      {ends.map((end) => (
        <section key={end.siteName} className="space-y-3">
          <h2>{end.siteName}</h2>
          {end.ikeSas.length === 0 ? (
            <div className="panel">
              <Empty icon={ShieldOff} title="No security associations">
                This gateway holds no IKE SA for the link. The Negotiation tab shows what was tried.
              </Empty>
            </div>
          ) : (
            end.ikeSas.map((sa) => <IkeSaPanel key={`${sa.spiI}${sa.spiR}`} sa={sa} />)
          )}
        </section>
      ))}
    </div>
  );
}

const ikeStates = { connecting: "negotiating", established: "up", rekeying: "negotiating", deleting: "waiting" } as const;
const childStates = {
  installing: "negotiating",
  established: "up",
  rekeying: "negotiating",
  rekeyed: "waiting",
  deleting: "waiting",
} as const;
const natWords = { none: "none", local: "this end", remote: "the other end", both: "both ends" } as const;

function IkeSaPanel({ sa }: { sa: ObservedIkeSa }) {
  return (
    <article className="panel" aria-label={`IKE SA ${sa.spiI}`}>
      <div className="panel-head">
        <h3 className="flex flex-wrap items-center gap-2">
          IKE SA
          <code className="text-text-2">
            {sa.spiI} : {sa.spiR}
          </code>
        </h3>
        <Status name={ikeStates[sa.state]} word={capitalised(sa.state)} />
      </div>
      <dl className="facts p-4 lg:grid-cols-[auto_1fr_auto_1fr]">
        <dt>Role</dt>
        <dd>{capitalised(sa.role)}</dd>
        <dt>Algorithms</dt>
        <dd className="mono">{sa.suite}</dd>
        <dt>Key exchange</dt>
        <dd>{sa.postQuantum ? "Post-quantum" : "Classical: what is recorded now could be opened by a quantum computer"}</dd>
        <dt>Age</dt>
        <dd>
          <Age at={sa.establishedAt} />
        </dd>
        <dt>Rekey</dt>
        <dd>
          <When at={sa.rekeyAt} absent="not scheduled" />
        </dd>
        <dt>Endpoints</dt>
        <dd className="mono">
          {sa.localEndpoint} → {sa.remoteEndpoint}
        </dd>
        <dt>Peer identity</dt>
        <dd className="mono">{sa.remoteIdentity}</dd>
        <dt>NAT</dt>
        <dd>{natWords[sa.nat]}</dd>
        <dt>Authenticated by key</dt>
        <dd className="mono">{sa.credentialId ?? "—"}</dd>
      </dl>
      {sa.childSas.length === 0 ? <p className="border-t border-line p-4 text-[13px] text-text-2">No Child SA: no traffic can pass.</p> : null}
      {sa.childSas.map((child) => (
        <ChildSaBlock key={child.inboundSpi} child={child} />
      ))}
    </article>
  );
}

function ChildSaBlock({ child }: { child: ObservedChildSa }) {
  return (
    <section className="border-t border-line p-4" aria-label={`Child SA ${child.name}, inbound SPI ${child.inboundSpi}`}>
      <div className="mb-3 flex flex-wrap items-center gap-3">
        <h4 className="text-[13px] font-semibold">Child SA {child.name}</h4>
        <Status name={childStates[child.state]} word={capitalised(child.state)} />
        <span className="mono text-text-2">
          {child.localNetworks.join(", ")} ⇄ {child.remoteNetworks.join(", ")}
        </span>
      </div>
      <dl className="facts mb-3 lg:grid-cols-[auto_1fr_auto_1fr]">
        <dt>Algorithms</dt>
        <dd className="mono">{child.suite}</dd>
        <dt>Protocol</dt>
        <dd>
          {child.protocol.toUpperCase()}
          {child.encapsulation === "udp" ? " in UDP" : ""}, {child.mode} mode
        </dd>
        <dt>Age</dt>
        <dd>
          <Age at={child.installedAt} />
        </dd>
        <dt>Rekey</dt>
        <dd>
          <When at={child.rekeyAt} absent="not scheduled" />, expires <When at={child.expiresAt} absent="never" />
          {child.closesAt === null ? null : (
            <>
              , closed <When at={child.closesAt} /> unless a packet passes
            </>
          )}
        </dd>
      </dl>
      <div className="relative overflow-x-auto" tabIndex={0} role="region" aria-label={`Counters of Child SA ${child.name}, inbound SPI ${child.inboundSpi}`}>
        <table className="table">
          <thead>
            <tr>
              <th>Direction</th>
              <th>SPI</th>
              <th className="num">Bytes</th>
              <th className="num">Packets</th>
            </tr>
          </thead>
          <tbody>
            <tr>
              <td>Inbound</td>
              <td className="mono">{child.inboundSpi}</td>
              <td className="num">{byteCount(child.bytesIn)}</td>
              <td className="num">{plainCount(child.packetsIn)}</td>
            </tr>
            <tr>
              <td>Outbound</td>
              <td className="mono">{child.outboundSpi}</td>
              <td className="num">{byteCount(child.bytesOut)}</td>
              <td className="num">{plainCount(child.packetsOut)}</td>
            </tr>
          </tbody>
        </table>
      </div>
      <Drops drops={child.drops} />
    </section>
  );
}

const dropWords: Readonly<Record<keyof DropCounters, string>> = {
  replay: "replayed",
  integrity: "integrity check failed",
  noSa: "no SA for the SPI",
  policy: "outside the negotiated networks",
  tooBig: "too big",
  lifetime: "SA lifetime over",
  malformed: "malformed",
  congestion: "congestion that the sender cannot be told of",
  unsent: "not taken by the kernel",
};

/** Packets dropped, by cause; one quiet line while there are none. */
export function Drops({ drops }: { drops: DropCounters }) {
  const causes = Object.entries(dropWords).map(([cause, words]) => ({ cause, words, count: countOf(drops, cause) }));
  const some = causes.filter((cause) => cause.count > 0);
  return (
    <p className="mt-3 text-[13px] text-text-2">
      <span className="text-text-3">Drops: </span>
      {some.length === 0 ? "none" : some.map((cause) => `${plainCount(cause.count)} ${cause.words}`).join(" · ")}
    </p>
  );
}

function countOf(drops: DropCounters, cause: string): number {
  return new Map<string, number>(Object.entries(drops)).get(cause) ?? 0;
}

export function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
