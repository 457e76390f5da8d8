import type { ReactNode } from "react";
import { StreamProvider } from "../_live/stream.tsx";
import { Shell } from "../_ui/shell.tsx";

export default async function ConsoleLayout({ children }: { children: ReactNode }) {
  return (
    <StreamProvider>
      <Shell user={{ name: "x", email: "y", role: "owner" }}>{children}</Shell>
    </StreamProvider>
  );
}
