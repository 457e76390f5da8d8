"use client";

import { BadgeCheck, KeyRound, Send } from "lucide-react";
import Link from "next/link";
import { useState } from "react";
import type { ProbeResult } from "../../../../contract/hub-protocol.ts";
import type { LinkHalt } from "../../../../server/links/link-halt.ts";
import type { LinkDetail, LinkEnd } from "../../../../server/links/read-link.ts";
import { Ago } from "../../../_ui/clock.tsx";
import { Panel } from "../../../_ui/page.tsx";
import { Status } from "../../../_ui/status.tsx";
import { useAction } from "../../../_ui/use-action.ts";
import { byteCount, milliseconds, plainCount } from "../../../_ui/words.ts";
import { reissueCertificate } from "../../keys/actions.ts";
import { sendTestTraffic } from "../actions.ts";
import { isClassical } from "./classical.ts";
import { Explanation } from "./explanation.tsx";
import { Drops } from "./sa-tables.tsx";
import { TrafficCharts } from "./traffic-charts.tsx";

/** Status as three separate facts, the traffic live, both ends side by side. */
export function LinkOverview({ link, mayOperate, mayEdit }: { link: LinkDetail; mayOperate: boolean; mayEdit: boolean }) {
  const failure = link.ends
    .map((end) => end.lastFailure)
    .filter((each) => each !== null)
    .toSorted((a, b) => b.at - a.at)[0];
  return (
    <div className="space-y-4">
      <dl className="panel grid gap-px overflow-hidden bg-line text-[13px] sm:grid-cols-3" aria-label="Status">
        <Fact label="Administrative">
          <Status name={link.enabled ? "enabled" : "disabled"} />
        </Fact>
        <Fact label="Tunnel">
          <Status name={link.tunnel} />
          <span className="text-text-2">
            {link.since === null ? null : (
              <>
                since <Ago at={link.since} />
              </>
            )}
            {link.since !== null && link.tunnel === "unknown" ? ", " : null}
            {link.tunnel === "unknown" ? (
              link.reportedAt === null ? (
                "no report yet"
              ) : (
                <>
                  last report <Ago at={link.reportedAt} />
                </>
              )
            ) : null}
            {link.tunnel === "idle" ? ", waits for a packet" : null}
          </span>
        </Fact>
        <Fact label="Gateways">
          {link.ends.map((end) =>
            end.gateway === null ? null : (
              <span key={end.siteName} className="inline-flex items-center gap-2">
                {end.siteName} <Status name={end.gateway} />
              </span>
            ),
          )}
        </Fact>
      </dl>
      {link.halt && link.tunnel !== "disabled" ? <Halt halt={link.halt} mayEdit={mayEdit} /> : null}
      {link.ends.map((end) =>
        end.push.state === "refused" && !link.halt ? (
          <p key={end.siteName} className="rounded-lg border border-deg bg-deg-bg p-4 text-[13px] text-deg">
            {end.siteName} does not take the newest configuration of this link: {end.push.reason ?? "it gave no reason."}
          </p>
        ) : null,
      )}
      {failure && !link.halt && link.tunnel !== "up" && link.tunnel !== "disabled" ? (
        <div className="rounded-lg border border-deg bg-deg-bg p-4 text-[13px]">
          <p className="font-medium text-deg">{failure.sentence}</p>
          <p className="mt-1 text-text-2">
            <code>{failure.code}</code> · <Ago at={failure.at} />
          </p>
          <Explanation linkId={link.id} />
        </div>
      ) : null}
      {link.tunnel === "up" && isClassical(link.ends) ? (
        <p className="rounded-lg border border-line bg-surface p-4 text-[13px] text-text-2">
          Finding: the key exchange is classical. What is recorded of this link now could one day be opened by a quantum computer; a proposal with{" "}
          <code>ke1_mlkem768</code> at both ends prevents it.
        </p>
      ) : null}
      <UnusualChoices choices={link.choices} />
      <TrafficCharts linkId={link.id} sideName={link.ends[0]?.siteName ?? "the first site"} />
      {mayOperate ? <TestTraffic link={link} /> : null}
      <div className="grid items-start gap-4 lg:grid-cols-2">
        {link.ends.map((end) => (
          <EndPanel key={end.siteName} end={end} />
        ))}
      </div>
    </div>
  );
}

