"use client";

import { AlertDialog } from "@base-ui/react/alert-dialog";
import { Dialog } from "@base-ui/react/dialog";
import { X } from "lucide-react";
import { type ReactNode, useId, useState } from "react";

/** A dialog with a title, for forms and details. `open` is the caller's. */
export function Modal(props: {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  description?: ReactNode;
  wide?: boolean;
  children: ReactNode;
}) {
  return (
    <Dialog.Root open={props.open} onOpenChange={props.onOpenChange}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup
          className={`popup fixed top-1/2 left-1/2 z-50 max-h-[calc(100dvh-32px)] w-[calc(100vw-32px)] -translate-x-1/2 -translate-y-1/2 overflow-y-auto p-5 ${props.wide ? "max-w-3xl" : "max-w-lg"}`}
        >
          <div className="mb-4 flex items-start justify-between gap-4">
            <div>
              <Dialog.Title className="text-base font-semibold">{props.title}</Dialog.Title>
              {props.description ? <Dialog.Description className="mt-1 text-[13px] text-text-2">{props.description}</Dialog.Description> : null}
            </div>
            <Dialog.Close className="btn btn-quiet btn-icon -mt-1 -mr-1" aria-label="Close">
              <X aria-hidden className="size-4" />
            </Dialog.Close>
          </div>
          {props.children}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/**
 * Asks before something that cannot be undone. `consequence` says what will happen; with `typeToConfirm` the name must be typed.
 * `onConfirm` answers an error sentence to show, or null when done.
 */
export function Confirm(props: {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  consequence: ReactNode;
  confirmLabel: string;
  danger?: boolean;
  typeToConfirm?: string;
  /** What else there is to choose. */
  children?: ReactNode;
  onConfirm: () => Promise<string | null>;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const [typed, setTyped] = useState("");
  const fieldId = useId();
  const blocked = busy || (props.typeToConfirm !== undefined && typed !== props.typeToConfirm);

  async function confirm() {
    setBusy(true);
    const failure = await props.onConfirm();
    setBusy(false);
    setError(failure);
    if (failure === null) {
      setTyped("");
      props.onOpenChange(false);
    }
  }

  return (
    <AlertDialog.Root open={props.open} onOpenChange={props.onOpenChange}>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className="backdrop" />
        <AlertDialog.Popup className="popup fixed top-1/2 left-1/2 z-50 w-[calc(100vw-32px)] max-w-md -translate-x-1/2 -translate-y-1/2 p-5">
          <AlertDialog.Title className="text-base font-semibold">{props.title}</AlertDialog.Title>
          <AlertDialog.Description render={<div />} className="mt-2 text-[13px] text-text-2">
            {props.consequence}
          </AlertDialog.Description>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              if (!blocked) void confirm();
            }}
          >
            {props.children}
            {props.typeToConfirm === undefined ? null : (
              <div className="mt-4">
                <label className="field-label" htmlFor={fieldId}>
                  Type <code>{props.typeToConfirm}</code> to confirm
                </label>
                <input id={fieldId} className="input" autoComplete="off" value={typed} onChange={(event) => setTyped(event.target.value)} />
              </div>
            )}
            {error ? (
              <p role="alert" className="error mt-3">
                {error}
              </p>
            ) : null}
            <div className="mt-5 flex justify-end gap-2">
              <AlertDialog.Close className="btn">Cancel</AlertDialog.Close>
              <button type="submit" className={`btn ${props.danger ? "btn-danger" : "btn-primary"}`} disabled={blocked}>
                {busy ? "Working…" : props.confirmLabel}
              </button>
            </div>
          </form>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
