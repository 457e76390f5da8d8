"use client";

import { Toast } from "@base-ui/react/toast";
import { CircleAlert, CircleCheck, X } from "lucide-react";
import type { ReactNode } from "react";

/** Gives the page toasts: `useToasts().add({ title, description, type: "error" })`. They are announced, and F6 reaches them. */
export function Toasts({ children }: { children: ReactNode }) {
  return (
    <Toast.Provider timeout={6_000}>
      {children}
      <Toast.Portal>
        <Toast.Viewport className="fixed right-4 bottom-4 z-50 flex w-[min(380px,calc(100vw-32px))] flex-col gap-2" aria-label="Notifications">
          <ToastList />
        </Toast.Viewport>
      </Toast.Portal>
    </Toast.Provider>
  );
}

export const useToasts = Toast.useToastManager;

function ToastList() {
  const { toasts } = Toast.useToastManager();
  return toasts.map((toast) => (
    <Toast.Root key={toast.id} toast={toast} className="popup flex items-start gap-3 p-3 data-[limited]:hidden">
      {toast.type === "error" ? (
        <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-down" />
      ) : (
        <CircleCheck aria-hidden className="mt-0.5 size-4 shrink-0 text-up" />
      )}
      <div className="min-w-0 flex-1">
        <Toast.Title className="text-[13px] font-medium" />
        <Toast.Description className="text-[13px] break-words text-text-2" />
      </div>
      <Toast.Close className="btn btn-quiet btn-icon -m-1" aria-label="Dismiss">
        <X aria-hidden className="size-4" />
      </Toast.Close>
    </Toast.Root>
  ));
}
