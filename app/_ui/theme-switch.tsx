"use client";

import { Menu } from "@base-ui/react/menu";
import { Check, Monitor, Moon, Sun } from "lucide-react";
import { useTheme } from "next-themes";

const themes = [
  { id: "light", label: "Light", icon: Sun },
  { id: "dark", label: "Dark", icon: Moon },
  { id: "system", label: "System", icon: Monitor },
] as const;

export function ThemeSwitch() {
  const { theme, setTheme } = useTheme();
  return (
    <Menu.Root>
      <Menu.Trigger className="btn btn-quiet btn-icon" aria-label="Theme">
        <Sun aria-hidden className="size-4 dark:hidden" />
        <Moon aria-hidden className="hidden size-4 dark:block" />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner sideOffset={6} align="end" className="z-50">
          <Menu.Popup className="popup min-w-36 p-1">
            <Menu.RadioGroup value={theme ?? "system"} onValueChange={(value) => setTheme(String(value))}>
              {themes.map(({ id, label, icon: Icon }) => (
                <Menu.RadioItem
                  key={id}
                  value={id}
                  className="flex h-9 items-center gap-2 rounded-md px-2 text-[13px] outline-none data-[highlighted]:bg-raised"
                >
                  <Icon aria-hidden className="size-4 text-text-3" />
                  <span className="flex-1">{label}</span>
                  <Menu.RadioItemIndicator>
                    <Check aria-hidden className="size-4" />
                  </Menu.RadioItemIndicator>
                </Menu.RadioItem>
              ))}
            </Menu.RadioGroup>
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}
