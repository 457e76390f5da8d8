import type { ReactNode } from "react";
import { StreamProvider } from "../_live/stream.tsx";
import { pageActor } from "../_server/actor.ts";
import { Shell } from "../_ui/shell.tsx";

export default async function ConsoleLayout({ children }: { children: ReactNode }) {
  const { name, email, role } = await pageActor();
  return (
    <StreamProvider>
      <Shell user={{ name, email, role }}>{children}</Shell>
    </StreamProvider>
  );
}