/** What was revoked that the link needs, and the way out where it is here. */
function Halt({ halt, mayEdit }: { halt: LinkHalt; mayEdit: boolean }) {
  const { run, busy } = useAction();
  const { credentialId, enrol } = halt;
  return (
    <div role="alert" className="flex flex-wrap items-center justify-between gap-3 rounded-lg border border-down bg-down-bg p-4 text-[13px]">
      <p className="min-w-0 flex-1 basis-64 font-medium text-down">{halt.sentence}</p>
      {mayEdit && credentialId !== null ? (
        <button
          type="button"
          className="btn btn-primary"
          disabled={busy !== null}
          onClick={() => void run("Issue a new certificate", () => reissueCertificate(credentialId), "A new certificate was issued")}
        >
          <BadgeCheck aria-hidden className="size-4" /> {busy === null ? "Issue a new certificate" : "Issuing…"}
        </button>
      ) : null}
      {mayEdit && enrol !== null ? (
        <Link className="btn btn-primary" href={`/sites/${enrol.siteId}`}>
          <KeyRound aria-hidden className="size-4" /> Enrol {enrol.siteName} again
        </Link>
      ) : null}
    </div>
  );
}

/** What nobody should have to look for under Edit. */
function UnusualChoices({ choices: { isAh, mode, inactivitySeconds } }: Pick<LinkDetail, "choices">) {
  const told = [
    isAh ? "AH: every packet is authenticated and none is encrypted." : null,
    mode === "transport" ? "Transport mode: only what the two gateways say to each other." : null,
    mode === "preferTransport" ? "Transport mode is asked for, tunnel mode taken where the peer wants it." : null,
    inactivitySeconds > 0 ? `Closed after ${plainCount(inactivitySeconds)} s without a packet, until the next; round trips are not measured.` : null,
  ].filter((each) => each !== null);
  if (told.length === 0) return null;
  return <p className="rounded-lg border border-line bg-surface p-4 text-[13px] text-text-2">{told.join(" ")}</p>;
}

function Fact({ label, children }: { label: string; children: React.ReactNode }) {
  return (
    <div className="bg-surface p-4">
      <dt className="mb-1.5 text-text-3">{label}</dt>
      <dd className="flex flex-wrap items-center gap-2">{children}</dd>
    </div>
  );
}

function EndPanel({ end }: { end: LinkEnd }) {
  const children = end.ikeSas.flatMap((sa) => sa.childSas);
  const total = (pick: (child: (typeof children)[number]) => number) => children.reduce((sum, child) => sum + pick(child), 0);
  return (
    <Panel
      title={
        end.siteId ? (
          <Link className="name-link" href={`/sites/${end.siteId}`}>
            {end.siteName}
          </Link>
        ) : (
          end.siteName
        )
      }
    >
      <dl className="facts">
        <dt>Networks</dt>
        <dd className="mono">{end.networks.join(", ")}</dd>
        <dt>Address</dt>
        <dd className="mono">{end.address ?? "not known: it starts the tunnel"}</dd>
        <dt>Identity</dt>
        <dd className="mono">{end.identity}</dd>
        {end.gateway === null ? null : (
          <>
            <dt>Received, SAs in use</dt>
            <dd>
              {byteCount(total((child) => child.bytesIn))} in {plainCount(total((child) => child.packetsIn))} packets
            </dd>
            <dt>Sent, SAs in use</dt>
            <dd>
              {byteCount(total((child) => child.bytesOut))} in {plainCount(total((child) => child.packetsOut))} packets
            </dd>
            <dt>Round trip</dt>
            <dd>{milliseconds(end.roundTripMs)}</dd>
            <dt>Last heard</dt>
            <dd>
              <Ago at={end.lastHeardAt} absent="never" />
            </dd>
          </>
        )}
      </dl>
      {children.map((child) => (
        <Drops key={child.inboundSpi} drops={child.drops} />
      ))}
    </Panel>
  );
}

/** Sends ICMP echoes through the tunnel and says what came back. */
function TestTraffic({ link }: { link: LinkDetail }) {
  const { run, busy } = useAction();
  const [result, setResult] = useState<ProbeResult | null>(null);
  async function send() {
    const answer = await run("Test traffic", () => sendTestTraffic(link.id));
    if (answer) setResult(answer);
  }
  return (
    <Panel title="Test traffic">
      <div className="flex flex-wrap items-center gap-4 text-[13px]">
        <button type="button" className="btn btn-primary" disabled={busy !== null || link.tunnel === "disabled"} onClick={() => void send()}>
          <Send aria-hidden className="size-4" /> {busy ? "Sending…" : "Send test traffic"}
        </button>
        <p role="status" className="text-text-2">
          {result
            ? `${plainCount(result.received)} of ${plainCount(result.sent)} answered, ${plainCount(result.sent - result.received)} lost; round trip ${milliseconds(result.roundTripMsMedian)} median, ${milliseconds(result.roundTripMsMax)} at most.`
            : "Sends 100 pings of 1,000 bytes from one site to the other through the tunnel."}
        </p>
      </div>
    </Panel>
  );
}
