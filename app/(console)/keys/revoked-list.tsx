"use client";

import type { RevokedPage, RevokedView } from "../../../server/keys/list-revoked.ts";
import { useLive } from "../../_live/use-live.ts";
import { Ago, When } from "../../_ui/clock.tsx";
import { Panel } from "../../_ui/page.tsx";

const reasons: Readonly<Record<RevokedView["reason"], string>> = {
  keyCompromise: "Taken back",
  cessationOfOperation: "Link deleted",
};

/** What is on the revocation list of the console's authority: nothing is shown while it is empty. Rows from 768 px up, cards below. */
export function RevokedList({ initial }: { initial: RevokedPage }) {
  const { data: page = initial } = useLive<RevokedPage>({ path: "/api/keys/revoked", initial, watch: ["key", "link", "site"] });
  if (page.total === 0) return null;
  return (
    <Panel title="Revocation list" className="mt-4" flush>
      <p className="border-b border-line p-4 text-[13px] text-text-2">
        Certificates of this console that no gateway accepts any more. Gateways whose links use such certificates are told the list; each stays on it until it
        would have ended.
        {page.total > page.rows.length ? ` The newest ${page.rows.length} of ${page.total} are shown.` : ""}
      </p>
      <div className="hidden md:block">
        <table className="table">
          <caption className="sr-only">Revocation list</caption>
          <thead>
            <tr>
              <th>Certificate</th>
              <th>Serial number</th>
              <th>Why</th>
              <th className="num">Revoked</th>
              <th className="num">On the list until</th>
            </tr>
          </thead>
          <tbody>
            {page.rows.map((row) => (
              <tr key={row.serial}>
                <td className="font-medium">{row.name}</td>
                <td className="max-w-64">
                  <code className="block truncate" title={row.serial}>
                    {row.serial}
                  </code>
                </td>
                <td>{reasons[row.reason]}</td>
                <td className="num">
                  <Ago at={row.revokedAt} />
                </td>
                <td className="num">
                  <When at={row.notAfter} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <ul className="divide-y divide-line md:hidden">
        {page.rows.map((row) => (
          <li key={row.serial} className="p-4 text-[13px]">
            <p className="font-medium break-words">{row.name}</p>
            <code className="mt-1 block break-all text-text-2">{row.serial}</code>
            <p className="mt-1 text-text-2">
              {reasons[row.reason]} <Ago at={row.revokedAt} /> · on the list until <When at={row.notAfter} />
            </p>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
