import { readFileSync } from "node:fs";
import { isIP, isIPv4 } from "node:net";
import { dirname, resolve } from "node:path";
import { err, ok, type Result } from "@nixwave/effects";
import { z } from "zod";
import { parsePlace, type RepositoryPlace } from "./repository/place.ts";
import { resolveTls, type TlsConfig, type TlsFlags, withoutTls } from "./tlsConfig.ts";

/** Where the control plane listens. Port 0 lets the system choose; `--ready-file` and the first log line name it. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Where releases come from: a signed repository and the root to verify it from, null where one is remembered from before. */
export interface RepositoryConfig {
  readonly place: RepositoryPlace;
  readonly rootFile: string | null;
}

/** Everything that `serve` needs, with absolute paths and nothing left to default. */
export interface ServeConfig {
  readonly dataDir: string;
  readonly repository: RepositoryConfig;
  readonly listen: ListenAddress;
  /** Null: plain HTTP, on the loopback only. */
  readonly tls: TlsConfig | null;
  readonly recover: boolean;
  readonly readyFile: string | null;
  readonly logRetention: LogRetention;
}

/** How much of the log stays in the database; what is older, or more, goes to archive files beside it. */
export interface LogRetention {
  readonly secs: number;
  readonly bytes: number;
}

const DAY_SECS = 24 * 3600;
const GIB = 2 ** 30;
export const LOG_DAYS_DEFAULT = 90;
export const LOG_GIB_DEFAULT = 2;

export const DEFAULT_LISTEN = "127.0.0.1:8460";

const filePath = z.string({ error: 'expected a path such as "/var/lib/nixwave"' }).min(1, {
  error: 'expected a path such as "/var/lib/nixwave", not an empty text',
});
const flag = z.boolean({ error: "expected true or false" });
const listenText = z.string({ error: `expected an address such as "${DEFAULT_LISTEN}"` });

const amount = (unit: string) =>
  z
    .number({ error: `expected a number of ${unit}` })
    .positive({ error: `expected more than 0 ${unit}` });

/** The config file: every flag of `serve` by its camelCase name, nothing else. Relative paths start at the file's folder. */
const configFileSchema = z
  .strictObject({
    data: filePath.optional(),
    repository: z.string({ error: "expected a directory or an address" }).min(1).optional(),
    root: filePath.optional(),
    listen: listenText.optional(),
    insecureLoopback: flag.optional(),
    name: z.string({ error: 'expected a name such as "cp.example.com"' }).optional(),
    caCert: filePath.optional(),
    caKey: filePath.optional(),
    caSignCmd: z.string({ error: "expected a command" }).optional(),
    serverCert: filePath.optional(),
    serverKey: filePath.optional(),
    allowTokenAdmin: flag.optional(),
    readyFile: filePath.optional(),
    logDays: amount("days").optional(),
    logGib: amount("GiB").optional(),
  })
  .readonly();
export interface ConfigFile extends Omit<z.output<typeof configFileSchema>, "repository"> {
  readonly repository?: RepositoryPlace;
}

const PATHS = [
  "data",
  "root",
  "readyFile",
  "caCert",
  "caKey",
  "serverCert",
  "serverKey",
] as const satisfies readonly Exclude<keyof ConfigFile, "repository">[];
export const CONFIG_KEYS = Object.keys(configFileSchema.unwrap().shape).join(", ");

function keySentence(file: string, issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code === "unrecognized_keys") {
    const unknown = issue.keys.map((key) => JSON.stringify(key)).join(", ");
    return `${file}: unknown key ${unknown}: the keys are ${CONFIG_KEYS}. Correct or remove it.`;
  }
  const place = issue?.path.map(String).join(".") ?? "";
  const what = issue?.message ?? "not what was expected";
  return place === ""
    ? `${file}: expected one JSON object with the keys ${CONFIG_KEYS}.`
    : `${file}: "${place}": ${what}.`;
}

/** Line of a byte of a JSON text, when the parser names one: its messages end in `at position N …`. */
function lineOf(text: string, cause: unknown): number | null {
  const position = cause instanceof Error ? /position (\d+)/.exec(cause.message)?.[1] : undefined;
  return position === undefined ? null : text.slice(0, Number(position)).split("\n").length;
}

/** Reads a config text; `file` is its path, for sentences and for relative paths. */
export function parseConfigFile(text: string, file: string): Result<ConfigFile, string> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    const line = lineOf(text, cause);
    return err(
      `${file}${line === null ? "" : `:${line}`}: this is not JSON; expected one object with the keys ${CONFIG_KEYS}.`,
    );
  }
  const parsed = configFileSchema.safeParse(json);
  if (!parsed.success) return err(keySentence(file, parsed.error.issues[0]));
  const base = dirname(resolve(file));
  const { repository, ...rest } = parsed.data;
  const place = repository === undefined ? ok(null) : parsePlace(repository, base);
  if (!place.ok) return err(`${file}: "repository": ${place.error}.`);
  const paths = PATHS.flatMap((key) => {
    const path = rest[key];
    return path === undefined ? [] : [[key, resolve(base, path)] as const];
  });
  return ok({
    ...rest,
    ...(place.value === null ? {} : { repository: place.value }),
    ...Object.fromEntries(paths),
  });
}

/** The config file named by `--config`, or nothing where none is named. */
export function loadConfigFile(file: string | undefined): Result<ConfigFile, string> {
  if (file === undefined) return ok({});
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable";
    return err(`${file}: the config file can't be read (${code}). Name another with --config.`);
  }
  return parseConfigFile(text, file);
}

