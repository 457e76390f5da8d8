import { useEffect } from "react";
import type { UseFormReturn } from "react-hook-form";
import type { WizardForm } from "./wizard-form.ts";

/** A mistake that was shown goes as soon as it is put right: left until blur, it would move the button away from under the click. */
export function useRecheckWhileTyping(form: UseFormReturn<WizardForm>) {
  useEffect(() => {
    const subscription = form.watch((_values, { name }) => {
      if (name === undefined) return;
      const wrong = [name, ...bearOnOthers].filter((each) => form.getFieldState(each).error !== undefined);
      if (wrong.length > 0) void form.trigger(wrong);
    });
    return () => subscription.unsubscribe();
  }, [form]);
}

/** Mistakes that another field can put right. */
const bearOnOthers = ["encapsulation", "mode", "inactivitySeconds"] as const satisfies readonly (keyof WizardForm)[];

/** Of a form that was changed and not saved. */
export function useAskBeforeLeaving(dirty: boolean) {
  useEffect(() => {
    if (!dirty) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [dirty]);
}
