import { nixosActivation, systemRandom, systemTimer } from "@nixwave/agent";
import type { Lab } from "./lab.ts";
import type { NspawnHost } from "./nspawnHost.ts";

/** The agent's backend with its ports inside of a host, so that a test asks it without an agent. */
export function backendOf(host: NspawnHost, lab: Lab, keys: readonly string[] = [lab.trustedKey]) {
  const env = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", HOME: "/root", LC_ALL: "C" };
  const disk = {
    readText: (path: string) => host.readText(path),
    freeBytes: (path: string) => host.freeBytes(path),
    writeAtomically: refuse,
    remove: refuse,
  };
  return nixosActivation(
    { caches: [lab.cacheUrl], trustedKeys: keys, boot: { loader: "auto", folder: "/boot" } },
    { process: host.process, disk, timer: systemTimer, random: systemRandom, env },
  );
}

function refuse(): never {
  throw new Error("the backend changes the host through commands only");
}
