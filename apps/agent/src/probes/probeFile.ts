import { err, ok, PROBE_TOPOLOGY, type Result, SYSTEM_STABLE } from "@nixwave/effects";
import { PROBES_MAX, probeMode, probeName } from "@nixwave/protocol";
import { z } from "zod";
import { messageOf } from "./check.ts";

/** `etc/nixwave/agent/health-checks.json` in a closure. What it says is vouched for by the release that names the closure. */
const secs = (whenLeftOut: number) =>
  z
    .number({ error: "expected a number of seconds" })
    .positive({ error: "expected more than 0 seconds" })
    .max(86_400, { error: "expected at most 86400 seconds, which is a day" })
    .default(whenLeftOut);
const text = z.string().min(1).max(4096);
const everyCheck = {
  name: probeName,
  mode: probeMode.default("enforce"),
  intervalSecs: secs(10),
  timeoutSecs: secs(5),
};
const declaredCheck = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("http"),
    ...everyCheck,
    url: z.url({ protocol: /^https?$/, error: "expected an http or https URL" }),
    status: z.int().min(100).max(599).default(200),
    body: text.nullable().default(null),
  }),
  z.strictObject({
    kind: z.literal("tcp"),
    ...everyCheck,
    address: text,
    port: z.int().min(1).max(65_535),
  }),
  z.strictObject({
    kind: z.literal("exec"),
    ...everyCheck,
    argv: z.array(text).min(1).max(256),
    results: z.enum(["exit-code", "json"]).default("exit-code"),
  }),
  z.strictObject({
    kind: z.literal("systemd"),
    ...everyCheck,
    units: z.array(text).max(256).default([]),
  }),
]);
export type DeclaredCheck = z.infer<typeof declaredCheck>;

/** Declared beside whatever the file says. */
const BUILT_IN: readonly string[] = [SYSTEM_STABLE, PROBE_TOPOLOGY, "reachability"];
const probeFile = z.strictObject({
  schemaVersion: z.literal(1, { error: "expected schemaVersion 1" }),
  checks: z.array(declaredCheck).max(PROBES_MAX - BUILT_IN.length),
});

/** Reads and understands all of it, or says in one sentence what is wrong where. */
export function readProbeFile(
  path: string,
  readText: (path: string) => string | null,
): Result<readonly DeclaredCheck[], string> {
  let json: unknown;
  try {
    const content = readText(path);
    if (content === null) {
      return err(
        `${path} is missing; a closure without probes says so with an empty list of checks`,
      );
    }
    json = JSON.parse(content);
  } catch (cause) {
    return err(`${path} can't be read as JSON: ${messageOf(cause)}`);
  }
  const read = probeFile.safeParse(json);
  if (!read.success) return err(`${path}: ${firstIssue(read.error)}`);
  const names = new Set(BUILT_IN);
  for (const { name } of read.data.checks) {
    if (names.has(name)) {
      return err(`${path}: the name ${name} is taken, by another check or by a built-in one`);
    }
    names.add(name);
  }
  return ok(read.data.checks);
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue === undefined
    ? "not understood"
    : `${z.core.toDotPath(issue.path)}: ${issue.message}`;
}
