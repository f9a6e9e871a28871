import type {
  Audience,
  RequestOf,
  AnswerOf as RouteAnswerOf,
  RouteName,
  Routes,
} from "@nixwave/protocol";
import type { AgentCaller, OperatorCaller, PublicCaller } from "./principal.ts";

interface CallerByAudience {
  readonly agent: AgentCaller;
  readonly operator: OperatorCaller;
  readonly public: PublicCaller;
}

/** Who calls, by the audience that the route table declares: a handler for agents can't be given an operator. */
export type CallerOf<A extends Audience> = CallerByAudience[A];

/** The routes of one audience. */
export type NamesOf<A extends Audience> = {
  [N in RouteName]: Routes[N]["audience"] extends A ? N : never;
}[RouteName];

export type Handler<N extends RouteName, A extends Audience> = (
  request: RequestOf<N>,
  caller: CallerOf<A>,
) => RouteAnswerOf<N> | Promise<RouteAnswerOf<N>>;

type HandlersOf<N extends RouteName, A extends Audience> = {
  readonly [K in N]: Handler<K, A>;
};

export type AgentHandlers = HandlersOf<NamesOf<"agent">, "agent">;
export type OperatorHandlers = HandlersOf<NamesOf<"operator">, "operator">;
export type PublicHandlers = HandlersOf<NamesOf<"public">, "public">;

/** One handler per route: a route of the table that nobody serves does not compile. */
export interface Handlers {
  readonly agent: AgentHandlers;
  readonly operator: OperatorHandlers;
  readonly public: PublicHandlers;
}
