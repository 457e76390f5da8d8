import type { Metadata } from "next";
import { readOverview } from "../../server/overview/read-overview.ts";
import { mayEdit, pageActor } from "../_server/actor.ts";
import { PageHead } from "../_ui/page.tsx";
import { Overview } from "./overview.tsx";

export const metadata: Metadata = { title: "Overview" };

export default async function OverviewPage() {
  const actor = await pageActor();
  return (
    <>
      <PageHead title="Overview" />
      <Overview initial={await readOverview(actor)} mayEdit={mayEdit(actor)} />
    </>
  );
}
