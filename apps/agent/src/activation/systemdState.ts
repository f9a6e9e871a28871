import type { UnitSeen } from "@nixwave/effects";

export type UnitState = UnitSeen | { readonly kind: "not-loaded" };

/** Of ExecMainCode: the main process ended by itself. 2 and 3 are kills. */
const EXITED = "1";

/**
 * What `systemctl show` says of a unit that was fired with `-r`. LoadState comes first: of a unit that systemd does not
 * know it shows success. ExecMainCode is next: a unit that still runs shows Result=success and status 0 already.
 */
export function readUnit(shown: string): UnitState {
  const lines = shown.split("\n").map((line): [string, string] => {
    const at = line.indexOf("=");
    return [line.slice(0, at), line.slice(at + 1)];
  });
  const properties = new Map(lines);
  const read = (name: string): string => properties.get(name) ?? "";
  if (read("LoadState") === "not-found") return { kind: "not-loaded" };
  switch (read("ActiveState")) {
    case "activating":
    case "deactivating":
    case "reloading":
      return { kind: "running" };
    case "active":
      if (read("ExecMainCode") === "0") return { kind: "running" };
      break;
    case "inactive":
      // Enqueued, and not yet begun.
      if (read("Job") !== "" && read("Job") !== "0") return { kind: "running" };
      break;
  }
  // At its deadline it may end by itself with 0, having been told to stop half-way.
  if (read("Result") === "timeout" || read("ExecMainCode") !== EXITED) return { kind: "killed" };
  // Of an answer that was cut there is no number, and none must not read as 0, which is success.
  const status = read("ExecMainStatus");
  return isCode(status) ? { kind: "exited", code: Number(status) } : { kind: "killed" };
}

const isCode = (text: string): boolean => /^[0-9]{1,9}$/.test(text);

/** What ExecStopPost wrote: EXIT_CODE, EXIT_STATUS, SERVICE_RESULT; null: it wrote nothing. */
export function endedUnit(text: string | null): UnitSeen {
  if (text === null) return { kind: "none" };
  const [code, status = "", result] = text.trim().split(" ");
  if (code !== "exited" || result === "timeout" || !isCode(status)) {
    return { kind: "killed" };
  }
  return { kind: "exited", code: Number(status) };
}
