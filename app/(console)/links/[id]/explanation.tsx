"use client";

import type { LinkExplanation } from "../../../../server/links/explain-link.ts";
import { useLive } from "../../../_live/use-live.ts";

/** What both ends' traces say together: which site to change, and how. Nothing while there is nothing to say. */
export function Explanation({ linkId }: { linkId: string }) {
  const { data } = useLive<LinkExplanation | null>({
    path: `/api/links/${linkId}/explanation`,
    watch: [`link:${linkId}`, `trace:${linkId}`],
    everyMilliseconds: 10_000,
  });
  if (!data || data.isOver) return null;
  return (
    <p className="mt-2">
      <span className="text-text-2">From both ends: </span>
      {data.sentence}
    </p>
  );
}
