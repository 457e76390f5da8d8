import type { Metadata } from "next";
import { listKeys } from "../../../server/keys/list-keys.ts";
import { mayOperate, pageActor } from "../../_server/actor.ts";
import { PageHead } from "../../_ui/page.tsx";
import { KeysList } from "./keys-list.tsx";

export const metadata: Metadata = { title: "Keys" };

export default async function KeysPage() {
  const actor = await pageActor();
  return (
    <>
      <PageHead
        title="Keys"
        lead="Pre-shared keys and certificates. Secrets are encrypted at rest and never shown again; a fingerprint says which key it is."
      />
      <KeysList initial={await listKeys(actor)} mayOperate={mayOperate(actor)} />
    </>
  );
}
