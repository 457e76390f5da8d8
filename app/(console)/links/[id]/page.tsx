import type { Metadata } from "next";
import { listImportedCertificates } from "../../../../server/keys/import-certificate.ts";
import { readLink } from "../../../../server/links/read-link.ts";
import { mayEdit, mayOperate, orNotFound, pageActor } from "../../../_server/actor.ts";
import { LinkDetail } from "./link-detail.tsx";

export const metadata: Metadata = { title: "Link" };

export default async function LinkPage({ params }: { params: Promise<{ id: string }> }) {
  const actor = await pageActor();
  const link = await orNotFound(readLink(actor, (await params).id));
  const isImported = link.method === "certificate" && link.ends.some((end) => end.siteId === null);
  return (
    <LinkDetail
      initial={link}
      certificates={isImported ? await listImportedCertificates(actor) : null}
      mayEdit={mayEdit(actor)}
      mayOperate={mayOperate(actor)}
    />
  );
}
