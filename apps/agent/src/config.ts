import { readFileSync } from "node:fs";
import { isAbsolute } from "node:path";
import { err, ok, type Result } from "@nixwave/effects";
import { channel, hostName, isControlPlaneName, sentence } from "@nixwave/protocol";
import { z } from "zod";
import { activationSchema } from "./activation/choose.ts";
import type { EnrolBy } from "./identity/evidence.ts";
import type { ReachTarget } from "./probes/baseline.ts";

const absolutePath = z
  .string()
  .refine(isAbsolute, { error: "expected an absolute path, such as /var/lib/nixwave" });

const secs = (most: number) =>
  z
    .int({ error: "expected a whole number of seconds" })
    .min(1, { error: "expected at least 1 second" })
    .max(most, { error: `expected at most ${most} seconds` });

const LOOPBACK = /^(127(\.\d{1,3}){3}|\[::1\]|localhost)$/;

const controlPlaneUrl = z.string().refine(
  (text) => {
    if (!URL.canParse(text)) return false;
    const { protocol, pathname, search, username } = new URL(text);
    return /^https?:$/.test(protocol) && pathname === "/" && search === "" && username === "";
  },
  { error: "expected https://HOST:PORT, without a path" },
);

/** Where OpenSSH keeps it, on NixOS as elsewhere. */
const SSH_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key";

const enrolment = z
  .union(
    [
      z.strictObject({ sshHostKey: absolutePath }).readonly(),
      z.strictObject({ tokenFile: absolutePath }).readonly(),
    ],
    { error: 'expected { "sshHostKey": PATH } or { "tokenFile": PATH }' },
  )
  .transform(
    (from): EnrolBy =>
      "sshHostKey" in from
        ? { kind: "ssh", path: from.sshHostKey }
        : { kind: "token", path: from.tokenFile },
  );

/** How the CP and this host prove themselves to each other. Null: not at all, on the loopback. */
interface Tls {
  /** The CA's certificate: a path. */
  readonly authority: string;
  readonly controlPlaneName: string;
  readonly enrolBy: EnrolBy;
}

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

const ADDRESS = /^(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9._-]+):([0-9]{1,5})$/;
const address = z.string().regex(ADDRESS, { error: "expected HOST:PORT, such as 10.0.0.1:53" });

const configSchema = z
  .strictObject({
    host: hostName,
    channel,
    controlPlane: controlPlaneUrl,
    insecureLoopback: z
      .literal(true, { error: "expected true: it says that plain HTTP on the loopback is meant" })
      .optional(),
    /** The CA that the control plane's certificate is of; never the certificate itself, which changes. */
    authority: absolutePath.optional(),
    /** The control plane's own name, where it is not the one in the address. */
    controlPlaneName: z
      .string()
      .refine(isControlPlaneName, { error: "expected a name such as cp.example.org" })
      .optional(),
    enrolment: enrolment.optional(),
    /** The root.json that came with the host: what it verifies releases from. */
    root: absolutePath,
    stateDir: absolutePath,
    activation: activationSchema,
    /** Beside the control plane and the caches, whom a host that is not cut off can reach, such as a gateway. */
    anchors: z.array(address).max(16).default([]).readonly(),
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
  .transform(
    ({ insecureLoopback, authority, controlPlaneName, enrolment: by, ...config }, context) => {
      const refused = (path: string, message: string) => {
        context.addIssue({ code: "custom", path: [path], message });
        return z.NEVER;
      };
      const { protocol, hostname } = new URL(config.controlPlane);
      if (protocol === "http:") {
        if (!LOOPBACK.test(hostname)) return refused("controlPlane", HTTPS_EXPECTED);
        if (insecureLoopback !== true) return refused("insecureLoopback", LOOPBACK_EXPECTED);
        for (const [name, value] of Object.entries({ authority, controlPlaneName, enrolment: by }))
          if (value !== undefined)
            return refused(name, "expected https:// in controlPlane beside it");
        return { ...config, tls: null };
      }
      if (insecureLoopback !== undefined)
        return refused(
          "insecureLoopback",
          "expected http://127.0.0.1:PORT in controlPlane beside it",
        );
      if (authority === undefined) return refused("authority", AUTHORITY_EXPECTED);
      const enrolBy = by ?? { kind: "ssh", path: SSH_HOST_KEY };
      // An IPv6 address stands in brackets in an address, and without them in a certificate.
      const name = controlPlaneName ?? hostname.replace(/^\[|\]$/g, "");
      const tls: Tls = { authority, controlPlaneName: name, enrolBy };
      return { ...config, tls };
    },
  )
  .readonly();

const HTTPS_EXPECTED =
  "expected https://HOST:PORT: without TLS an agent talks to its own machine only, such as http://127.0.0.1:8080";
const LOOPBACK_EXPECTED =
  "expected true beside http://: it says that plain HTTP on the loopback is meant";
const AUTHORITY_EXPECTED =
  "expected the path of the CA's certificate, which `nixwave-cp ca` prints";

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

/** Whoever of these answers before a switch must not fall silent with it. */
export function reachTargets({
  controlPlane,
  activation,
  anchors,
}: Config): readonly ReachTarget[] {
  const caches = activation.backend === "directory" ? [] : activation.caches;
  const urls = [controlPlane, ...caches].flatMap((text) => targetOf(new URL(text)));
  const named = anchors.map((text) => targetOf(new URL(`tcp://${text}`)));
  return [...urls, ...named.flat()];
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { "https:": 443, "http:": 80 };

/** Nothing for caches that are no network: a folder, a bucket behind a client. */
function targetOf({ protocol, hostname, port }: URL): readonly ReachTarget[] {
  const number = port === "" ? DEFAULT_PORTS[protocol] : Number(port);
  // Every host reaches itself, cut off or not.
  if (hostname === "" || number === undefined || LOOPBACK.test(hostname)) return [];
  return [{ host: hostname.replace(/^\[|\]$/g, ""), port: number }];
}
