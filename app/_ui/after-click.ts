import type { FocusEvent, FocusEventHandler } from "react";

/**
 * A field's props with its `onBlur` held back while the mouse that takes the focus away is down: the sentence that a check then shows moves what
 * lies below, and the click would end beside the button that it began on.
 */
export function afterClick<E extends Element, T extends { readonly onBlur?: FocusEventHandler<E> | undefined }>(props: T): T {
  const { onBlur } = props;
  if (onBlur === undefined) return props;
  return {
    ...props,
    onBlur: (event: FocusEvent<E>) => {
      if (isPressed) waiting.push(() => onBlur(event));
      else onBlur(event);
    },
  };
}

const waiting: (() => void)[] = [];
let isPressed = false;

function press(): void {
  isPressed = true;
}

/** In a task of its own: the click comes after the release. */
function release(): void {
  isPressed = false;
  setTimeout(() => {
    for (const blur of waiting.splice(0)) blur();
  });
}

// Before any field's own listeners, and once however many fields there are. What is dragged, or let go outside of the window, has no release of its own.
if (typeof window !== "undefined") {
  window.addEventListener("mousedown", press, true);
  for (const end of ["mouseup", "dragend"]) window.addEventListener(end, release, true);
  window.addEventListener("blur", release);
}
