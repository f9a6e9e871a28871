import {
  nixosActivation,
  type ProfileConfig,
  profileActivation,
  systemRandom,
  systemTimer,
} from "@nixwave/agent";
import type { Lab } from "./lab.ts";
import type { NspawnHost } from "./nspawnHost.ts";

/** The agent's backend with its ports inside of a host, so that a test asks it without an agent. */
export function backendOf(
  host: NspawnHost,
  lab: Lab,
  keys: readonly string[] = [lab.trustedKey],
  loader: "auto" | "profile" = "auto",
) {
  const boot = { loader, folder: "/boot" };
  return nixosActivation({ caches: [lab.cacheUrl], trustedKeys: keys, boot }, portsOf(host));
}

export function profileBackendOf(
  host: NspawnHost,
  lab: Lab,
  config: Omit<ProfileConfig, "caches" | "trustedKeys">,
) {
  const { cacheUrl, trustedKey } = lab;
  return profileActivation(
    { ...config, caches: [cacheUrl], trustedKeys: [trustedKey] },
    portsOf(host),
  );
}

function portsOf(host: NspawnHost) {
  const env = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", HOME: "/root", LC_ALL: "C" };
  const disk = {
    readText: (path: string) => host.readText(path),
    freeBytes: (path: string) => host.freeBytes(path),
    writeAtomically: refuse,
    remove: refuse,
  };
  return { process: host.process, disk, timer: systemTimer, random: systemRandom, env };
}

function refuse(): never {
  throw new Error("the backend changes the host through commands only");
}
