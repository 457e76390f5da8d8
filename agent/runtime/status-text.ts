import type { ObservedChildSa, ObservedIkeSa, ObservedLink, ObservedState, TraceEntry } from "../../contract/observed-state.ts";

/** What `culvert-agent status` prints. */
export function formatStatus(state: ObservedState): string {
  const head = [
    `agent ${state.agentVersion}, revision ${state.revision}, data plane ${state.plane} (${state.planeReason})${workers(state)}`,
    ...(state.settingsRefusal === undefined ? [] : [`new gateway settings are not in force: ${state.settingsRefusal}`]),
  ].join("\n");
  if (state.links.length === 0) return `${head}\nno links configured\n`;
  return `${[head, ...state.links.map((link) => formatLink(link, state.at))].join("\n\n")}\n`;
}

/** What `culvert-agent trace LINK` prints. */
export function formatTrace(entries: readonly TraceEntry[]): string {
  if (entries.length === 0) return "nothing has been negotiated yet\n";
  const arrows = { sent: "→", received: "←", local: "·" } as const;
  return entries
    .map(
      (entry) =>
        `${new Date(entry.at).toISOString()} ${arrows[entry.direction]} ${entry.exchange}${entry.messageId === null ? "" : ` #${entry.messageId}`}  ${entry.summary}\n`,
    )
    .join("");
}

/** Nothing where it is as it always is: one a direction. */
function workers({ workers: running }: ObservedState): string {
  if (running === undefined || (running.inbound === 1 && running.outbound === 1)) return "";
  return `, ${running.outbound} outbound and ${running.inbound} inbound workers`;
}

function formatLink(link: ObservedLink, now: number): string {
  const lines = [
    `${link.id}: ${link.state} for ${duration(now - link.since)}${link.interface === undefined ? "" : `, through ${link.interface}`}${link.roundTripMs === null ? "" : `, round trip ${link.roundTripMs.toFixed(1)} ms`}`,
  ];
  if (link.lastFailure !== null)
    lines.push(`  last failure, ${duration(now - link.lastFailure.at)} ago: ${link.lastFailure.sentence} (${link.lastFailure.code})`);
  for (const sa of link.ikeSas) lines.push(...formatIkeSa(sa, now));
  return lines.join("\n");
}

function formatIkeSa(sa: ObservedIkeSa, now: number): string[] {
  const rekey = sa.rekeyAt === null ? "" : `, rekey in ${duration(sa.rekeyAt - now)}`;
  return [
    `  IKE SA ${sa.spiI}_i ${sa.spiR}_r ${sa.state}, ${sa.role}, ${sa.suite}`,
    `    ${sa.localEndpoint} … ${sa.remoteEndpoint} (${sa.remoteIdentity}), NAT: ${sa.nat}${sa.pathMtu == null ? "" : `, path MTU ${sa.pathMtu}`}${sa.credentialId === null ? "" : `, key ${sa.credentialId}`}${rekey}`,
    ...sa.childSas.flatMap((child) => formatChildSa(child, now)),
  ];
}

function formatChildSa(child: ObservedChildSa, now: number): string[] {
  const drops = Object.entries(child.drops).filter(([, count]) => count > 0);
  const rekey = child.rekeyAt === null ? "" : `, rekey in ${duration(child.rekeyAt - now)}`;
  const close = child.closesAt === null ? "" : `, closed in ${duration(child.closesAt - now)} unless a packet passes`;
  const worker = child.worker === undefined ? "" : child.worker === 0 ? ", for every worker" : `, of worker ${child.worker}`;
  return [
    `    ${child.name}${worker} ${child.state}, in ${child.inboundSpi} out ${child.outboundSpi}, ${child.suite}, ${child.protocol.toUpperCase()}${child.encapsulation === "udp" ? " in UDP" : ""}${child.mode === "transport" ? ", transport mode" : ""}${rekey}${close}`,
    `      ${child.localNetworks.join(", ")} ⇄ ${child.remoteNetworks.join(", ")}`,
    `      in ${child.packetsIn} packets, ${child.bytesIn} octets; out ${child.packetsOut} packets, ${child.bytesOut} octets${drops.length === 0 ? "" : `; dropped: ${drops.map(([cause, count]) => `${cause} ${count}`).join(", ")}`}`,
  ];
}

function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3_600)} h`;
}
