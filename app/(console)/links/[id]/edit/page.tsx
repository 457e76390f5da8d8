import type { Metadata } from "next";
import { redirect } from "next/navigation";
import { presets } from "../../../../../server/links/presets.ts";
import { readLinkSettings } from "../../../../../server/links/read-link.ts";
import { mayEdit, orNotFound, pageActor } from "../../../../_server/actor.ts";
import { PageHead } from "../../../../_ui/page.tsx";
import { EditForm } from "./edit-form.tsx";

export const metadata: Metadata = { title: "Edit link" };

export default async function EditLinkPage({ params }: { params: Promise<{ id: string }> }) {
  const actor = await pageActor();
  const { id } = await params;
  if (!mayEdit(actor)) redirect(`/links/${id}`);
  const settings = await orNotFound(readLinkSettings(actor, id));
  return (
    <>
      <PageHead title={`Edit ${settings.config.name}`} back={{ href: `/links/${id}`, label: settings.config.name }} />
      <EditForm linkId={id} settings={settings} presets={presets} />
    </>
  );
}
