import { err, ok, type ProbeName, type Result } from "@nixwave/effects";
import { z } from "zod";
import { PROBES_MAX, probeMode } from "./event.ts";
import { probeName } from "./ids.ts";
import { sentence } from "./problem.ts";
import { didYouMean } from "./suggestion.ts";

/** Where a closure declares its probes. Missing or unreadable is the failing probe `probe-topology`, never health. */
export const PROBE_FILE = "etc/nixwave/agent/health-checks.json";

const PROBE_FILE_BYTES_MAX = 256 * 1024;
/** Names that the agent itself reports under. */
export const BUILT_IN_PROBES = [
  "system-stable",
  "reachability",
  "probe-topology",
  "running-closure",
  "operator",
] as const;
/** An interval of 0 would be a hot loop; one of a day is a mistake. */
const INTERVAL_SECS = { min: 0.1, max: 24 * 3600 } as const;
const TIMEOUT_SECS = { min: 0.05, max: 3600 } as const;

const text = z.string().max(4096);
const base = {
  name: probeName.refine((name) => !BUILT_IN_PROBES.some((builtIn) => builtIn === name), {
    error: "expected a name that is not one of the agent's own probes",
  }),
  mode: probeMode.default("enforce"),
  intervalSecs: z.number().min(INTERVAL_SECS.min).max(INTERVAL_SECS.max).default(10),
  timeoutSecs: z.number().min(TIMEOUT_SECS.min).max(TIMEOUT_SECS.max).default(5),
};

/** Unknown keys are refused: a misspelt condition would be a check that always passes. */
function check<S extends z.ZodRawShape>(shape: S) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== "unrecognized_keys") return `expected a mapping with ${known.join(", ")}`;
      const [first = ""] = issue.keys;
      return `unknown key ${JSON.stringify(first)}: expected ${known.join(", ")}.${didYouMean(first, known)}`;
    },
  });
}

const checkSchema = z.discriminatedUnion(
  "kind",
  [
    check({
      ...base,
      kind: z.literal("http"),
      url: z.url({ protocol: /^https?$/, error: "expected an http or https URL" }),
      status: z.int().min(100).max(599).default(200),
      bodyContains: text.min(1).nullable().default(null),
    }),
    check({
      ...base,
      kind: z.literal("tcp"),
      host: z.string().min(1).max(253),
      port: z.int().min(1).max(65_535),
    }),
    check({
      ...base,
      kind: z.literal("exec"),
      argv: z.array(text).min(1, { error: "expected a command and its arguments" }).max(256),
      exitCode: z.int().min(0).max(255).default(0),
      /** With `json` the standard output is a list of sub-results. */
      results: z.literal("json").nullable().default(null),
    }),
    check({
      ...base,
      kind: z.literal("systemd"),
      /** Empty: no failed unit beyond those that had failed before the switch. */
      units: z
        .array(z.string().regex(/^[a-zA-Z0-9:._@\\-]{1,255}$/))
        .max(256)
        .default([]),
    }),
  ],
  { error: "expected a check of kind http, tcp, exec or systemd" },
);

/** One declared probe, every default written out. */
export type Check = z.output<typeof checkSchema>;
export type CheckKind = Check["kind"];

/** One place is left for each built-in probe, so that the topology as declared stays within PROBES_MAX. */
const CHECKS_MAX = PROBES_MAX - 2;

const probeFile = check({
  schemaVersion: z.literal(1, { error: "expected 1" }),
  checks: z.array(checkSchema).max(CHECKS_MAX),
}).superRefine(({ checks }, context) => {
  const seen = new Set<ProbeName>();
  for (const [index, { name }] of checks.entries()) {
    if (seen.has(name)) {
      const message = `a probe named ${name} is declared before: expected each name once`;
      context.addIssue({ code: "custom", path: ["checks", index, "name"], message });
    }
    seen.add(name);
  }
});

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads a probe file's bytes. The error is a sentence: to the agent it is a failing probe. */
export function readProbeFile(bytes: Uint8Array): Result<readonly Check[], string> {
  if (bytes.length > PROBE_FILE_BYTES_MAX) {
    return err(`${PROBE_FILE} has ${bytes.length} bytes, of at most ${PROBE_FILE_BYTES_MAX}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(utf8.decode(bytes));
  } catch {
    return err(`${PROBE_FILE} is not JSON in UTF-8`);
  }
  const read = probeFile.safeParse(json);
  return read.success ? ok(read.data.checks) : err(sentence(read.error, PROBE_FILE));
}
