"use client";

import { Ban, Trash2 } from "lucide-react";
import Link from "next/link";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { useLive } from "../../../_live/use-live.ts";
import type { SiteDetail as SiteView } from "../../../../server/sites/list-sites.ts";
import { Ago, When } from "../../../_ui/clock.tsx";
import { Confirm } from "../../../_ui/dialog.tsx";
import { PageHead, Panel } from "../../../_ui/page.tsx";
import { Status } from "../../../_ui/status.tsx";
import { outcome } from "../../../_ui/use-action.ts";
import { counted } from "../../../_ui/words.ts";
import { deleteSite, revokeGateway } from "../actions.ts";
import { Enrolment } from "../enrolment.tsx";
import { SiteForm } from "../site-form.tsx";
import { WorkersForm } from "./workers-form.tsx";
import { coresText } from "./workers-note.ts";

/** One site: its gateway's state and identity, its networks, its links. */
export function SiteDetail({ initial, mayEdit }: { initial: SiteView; mayEdit: boolean }) {
  const { data: site = initial } = useLive<SiteView>({
    path: `/api/sites/${initial.id}`,
    initial,
    watch: [`site:${initial.id}`, "link"],
    everyMilliseconds: 5_000,
  });
  const [asked, setAsked] = useState<"revoke" | "delete" | null>(null);
  const router = useRouter();
  const gateway = site.gateway;
  const enrolled = gateway.state === "connected" || gateway.state === "disconnected";
  const close = (open: boolean) => {
    if (!open) setAsked(null);
  };
  return (
    <>
      <PageHead
        title={site.name}
        back={{ href: "/sites", label: "Sites" }}
        beside={<Status name={gateway.state} />}
        actions={
          mayEdit ? (
            <>
              {enrolled ? (
                <button type="button" className="btn" onClick={() => setAsked("revoke")}>
                  <Ban aria-hidden className="size-4" /> Revoke gateway
                </button>
              ) : null}
              <button type="button" className="btn" onClick={() => setAsked("delete")}>
                <Trash2 aria-hidden className="size-4" /> Delete site
              </button>
            </>
          ) : null
        }
      />
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <div className="grid gap-4">
          <Panel title="Gateway">
            <dl className="facts">
              <dt>State</dt>
              <dd className="flex flex-wrap items-center gap-2">
                <Status name={gateway.state} />
                <span className="text-text-2">
                  last heard <Ago at={gateway.lastHeardAt} absent="never" />
                </span>
              </dd>
              <dt>Host name</dt>
              <dd className="mono">{gateway.hostname ?? "—"}</dd>
              <dt>Address</dt>
              <dd className="mono">{gateway.address ?? "—"}</dd>
              <dt>Version</dt>
              <dd>{gateway.version ?? "—"}</dd>
              <dt>Data plane</dt>
              <dd>
                {gateway.plane ?? "—"}
                {gateway.planeReason ? <span className="text-text-2"> · {gateway.planeReason}</span> : null}
              </dd>
              <dt>Traffic runs on</dt>
              <dd>
                {gateway.workers.running === null ? (gateway.plane === "kernel" ? "the kernel's choice" : "—") : coresText(gateway.workers.running)}
                {gateway.processors === null ? null : <span className="text-text-2"> · the machine has {gateway.processors}</span>}
              </dd>
              <dt>Certificate</dt>
              <dd className="mono break-all">{gateway.certificate?.fingerprint ?? "—"}</dd>
              <dt>Expires</dt>
              <dd>
                <When at={gateway.certificate?.notAfter} />
              </dd>
            </dl>
          </Panel>
          {mayEdit ? <Enrolment siteId={site.id} again={enrolled} /> : null}
          <Panel title={counted(site.links.length, "link")} flush>
            {site.links.length === 0 ? (
              <p className="p-4 text-[13px] text-text-2">
                No link uses this site yet.{" "}
                {mayEdit ? (
                  <Link className="link underline" href={`/links/new?site=${site.id}`}>
                    Create one
                  </Link>
                ) : null}
              </p>
            ) : (
              <ul className="divide-y divide-line">
                {site.links.map((link) => (
                  <li key={link.id} className="flex items-center justify-between gap-3 px-4 py-2.5">
                    <Link href={`/links/${link.id}`} className="name-link text-[13px]">
                      {link.name}
                    </Link>
                    <Status name={link.tunnel} />
                  </li>
                ))}
              </ul>
            )}
          </Panel>
        </div>
        <div className="grid gap-4">
          <Panel title="Site">{mayEdit ? <SiteForm site={site} /> : <p className="mono text-[13px]">{site.networks.join(", ")}</p>}</Panel>
          {mayEdit && enrolled ? <WorkersForm site={site} /> : null}
        </div>
      </div>
      <Confirm
        open={asked === "revoke"}
        onOpenChange={close}
        title={`Revoke the gateway of ${site.name}?`}
        consequence={revocationOf(site)}
        confirmLabel="Revoke gateway"
        danger
        onConfirm={() => outcome(revokeGateway(site.id))}
      />
      <Confirm
        open={asked === "delete"}
        onOpenChange={close}
        title={`Delete ${site.name}?`}
        consequence={
          site.links.length > 0
            ? `${counted(site.links.length, "link")} use this site and must be deleted first.`
            : "The site, its gateway's certificate and its enrolment go for good."
        }
        confirmLabel="Delete site"
        danger
        typeToConfirm={site.name}
        onConfirm={async () => {
          const failure = await outcome(deleteSite(site.id));
          if (failure === null) router.push("/sites");
          return failure;
        }}
      />
    </>
  );
}

function revocationOf({ links }: SiteView): string {
  const cut = "It is disconnected within 5 seconds and gets no more changes until it is enrolled again.";
  if (links.length === 0) return cut;
  return `${cut} Its certificates are revoked and other gateways do not accept its pre-shared keys any more: its tunnels to other sites drop, and come back with new keys when it is enrolled again. A third-party peer cannot be told from here: have it refuse the gateway there.`;
}
