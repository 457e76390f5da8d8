import type { Metadata } from "next";
import { listLinkNames } from "../../../server/links/list-links.ts";
import { listRotations } from "../../../server/rotation/schedules.ts";
import { mayEdit, mayOperate, pageActor } from "../../_server/actor.ts";
import { RotationsPanel } from "./rotations-panel.tsx";

export const metadata: Metadata = { title: "Rotations" };

export default async function RotationsPage() {
  const actor = await pageActor();
  const [rotations, links] = await Promise.all([listRotations(actor), listLinkNames(actor)]);
  return (
    <RotationsPanel initial={rotations} links={links} zones={Intl.supportedValuesOf("timeZone")} mayEdit={mayEdit(actor)} mayOperate={mayOperate(actor)} />
  );
}
