/** The members of a union, by their kind. */
export type ByKind<U extends { readonly kind: string }> = { readonly [E in U as E["kind"]]: E };

/** One function per kind, no default arm: a missing or stale kind does not compile. Annotate the record with this type. */
export type Handlers<U extends { readonly kind: string }, Context, Answer> = {
  readonly [K in U["kind"]]: (effect: ByKind<U>[K], context: Context) => Answer;
};

/** The one way to consume a union of effects outside a switch. */
export function interpret<
  U extends { readonly kind: string },
  K extends U["kind"],
  Context,
  Answer,
>(
  handlers: Handlers<U, Context, Answer>,
  effect: ByKind<U>[K] & { readonly kind: K },
  context: Context,
): Answer {
  return handlers[effect.kind](effect, context);
}
