import { isAbsolute } from "node:path";
import { z } from "zod";
import type { Ports } from "../ports.ts";
import type { Activation } from "./activation.ts";
import { BOOT_LOADERS } from "./bootLoader.ts";
import { directoryActivation } from "./directory.ts";
import { nixosActivation } from "./nixos.ts";
import { profileActivation } from "./profile.ts";

const absolutePath = z
  .string()
  .refine(isAbsolute, { error: "expected an absolute path, such as /var/lib/nixwave" });

/** `trusted=true` in a store's URL would make its signatures optional. */
const cache = z.string().refine(
  (text) => {
    if (!URL.canParse(text)) return false;
    const { protocol, searchParams } = new URL(text);
    return /^(https?|file|s3|ssh|ssh-ng):$/.test(protocol) && !searchParams.has("trusted");
  },
  {
    error:
      "expected the URL of a binary cache, such as https://cache.example.org, without trusted=",
  },
);

const trustedKey = z.string().regex(/^[^\s:]+:[A-Za-z0-9+/]{43}=$/, {
  error: "expected a public key as Nix writes it, such as cache.example.org-1:BASE64",
});

const nix = {
  /** Empty: the substituters of nix.conf. */
  caches: z.array(cache).default([]).readonly(),
  /** Empty: the trusted-public-keys of nix.conf. */
  trustedKeys: z.array(trustedKey).default([]).readonly(),
};

export const activationSchema = z.discriminatedUnion("backend", [
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
  z
    .strictObject({
      backend: z.literal("nixos"),
      ...nix,
      boot: z
        .strictObject({
          loader: z.enum(["auto", ...BOOT_LOADERS]).default("auto"),
          folder: absolutePath.default("/boot"),
        })
        .readonly()
        .prefault({}),
    })
    .readonly(),
  z
    .strictObject({
      backend: z.literal("profile"),
      ...nix,
      profile: absolutePath.refine((path) => !/(^|\/)home-manager$/.test(path), {
        error:
          "expected a profile of Nixwave's own, such as /nix/var/nix/profiles/nixwave/alice: home-manager sets its profile itself",
      }),
      /** Inside the closure: home-manager has `activate`, system-manager `bin/activate`. */
      script: z
        .string()
        .regex(/^(?!\.\.?(\/|$))[a-zA-Z0-9._-]+(\/(?!\.\.?(\/|$))[a-zA-Z0-9._-]+)*$/, {
          error: "expected a path inside of the closure, such as bin/activate",
        })
        .default("activate"),
      args: z.array(z.string().max(1024)).max(16).default([]).readonly(),
      user: z
        .string()
        .regex(/^[a-z_][a-z0-9_-]{0,31}$/, { error: "expected a user's name" })
        .nullable()
        .default(null),
      /** A link that the agent keeps: the closure whose script ended last, and well. */
      active: absolutePath,
      /** Where scripts run: in units of systemd, or, on a machine without it, in sessions that have a folder each. */
      units: z
        .discriminatedUnion("kind", [
          z.strictObject({ kind: z.literal("systemd") }).readonly(),
          z.strictObject({ kind: z.literal("sessions"), folder: absolutePath }).readonly(),
        ])
        .default({ kind: "systemd" }),
    })
    .readonly(),
]);

type ActivationConfig = z.output<typeof activationSchema>;

/** What Nix needs of the agent's own environment: its daemon, certificates, and proxies. */
const PASSED_ON = [
  "HOME",
  "NIX_REMOTE",
  "NIX_CONF_DIR",
  "NIX_SSL_CERT_FILE",
  "SSL_CERT_FILE",
  "http_proxy",
  "https_proxy",
  "no_proxy",
] as const;

/** What systemd tells every service, and nobody else does. */
const OF_A_SERVICE = "INVOCATION_ID";

/** A sentence for what this configuration can't be run with here. */
export function wrongActivation(
  config: ActivationConfig,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  if (config.backend !== "profile" || config.units.kind !== "sessions") return [];
  if (env[OF_A_SERVICE] === undefined) return [];
  return [
    `activation.units: systemd runs this agent (${OF_A_SERVICE} is set), and would end its sessions with it, in the middle of a switch. Expected { "kind": "systemd" }, or nothing.`,
  ];
}

export function chooseActivation(
  config: ActivationConfig,
  ports: Ports,
  env: Readonly<Record<string, string | undefined>>,
): Activation {
  const path = env["PATH"] ?? "/run/current-system/sw/bin:/usr/bin:/bin";
  const passed = PASSED_ON.flatMap((name): [string, string][] => {
    const value = env[name];
    return value === undefined ? [] : [[name, value]];
  });
  // Nix keeps what caches said beside the home; and its words are read, so they must be the untranslated ones.
  const nixEnv = { HOME: "/root", ...Object.fromEntries(passed), PATH: path, LC_ALL: "C" };
  switch (config.backend) {
    case "directory":
      return directoryActivation({ ...config, path }, ports);
    case "nixos":
      return nixosActivation(config, { ...ports, env: nixEnv });
    case "profile":
      return profileActivation(config, { ...ports, env: nixEnv });
  }
}