const HOST_AND_PORT = /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<four>[^:[\]]+)):(?<port>\d{1,5})$/;

export const isLoopback = (host: string): boolean =>
  host === "::1" || (isIPv4(host) && host.startsWith("127."));

/**
 * `HOST:PORT`, an address or localhost: what another name resolves to may change after the check. Without TLS the loopback
 * only.
 */
export function parseListen(
  text: string,
  { insecure }: { readonly insecure: boolean },
): Result<ListenAddress, string> {
  const groups = HOST_AND_PORT.exec(text)?.groups;
  const port = Number(groups?.["port"]);
  const named = groups?.["six"] ?? groups?.["four"];
  if (named === undefined || port > 65_535) {
    return err(`--listen ${text}: expected HOST:PORT such as ${DEFAULT_LISTEN} or [::1]:8460.`);
  }
  const host = named === "localhost" ? "127.0.0.1" : named;
  if (insecure && !isLoopback(host)) {
    return err(
      `--listen ${text}: with --insecure-loopback the control plane serves the loopback only: use ${DEFAULT_LISTEN}, or leave the flag out to serve over TLS.`,
    );
  }
  if (isIP(host) === 0) {
    return err(
      `--listen ${text}: expected an address, such as 0.0.0.0:8460 for all of this machine; the name that agents use is --name.`,
    );
  }
  return ok({ host, port });
}

/** As typed; what is not typed comes from the config file. */
export interface ServeFlags extends TlsFlags {
  readonly data?: string | undefined;
  readonly repository?: string | undefined;
  readonly root?: string | undefined;
  readonly listen?: string | undefined;
  readonly insecureLoopback?: boolean | undefined;
  readonly recover?: boolean | undefined;
  readonly readyFile?: string | undefined;
  readonly logDays?: string | undefined;
  readonly logGib?: string | undefined;
}

function amountOf(name: string, text: string | undefined): Result<number | null, string> {
  if (text === undefined) return ok(null);
  const amount = Number(text);
  return Number.isFinite(amount) && amount > 0
    ? ok(amount)
    : err(`${name} ${text}: expected a number above 0.`);
}

function retentionOf(flags: ServeFlags, file: ConfigFile): Result<LogRetention, string> {
  const days = amountOf("--log-days", flags.logDays);
  if (!days.ok) return days;
  const gib = amountOf("--log-gib", flags.logGib);
  if (!gib.ok) return gib;
  return ok({
    secs: (days.value ?? file.logDays ?? LOG_DAYS_DEFAULT) * DAY_SECS,
    bytes: (gib.value ?? file.logGib ?? LOG_GIB_DEFAULT) * GIB,
  });
}

const fromCwd = (path: string | undefined): string | undefined =>
  path === undefined ? undefined : resolve(path);

/** Null where it is served without. */
function tlsOf(
  typed: TlsFlags,
  file: TlsFlags,
  { insecure, host }: { readonly insecure: boolean; readonly host: string },
): Result<TlsConfig | null, string> {
  const flags: TlsFlags = {
    name: typed.name ?? file.name,
    caCert: typed.caCert ?? file.caCert,
    caKey: typed.caKey ?? file.caKey,
    caSignCmd: typed.caSignCmd ?? file.caSignCmd,
    serverCert: typed.serverCert ?? file.serverCert,
    serverKey: typed.serverKey ?? file.serverKey,
    allowTokenAdmin: typed.allowTokenAdmin ?? file.allowTokenAdmin,
  };
  if (!insecure) return resolveTls(flags, host);
  const fault = withoutTls(flags);
  return fault === null ? ok(null) : err(fault);
}

/** Flags over file. The error is one sentence that says what to add. */
export function resolveServe(flags: ServeFlags, file: ConfigFile): Result<ServeConfig, string> {
  const dataDir = fromCwd(flags.data) ?? file.data;
  if (dataDir === undefined) {
    return err('No data directory: add --data DIR, or "data" to the config file.');
  }
  const repository = resolveRepository(flags, file);
  if (!repository.ok) return repository;
  const insecure = flags.insecureLoopback ?? file.insecureLoopback ?? false;
  const listen = parseListen(flags.listen ?? file.listen ?? DEFAULT_LISTEN, { insecure });
  if (!listen.ok) return listen;
  const tls = tlsOf(flags, file, { insecure, host: listen.value.host });
  if (!tls.ok) return tls;
  const logRetention = retentionOf(flags, file);
  if (!logRetention.ok) return logRetention;
  return ok({
    dataDir,
    logRetention: logRetention.value,
    repository: repository.value,
    listen: listen.value,
    tls: tls.value,
    recover: flags.recover ?? false,
    readyFile: fromCwd(flags.readyFile) ?? file.readyFile ?? null,
  });
}

function resolveRepository(flags: ServeFlags, file: ConfigFile): Result<RepositoryConfig, string> {
  const rootFile = fromCwd(flags.root) ?? file.root ?? null;
  if (flags.repository !== undefined) {
    const place = parsePlace(flags.repository, process.cwd());
    if (!place.ok) return err(`--repository: ${place.error}.`);
    return ok({ place: place.value, rootFile });
  }
  if (file.repository !== undefined) {
    return ok({ place: file.repository, rootFile });
  }
  return err(
    'No repository: add --repository with a directory or an address, or "repository" to the config file.',
  );
}
