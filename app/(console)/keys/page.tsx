import type { Metadata } from "next";
import { listKeys } from "../../../server/keys/list-keys.ts";
import { mayEdit, mayOperate, pageActor } from "../../_server/actor.ts";
import { PageHead } from "../../_ui/page.tsx";
import { listRevoked } from "../../../server/keys/list-revoked.ts";
import { ImportCertificate } from "./import-certificate.tsx";
import { KeysList } from "./keys-list.tsx";
import { RevokedList } from "./revoked-list.tsx";

export const metadata: Metadata = { title: "Keys" };

export default async function KeysPage() {
  const actor = await pageActor();
  return (
    <>
      <PageHead
        title="Keys"
        lead="Pre-shared keys and certificates. Secrets are encrypted at rest and never shown again; a fingerprint says which key it is."
        actions={mayEdit(actor) ? <ImportCertificate /> : null}
      />
      <KeysList initial={await listKeys(actor)} mayEdit={mayEdit(actor)} mayOperate={mayOperate(actor)} />
      <RevokedList initial={await listRevoked(actor)} />
    </>
  );
}
