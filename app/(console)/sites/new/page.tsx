import type { Metadata } from "next";
import { redirect } from "next/navigation";
import { mayEdit, pageActor } from "../../../_server/actor.ts";
import { PageHead, Panel } from "../../../_ui/page.tsx";
import { SiteForm } from "../site-form.tsx";

export const metadata: Metadata = { title: "New site" };

export default async function NewSitePage() {
  if (!mayEdit(await pageActor())) redirect("/sites");
  return (
    <>
      <PageHead
        title="New site"
        back={{ href: "/sites", label: "Sites" }}
        lead="Name it and say what is behind it; the next page has the one command that connects its gateway."
      />
      <Panel className="max-w-xl">
        <SiteForm site={null} />
      </Panel>
    </>
  );
}
