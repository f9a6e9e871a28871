import type { z } from "zod";
import { AGENT_ROUTES } from "./agentRoutes.ts";
import { OPERATOR_ROUTES } from "./operatorRoutes.ts";
import { PUBLIC_ROUTES } from "./publicRoutes.ts";

/** The one table of routes: server, client and OpenAPI document are made from it, and a path is spelled nowhere else. */
export const ROUTES: typeof AGENT_ROUTES & typeof OPERATOR_ROUTES & typeof PUBLIC_ROUTES = {
  ...AGENT_ROUTES,
  ...OPERATOR_ROUTES,
  ...PUBLIC_ROUTES,
};

export type Routes = typeof ROUTES;
export type RouteName = keyof Routes;

/** In memory: ids are branded, instants are Instant. */
export type ParamsOf<N extends RouteName> = z.output<Routes[N]["params"]>;
export type QueryOf<N extends RouteName> = z.output<Routes[N]["query"]>;
export type BodyOf<N extends RouteName> = z.output<Routes[N]["body"]["schema"]>;
export type AnswerOf<N extends RouteName> = z.output<Routes[N]["answer"]["schema"]>;

export interface RequestOf<N extends RouteName> {
  readonly params: ParamsOf<N>;
  readonly query: QueryOf<N>;
  readonly body: BodyOf<N>;
}

export const isRouteName = (text: string): text is RouteName => Object.hasOwn(ROUTES, text);
export const ROUTE_NAMES: readonly RouteName[] = Object.keys(ROUTES).filter(isRouteName);

/** Majors that are served: this one and the one before it, once there is one. */
export const PROTOCOL_MAJOR = 1;
export const HEADER = {
  protocol: "nixwave-protocol",
  journal: "nixwave-journal",
  /** Stands for the certificate's name where the CP listens on loopback only and without TLS. */
  host: "nixwave-host",
  /** Stands for the operator's token there. */
  operator: "nixwave-operator",
} as const;
