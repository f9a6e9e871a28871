import { z } from "zod";
import type { ProblemCode } from "./problem.ts";
import type { StreamStart } from "./stream.ts";

/** Agents' principals open agent routes only, operators' operator routes only; public ones need none. */
export type Audience = "agent" | "operator" | "public";
/** A viewer reads; an operator pauses, resumes, freezes, retries, advances; an admin clears, lifts, cancels. */
export const ROLES = ["viewer", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

const RANK = { viewer: 0, operator: 1, admin: 2 } as const satisfies Record<Role, number>;
/** Whether a principal of role `has` may do what needs `needs`. */
export const roleAllows = (has: Role, needs: Role): boolean => RANK[has] >= RANK[needs];

/** What the path's or the query's texts decode to. */
type Texts = z.ZodType<unknown, { readonly [name: string]: string | undefined }>;

export type RouteBody =
  | { readonly kind: "none"; readonly schema: z.ZodType }
  | { readonly kind: "json"; readonly schema: z.ZodType }
  /** Lines of JSON that are decoded one by one (decodeLine), so that one bad line stops no other. */
  | { readonly kind: "ndjson"; readonly schema: z.ZodType }
  | { readonly kind: "text"; readonly schema: z.ZodType };

export type RouteAnswer =
  | { readonly kind: "json"; readonly status: 200; readonly schema: z.ZodType }
  /** 200 with JSON, or 204 for null. */
  | { readonly kind: "json-or-none"; readonly status: 200; readonly schema: z.ZodType }
  | { readonly kind: "none"; readonly status: 204; readonly schema: z.ZodType }
  | { readonly kind: "text"; readonly status: 200; readonly schema: z.ZodType }
  /** Server-sent events, for as long as the reader stays: the handler answers what takes it. */
  | { readonly kind: "event-stream"; readonly status: 200; readonly schema: z.ZodType }
  /** Byte for byte as stored, with an ETag. */
  | { readonly kind: "bytes"; readonly status: 200; readonly schema: z.ZodType };

/** One row of the table. Where `audience` is operator, `role` is the least that may use it. */
export interface Route {
  readonly method: "GET" | "POST";
  /** A parameter is `:name`, a whole segment. */
  readonly path: string;
  readonly summary: string;
  readonly audience: Audience;
  readonly role: Role | null;
  readonly params: Texts;
  readonly query: Texts;
  readonly body: RouteBody;
  readonly answer: RouteAnswer;
  /** What this route may answer beside EVERY_ROUTE. */
  readonly problems: readonly ProblemCode[];
  /** Bytes that the body may have; more is answered 413 before it is read to its end. */
  readonly bodyBytesMax: number;
}

/** Any route may answer these. */
export const EVERY_ROUTE = [
  "bad-request",
  "internal",
  "not-ready",
  "old-protocol",
  "queue-full",
  "stopping",
  "too-large",
  "too-many",
  "unsupported-media",
] as const satisfies readonly ProblemCode[];

const nothing = z.object({});
export const NO_BODY = { kind: "none", schema: z.undefined() } as const;
export const NO_ANSWER = { kind: "none", status: 204, schema: z.null() } as const;
export const TEXT_ANSWER = { kind: "text", status: 200, schema: z.string() } as const;
export const STREAM_ANSWER = {
  kind: "event-stream",
  status: 200,
  schema: z.custom<StreamStart>((value) => typeof value === "function"),
} as const;
export const BYTES_ANSWER = {
  kind: "bytes",
  status: 200,
  schema: z.custom<Uint8Array>((value) => value instanceof Uint8Array),
} as const;

export const json = <S extends z.ZodType>(schema: S) => ({ kind: "json", schema }) as const;
export const answers = <S extends z.ZodType>(schema: S) =>
  ({ kind: "json", status: 200, schema }) as const;
export const mayAnswer = <S extends z.ZodType>(schema: S) =>
  ({ kind: "json-or-none", status: 200, schema: schema.nullable() }) as const;

/** A read without parameters; spread it and say what differs. */
export const READ = {
  method: "GET",
  role: null,
  params: nothing,
  query: nothing,
  body: NO_BODY,
  problems: [],
  bodyBytesMax: 0,
} as const;

/** A command of a person is a reason and a few fields. */
const COMMAND_BYTES_MAX = 64 * 1024;
export const COMMAND = { ...READ, method: "POST", bodyBytesMax: COMMAND_BYTES_MAX } as const;
