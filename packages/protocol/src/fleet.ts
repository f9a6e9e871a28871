import { err, isAttempt, ok, type Result } from "@nixwave/effects";
import { z } from "zod";
import { parseSshPublicKey } from "./identity/sshKey.ts";
import { channel, closureHash, hostName } from "./ids.ts";
import { type Finding, type Placed, readPlaced } from "./placed.ts";
import { durationSecs, policySchema } from "./policy.ts";
import { closureDigest, system, tag } from "./release.ts";
import { hostOrSelectorSchema, selectorSchema } from "./selector.ts";
import { didYouMean } from "./suggestion.ts";

/** An object of a declaration: an unknown key is refused, with the known ones and the one that was likely meant. */
function declared<S extends z.ZodRawShape>(shape: S) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== "unrecognized_keys") return `expected a mapping with ${known.join(", ")}`;
      const [first = ""] = issue.keys;
      const names = issue.keys.map((key) => JSON.stringify(key)).join(" and ");
      const plural = issue.keys.length === 1 ? "key" : "keys";
      return `unknown ${plural} ${names}: expected ${known.join(", ")}.${didYouMean(first, known)}`;
    },
  });
}

/** A mapping by id; a key that is no such id is refused with what was expected. */
const byId = <K extends z.ZodType<string, string>, V extends z.ZodType>(
  key: K,
  value: V,
  what: string,
) =>
  z.record(key, value, {
    error: (issue) =>
      issue.code === "invalid_key" ? issue.issues[0]?.message : `expected a mapping of ${what}`,
  });

const listOf = <T extends z.ZodType>(item: T, what: string) =>
  z.array(item, { error: `expected a list of ${what}` });

const SSH_HOST_KEY =
  "expected the line of /etc/ssh/ssh_host_ed25519_key.pub, such as ssh-ed25519 AAAA…";

const reason = z
  .string({ error: "expected a reason: it is what `nixwave why` shows" })
  .min(1, { error: "expected a reason: it is what `nixwave why` shows" })
  .max(500);

/** The line of /etc/ssh/ssh_host_ed25519_key.pub, by which a host enrols. */
const sshHostKey = z.string({ error: SSH_HOST_KEY }).refine((line) => parseSshPublicKey(line).ok, {
  error: SSH_HOST_KEY,
});

const host = declared({
  system,
  channel,
  closure: closureHash,
  tags: listOf(tag, "tags").readonly().default([]),
  closureDigest: closureDigest.nullable().default(null),
  sshHostKey: sshHostKey.nullable().default(null),
});

const wave = declared({
  description: z.string({ error: "expected a text" }).max(500).default(""),
  select: selectorSchema,
  soakSecs: durationSecs.optional(),
});

const policy = declared(policySchema.unwrap().partial().shape);

const PERCENTAGE = /^(?:100|[1-9]?\d)%$/;
const LIMIT = "expected a whole number from 1, or a percentage such as 25%";
const maxInFlight = z
  .union([z.number(), z.string()], { error: LIMIT })
  .refine((limit) => (typeof limit === "number" ? isAttempt(limit) : PERCENTAGE.test(limit)), {
    error: LIMIT,
  });

const edge = declared({ gates: hostOrSelectorSchema, gated: hostOrSelectorSchema, reason });
const channelEdge = declared({ gates: channel, gated: channel, reason });
const budget = declared({
  name: z.string({ error: "expected the budget's name" }).min(1).max(128),
  select: selectorSchema,
  maxInFlight,
});

const fleet = declared({
  schemaVersion: z.literal(1, { error: "expected schemaVersion: 1" }),
  hosts: byId(hostName, host, "hosts by name"),
  channels: byId(
    channel,
    declared({
      waves: listOf(wave, "waves").min(1, { error: "expected at least one wave" }),
      policy: policy.default({}),
    }),
    "channels by name",
  ),
  budgets: listOf(budget, "budgets").default([]),
  edges: listOf(edge, "edges").default([]),
  channelEdges: listOf(channelEdge, "channel edges").default([]),
});

/** The operator's input to a release, before anything of it is resolved. */
export type Fleet = z.output<typeof fleet>;
export type DeclaredHost = z.output<typeof host>;

/** A declaration together with the places of its parts. */
export interface Declaration {
  readonly fleet: Fleet;
  readonly placed: Placed;
}

/** Reads a declaration in YAML or JSON; the error is everything that is wrong with its form, in the order of the file. */
export function readFleet(source: {
  file: string;
  text: string;
}): Result<Declaration, readonly Finding[]> {
  const placed = readPlaced(source);
  if (!placed.ok) return placed;
  const read = fleet.safeParse(placed.value.value);
  if (read.success) return ok({ fleet: read.data, placed: placed.value });
  return err(findings(read.error, placed.value));
}

function findings(error: z.ZodError, placed: Placed): readonly Finding[] {
  const found = error.issues.map((issue) => {
    const path =
      issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] ?? ""] : issue.path;
    const where = issue.path.map(String).join(".");
    return {
      file: placed.file,
      line: placed.lineOf(path),
      sentence: where === "" ? issue.message : `${where}: ${issue.message}`,
    };
  });
  return found.sort((a, b) => a.line - b.line);
}
