"use client";

import { Dialog } from "@base-ui/react/dialog";
import { Menu } from "@base-ui/react/menu";
import { LogOut, Menu as MenuIcon, Search, UserRound, X } from "lucide-react";
import Link from "next/link";
import { usePathname, useRouter } from "next/navigation";
import { type ReactNode, useEffect, useState } from "react";
import { LiveMark, StreamBanner } from "../_live/stream.tsx";
import { CommandPalette } from "./command-palette.tsx";
import { isWithin, places } from "./navigation.ts";
import { ThemeSwitch } from "./theme-switch.tsx";

/** The frame of every signed-in page: sidebar (a drawer on a phone), top bar, banner, palette. */
export function Shell({ children, user }: { children: ReactNode; user: { name: string; email: string; role: string } }) {
  const [paletteOpen, setPaletteOpen] = useState(false);
  useEffect(() => {
    function shortcut(event: KeyboardEvent) {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setPaletteOpen((open) => !open);
      }
    }
    document.addEventListener("keydown", shortcut);
    return () => document.removeEventListener("keydown", shortcut);
  }, []);
  return (
    <div className="min-h-dvh md:grid md:grid-cols-[216px_minmax(0,1fr)]">
      <a href="#main" className="btn btn-primary sr-only focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50">
        Skip to content
      </a>
      <aside className="sticky top-0 hidden h-dvh flex-col border-r border-line bg-surface md:flex">
        <Brand />
        <Navigation />
      </aside>
      <div className="flex min-w-0 flex-col">
        <header className="sticky top-0 z-30 flex h-13 items-center gap-2 border-b border-line bg-surface px-3 md:px-6">
          <Drawer />
          <button type="button" className="btn w-9 justify-center px-0 text-text-2 sm:w-60 sm:justify-start sm:px-3" onClick={() => setPaletteOpen(true)}>
            <Search aria-hidden className="size-4 shrink-0" />
            <span className="sr-only flex-1 text-left sm:not-sr-only">Search or jump to… </span>
            <kbd className="hidden rounded border border-line px-1 font-sans text-[11px] text-text-3 sm:inline">Ctrl K</kbd>
          </button>
          <span className="flex-1" />
          <LiveMark />
          <ThemeSwitch />
          <UserMenu user={user} />
        </header>
        <StreamBanner />
        <main id="main" tabIndex={-1} className="mx-auto w-full max-w-[1280px] flex-1 px-4 py-5 outline-none md:px-6">
          {children}
        </main>
      </div>
      <CommandPalette open={paletteOpen} onOpenChange={setPaletteOpen} />
    </div>
  );
}

export function Brand() {
  return (
    <span className="flex h-13 items-center gap-2.5 px-4 text-[15px] font-semibold">
      <svg aria-hidden="true" viewBox="0 0 32 32" className="size-6">
        <rect width="32" height="32" rx="7" fill="#1d5bd8" />
        <path d="M6 22v-4a10 10 0 0 1 20 0v4M11 22v-4a5 5 0 0 1 10 0v4" fill="none" stroke="#fff" strokeWidth="2.6" strokeLinecap="round" />
      </svg>
      Culvert
    </span>
  );
}

function Navigation({ onNavigate }: { onNavigate?: () => void }) {
  const path = usePathname();
  return (
    <nav aria-label="Main" className="flex flex-col gap-0.5 p-2">
      {places.map(({ href, label, icon: Icon }) => {
        const here = isWithin(path, href);
        return (
          <Link
            key={href}
            href={href}
            onClick={onNavigate}
            aria-current={here ? "page" : undefined}
            className={`flex h-9 items-center gap-2.5 rounded-md px-2.5 text-[13.5px] pointer-coarse:h-11 ${here ? "bg-raised font-medium text-text" : "text-text-2 hover:bg-raised"}`}
          >
            <Icon aria-hidden className="size-4" />
            {label}
          </Link>
        );
      })}
    </nav>
  );
}

function Drawer() {
  const [open, setOpen] = useState(false);
  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Trigger className="btn btn-quiet btn-icon md:hidden" aria-label="Menu">
        <MenuIcon aria-hidden className="size-5" />
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="fixed inset-y-0 left-0 z-50 w-64 border-r border-line bg-surface">
          <Dialog.Title className="sr-only">Navigation</Dialog.Title>
          <div className="flex items-center justify-between pr-2">
            <Brand />
            <Dialog.Close className="btn btn-quiet btn-icon" aria-label="Close menu">
              <X aria-hidden className="size-4" />
            </Dialog.Close>
          </div>
          <Navigation onNavigate={() => setOpen(false)} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function UserMenu({ user }: { user: { name: string; email: string; role: string } }) {
  const router = useRouter();
  async function signOut() {
    await fetch("/api/auth/sign-out", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
    window.location.assign("/sign-in");
  }
  return (
    <Menu.Root>
      <Menu.Trigger className="btn btn-quiet btn-icon" aria-label={`Account of ${user.name}`}>
        <UserRound aria-hidden className="size-4" />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner sideOffset={6} align="end" className="z-50">
          <Menu.Popup className="popup min-w-52 p-1">
            <div className="border-b border-line px-2 py-2 text-[13px]">
              <p className="font-medium">{user.name}</p>
              <p className="text-text-2">{user.email}</p>
              <p className="text-text-3 first-letter:uppercase">{user.role}</p>
            </div>
            <Menu.Item
              className="mt-1 flex h-9 items-center gap-2 rounded-md px-2 text-[13px] outline-none data-[highlighted]:bg-raised"
              onClick={() => router.push("/settings/account")}
            >
              <UserRound aria-hidden className="size-4 text-text-3" /> Account
            </Menu.Item>
            <Menu.Item
              className="flex h-9 items-center gap-2 rounded-md px-2 text-[13px] outline-none data-[highlighted]:bg-raised"
              onClick={() => void signOut()}
            >
              <LogOut aria-hidden className="size-4 text-text-3" /> Sign out
            </Menu.Item>
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}
