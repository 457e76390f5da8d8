/** What a domain function throws when it will not do what was asked. Anything else that is thrown is a fault. */
export class Refusal extends Error {
  override readonly name: string = "Refusal";
}

/** Nobody is signed in, or the session has ended. */
export class Unauthenticated extends Refusal {
  override readonly name = "Unauthenticated";
  constructor() {
    super("You are not signed in.");
  }
}

/** Signed in, and the role does not allow it. */
export class Forbidden extends Refusal {
  override readonly name = "Forbidden";
}

export class NotFound extends Refusal {
  override readonly name = "NotFound";
}

/** The state does not allow it now: the message says what to do first. */
export class Conflict extends Refusal {
  override readonly name = "Conflict";
}

/** Asked for more often than is good for the others; the message says when to try again. */
export class TooMany extends Refusal {
  override readonly name = "TooMany";
}

/** Input that cannot be taken: `fields` maps a form path to what is wrong there. */
export class Invalid extends Refusal {
  override readonly name = "Invalid";
  readonly fields: Record<string, string>;
  constructor(fields: Record<string, string>, message = Object.values(fields)[0] ?? "The input is not valid.") {
    super(message);
    this.fields = fields;
  }
}
