"use client";

import { Autocomplete } from "@base-ui/react/autocomplete";
import { Dialog } from "@base-ui/react/dialog";
import { useQuery } from "@tanstack/react-query";
import { Cable, type LucideIcon, MapPin, Plus, UserRound, Users } from "lucide-react";
import { useRouter } from "next/navigation";
import { useMemo } from "react";
import { readJson } from "../_live/use-live.ts";
import { places } from "./navigation.ts";

interface Command {
  readonly value: string;
  readonly label: string;
  readonly href: string;
  readonly icon: LucideIcon;
}

interface Group {
  readonly value: string;
  readonly items: readonly Command[];
}

const actions: readonly Command[] = [
  { value: "new-link", label: "New link", href: "/links/new", icon: Plus },
  { value: "new-site", label: "New site", href: "/sites/new", icon: Plus },
  { value: "account", label: "Account and two-factor sign-in", href: "/settings/account", icon: UserRound },
  { value: "users", label: "Users and roles", href: "/settings/users", icon: Users },
];

/** Ctrl/⌘-K: pages, actions, and every site and link by name. */
export function CommandPalette({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  const router = useRouter();
  const objects = useQuery({
    queryKey: ["palette"],
    queryFn: ({ signal }) => readJson<{ sites: { id: string; name: string }[]; links: { id: string; name: string }[] }>("/api/search", signal),
    enabled: open,
  });
  const groups = useMemo<Group[]>(
    () => [
      { value: "Pages", items: places.map((place) => ({ value: place.href, ...place })) },
      { value: "Actions", items: actions },
      {
        value: "Sites",
        items: (objects.data?.sites ?? []).map((site) => ({
          value: `site-${site.id}`,
          label: site.name,
          href: `/sites/${site.id}`,
          icon: MapPin,
        })),
      },
      {
        value: "Links",
        items: (objects.data?.links ?? []).map((link) => ({
          value: `link-${link.id}`,
          label: link.name,
          href: `/links/${link.id}`,
          icon: Cable,
        })),
      },
    ],
    [objects.data],
  );
  function go(command: Command) {
    onOpenChange(false);
    router.push(command.href);
  }
  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="popup fixed top-[12vh] left-1/2 z-50 w-[calc(100vw-32px)] max-w-xl -translate-x-1/2 overflow-hidden">
          <Dialog.Title className="sr-only">Search and commands</Dialog.Title>
          <Autocomplete.Root items={groups} open inline autoHighlight="always" keepHighlight itemToStringValue={(item: Command) => item.label}>
            <Autocomplete.Input
              aria-label="Search pages, sites and links"
              placeholder="Search pages, sites and links…"
              className="h-12 w-full border-b border-line bg-surface px-4 text-[15px] outline-none"
            />
            <Autocomplete.Empty className="px-4 py-0 text-[13px] text-text-2 not-empty:py-6">Nothing by that name.</Autocomplete.Empty>
            <Autocomplete.List className="max-h-[50vh] overflow-y-auto p-1.5 empty:p-0">
              {(group: Group) => (
                <Autocomplete.Group key={group.value} items={group.items} className="pb-1">
                  <Autocomplete.GroupLabel className="px-2.5 py-1 text-[12px] text-text-3">{group.value}</Autocomplete.GroupLabel>
                  <Autocomplete.Collection>
                    {(command: Command) => (
                      <Autocomplete.Item
                        key={command.value}
                        value={command}
                        onClick={() => go(command)}
                        className="flex h-9 items-center gap-2.5 rounded-md px-2.5 text-[13.5px] data-[highlighted]:bg-raised"
                      >
                        <command.icon aria-hidden className="size-4 text-text-3" />
                        {command.label}
                      </Autocomplete.Item>
                    )}
                  </Autocomplete.Collection>
                </Autocomplete.Group>
              )}
            </Autocomplete.List>
          </Autocomplete.Root>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
