import { readFileSync } from "node:fs";
import { isAbsolute } from "node:path";
import { err, ok, type Result } from "@nixwave/effects";
import { channel, hostName, sentence } from "@nixwave/protocol";
import { z } from "zod";

const absolutePath = z
  .string()
  .refine(isAbsolute, { error: "expected an absolute path, such as /var/lib/nixwave" });

const secs = (most: number) =>
  z
    .int({ error: "expected a whole number of seconds" })
    .min(1, { error: "expected at least 1 second" })
    .max(most, { error: `expected at most ${most} seconds` });

const LOOPBACK = /^(127(\.\d{1,3}){3}|\[::1\]|localhost)$/;

/** Plain HTTP stays on this machine: signed releases and TLS are not built yet, and nothing else would protect it. */
const loopbackUrl = z.string().refine(
  (text) => {
    if (!URL.canParse(text)) return false;
    const { protocol, hostname, pathname, search, username } = new URL(text);
    return (
      protocol === "http:" &&
      LOOPBACK.test(hostname) &&
      pathname === "/" &&
      search === "" &&
      username === ""
    );
  },
  {
    error:
      "expected http://127.0.0.1:PORT: without TLS, which this version does not have yet, an agent talks to its own machine only",
  },
);

const regex = z.string().refine(
  (text) => {
    try {
      return new RegExp(text, "g").flags === "g";
    } catch {
      return false;
    }
  },
  { error: "expected a regular expression" },
);

const configSchema = z
  .strictObject({
    host: hostName,
    channel,
    controlPlane: loopbackUrl,
    insecureLoopback: z.literal(true, {
      error: "expected true: it says that plain HTTP on the loopback is meant",
    }),
    stateDir: absolutePath,
    activation: z.discriminatedUnion("backend", [
      z
        .strictObject({
          backend: z.literal("directory"),
          /** Links of the running system, the profile and the boot default. */
          root: absolutePath,
          /** One folder per closure, by its name. */
          closures: absolutePath,
          /** Where realising copies closures from that are not there yet; null: none. */
          cache: absolutePath.nullable().default(null),
        })
        .readonly(),
    ]),
    heartbeatSecs: secs(600).default(60),
    pollWaitSecs: secs(120).default(60),
    /** Whatever these match in a unit's output is taken out before it leaves the machine. */
    redact: z.array(regex).default([]).readonly(),
    metrics: z
      .union([
        z.strictObject({ port: z.int().min(0).max(65_535) }).readonly(),
        z.strictObject({ textfile: absolutePath }).readonly(),
      ])
      .nullable()
      .default(null),
  })
  .readonly();

export type Config = z.output<typeof configSchema>;

/** The configuration, or one sentence with the place and what was expected there. */
export function readConfig(file: string): Result<Config, string> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    return err(
      `${file} can't be read (${reasonOf(cause)}). Name a configuration file: --config FILE.`,
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    return err(`${file} is no JSON: ${reasonOf(cause)}.`);
  }
  const parsed = configSchema.safeParse(json);
  if (parsed.success) return ok(parsed.data);
  return err(`${file}: ${sentence(parsed.error, "config")}.`);
}

export const reasonOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause);

export function redactor(patterns: readonly string[]): (text: string) => string {
  const all = patterns.map((pattern) => new RegExp(pattern, "g"));
  return (text) => all.reduce((rest, pattern) => rest.replace(pattern, "[redacted]"), text);
}
