import type { Metadata } from "next";
import { redirect } from "next/navigation";
import { listImportedCertificates } from "../../../../server/keys/import-certificate.ts";
import { presets } from "../../../../server/links/presets.ts";
import { listSites } from "../../../../server/sites/list-sites.ts";
import { mayEdit, pageActor } from "../../../_server/actor.ts";
import { PageHead } from "../../../_ui/page.tsx";
import { LinkWizard } from "./link-wizard.tsx";

export const metadata: Metadata = { title: "New link" };

export default async function NewLinkPage({ searchParams }: { searchParams: Promise<{ site?: string | string[] }> }) {
  const actor = await pageActor();
  if (!mayEdit(actor)) redirect("/links");
  const sites = await listSites(actor);
  const { site } = await searchParams;
  return (
    <>
      <PageHead title="New link" back={{ href: "/links", label: "Links" }} />
      <LinkWizard
        sites={sites.map((each) => ({ id: each.id, name: each.name, networks: each.networks, gateway: each.gateway.state }))}
        presets={presets}
        certificates={await listImportedCertificates(actor)}
        firstSiteId={typeof site === "string" ? site : ""}
      />
    </>
  );
}
