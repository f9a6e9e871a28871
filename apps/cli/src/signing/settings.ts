import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { Refusal, systemCode } from "../refusal.ts";
import type { Surroundings } from "../surroundings.ts";

/** Written by `nixwave init` beside the fleet. It says where things lie, and never where a token is sent or what is run. */
export const SETTINGS_FILE = "nixwave.json";

const settingsSchema = z
  .strictObject({
    fleet: z.string().min(1),
    repository: z.string().min(1),
    keys: z.array(z.string().min(1)).max(16),
  })
  .partial();
export type Settings = z.output<typeof settingsSchema>;

/** What holds where neither an option nor the folder's own file says otherwise. */
export const DEFAULTS = { fleet: "fleet.yaml", repository: "releases" } as const;

/** The settings of the working folder; none where there is no such file. */
export function settingsIn({ cwd }: Pick<Surroundings, "cwd">): Settings {
  let text: string;
  try {
    text = readFileSync(resolve(cwd, SETTINGS_FILE), "utf8");
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return {};
    throw new Refusal(`${SETTINGS_FILE} can't be read (${systemCode(cause)}).`);
  }
  const read = settingsSchema.safeParse(jsonOf(text));
  if (read.success) return read.data;
  const issue = read.error.issues[0];
  const where = issue?.path.join(".") ?? "";
  throw new Refusal(
    `${SETTINGS_FILE}${where === "" ? "" : `: ${where}`}: ${issue?.message ?? "is not right"}. Expected { "fleet": "fleet.yaml", "repository": "releases", "keys": ["keys/ops-1.key"] }, each as it is needed.`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The repository that a command is about: as shown to people, and as a path. */
export interface Place {
  readonly shown: string;
  readonly path: string;
}

const placeOf = ({ cwd }: Pick<Surroundings, "cwd">, shown: string): Place => ({
  shown,
  path: resolve(cwd, shown),
});

export const repositoryOf = (surroundings: Surroundings, typed: string | undefined): Place =>
  placeOf(
    surroundings,
    typed ??
      surroundings.env["NIXWAVE_REPOSITORY"] ??
      settingsIn(surroundings).repository ??
      DEFAULTS.repository,
  );
