"use client";

import { Tabs } from "@base-ui/react/tabs";
import type { ImportedCertificateView } from "../../../../server/keys/import-certificate.ts";
import { useLive } from "../../../_live/use-live.ts";
import type { LinkDetail as LinkView } from "../../../../server/links/read-link.ts";
import { useListState } from "../../../_ui/list-state.tsx";
import { PageHead } from "../../../_ui/page.tsx";
import { Status } from "../../../_ui/status.tsx";
import { History } from "./history.tsx";
import { LinkActions } from "./link-actions.tsx";
import { LinkOverview } from "./link-overview.tsx";
import { Negotiation } from "./negotiation.tsx";
import { SaTables } from "./sa-tables.tsx";

const tabs = [
  { id: "overview", label: "Overview" },
  { id: "sas", label: "SAs" },
  { id: "negotiation", label: "Negotiation" },
  { id: "history", label: "History" },
] as const;

/** The live page of one link. Which tab is open is in the URL. */
export function LinkDetail({
  initial,
  certificates,
  mayEdit,
  mayOperate,
}: {
  initial: LinkView;
  certificates: readonly ImportedCertificateView[] | null;
  mayEdit: boolean;
  mayOperate: boolean;
}) {
  const { data: link = initial } = useLive<LinkView>({
    path: `/api/links/${initial.id}`,
    initial,
    watch: [`link:${initial.id}`, "site"],
    everyMilliseconds: 2_000,
  });
  const { params, set } = useListState();
  const tab = tabs.find((known) => known.id === params.get("tab"))?.id ?? "overview";
  return (
    <>
      <PageHead
        title={link.name}
        back={{ href: "/links", label: "Links" }}
        beside={<Status name={link.tunnel} />}
        actions={
          <LinkActions
            link={{ id: link.id, name: link.name, enabled: link.enabled, children: 1 }}
            certificates={certificates}
            mayEdit={mayEdit}
            mayOperate={mayOperate}
          />
        }
      />
      <Tabs.Root value={tab} onValueChange={(value) => set({ tab: value === "overview" ? null : String(value) })}>
        <Tabs.List className="mb-4 flex gap-1 overflow-x-auto border-b border-line" aria-label="Parts of this link">
          {tabs.map((each) => (
            <Tabs.Tab
              key={each.id}
              value={each.id}
              className="-mb-px border-b-2 border-transparent px-3 py-2 text-[13px] text-text-2 -outline-offset-2 data-[active]:border-accent data-[active]:font-medium data-[active]:text-text"
            >
              {each.label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="overview" tabIndex={-1}>
          <LinkOverview link={link} mayOperate={mayOperate} mayEdit={mayEdit} />
        </Tabs.Panel>
        <Tabs.Panel value="sas" tabIndex={-1}>
          <SaTables ends={link.ends} />
        </Tabs.Panel>
        <Tabs.Panel value="negotiation" tabIndex={-1}>
          <Negotiation linkId={link.id} ends={link.ends} mayOperate={mayOperate} />
        </Tabs.Panel>
        <Tabs.Panel value="history" tabIndex={-1}>
          <History linkId={link.id} mayEdit={mayEdit} />
        </Tabs.Panel>
      </Tabs.Root>
    </>
  );
}
