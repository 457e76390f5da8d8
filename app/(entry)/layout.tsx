import type { ReactNode } from "react";
import { Brand } from "../_ui/shell.tsx";
import { ThemeSwitch } from "../_ui/theme-switch.tsx";

/** Setup and sign-in: one centred column, nothing to be distracted by. */
export default function EntryLayout({ children }: { children: ReactNode }) {
  return (
    <div className="flex min-h-dvh flex-col">
      <header className="flex items-center justify-between px-2 py-1">
        <Brand />
        <ThemeSwitch />
      </header>
      <main className="mx-auto w-full max-w-sm flex-1 px-4 pt-[8vh] pb-12">{children}</main>
    </div>
  );
}
