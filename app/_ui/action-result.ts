/** What every server action answers. `fields` maps a form path (`networks.0`) to what is wrong there. */
export type ActionResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly message: string; readonly fields: Record<string, string>; readonly requestId: string | null };
