import { addSecs, type Channel, type Release } from "@nixwave/effects";
import { host } from "../release.fixture.ts";
import type { TrustProblem } from "./attack.ts";
import { edge, type Forger, forgeKey, NOW, stable } from "./forger.fixture.ts";

export {
  edge,
  type ForgedKey,
  Forger,
  forgeKey,
  NOW,
  type Role,
  stable,
} from "./forger.fixture.ts";

/** What a mirror, a thief of some keys, or one channel's owner does to everyone else. */
export interface Attack {
  readonly name: string;
  /** What a CP and an agent both say to it. */
  readonly code: TrustProblem["code"];
  /** The channel that is no longer trusted; the other is, unless it is `both`. */
  readonly on: Channel | "both";
  /** How long after NOW the repository is looked at. */
  readonly daysLater: number;
  /**
   * Brings an honest repository into the state that is verified first, and gives what is then done to it: with a release that nobody
   * may run, where there is one.
   */
  readonly prepare: (forger: Forger) => () => Release | null;
}

const attack = (
  name: string,
  code: Attack["code"],
  prepare: Attack["prepare"],
  more: { readonly on?: Attack["on"]; readonly daysLater?: number } = {},
): Attack => ({ name, code, on: "both", daysLater: 0, ...more, prepare });

/** Newer than every honest one, so that nothing but trust stands against it. */
const LATER = addSecs(NOW, 60);
const evil = (forger: Forger, channel = stable, hosts = [host("a", 1)]): Release =>
  forger.release(channel, hosts, { createdAt: LATER, note: "evil" });

/** An honest release of stable, so many seconds after NOW. */
export function releaseLater(forger: Forger, secs: number): Release {
  const hosts = [host("a", 1), host("b", 2)];
  const release = forger
    .next("stable")
    .release(stable, hosts, { createdAt: addSecs(NOW, secs), note: `after ${secs} s` });
  forger.writeAll();
  return release;
}

const onStable = { on: stable } as const;
const onEdge = { on: edge } as const;

function stableOfTwo(forger: Forger): void {
  forger.keys.stable = [forgeKey(), forgeKey(), forgeKey()];
  forger.thresholds.stable = 2;
  forger.next("targets", "stable").writeAll();
}

/** All that a directory can show: what a test puts there, a CP mirrors and an agent is served. */
export const ATTACKS_SEEN: readonly Attack[] = [
  attack("rollback: an old timestamp", "rollback", (forger) => {
    const old = forger.read("metadata/timestamp.json");
    forger.next("stable").writeAll();
    return () => {
      forger.put("metadata/timestamp.json", old);
      return null;
    };
  }),
  attack(
    "rollback: a thief of the timestamp's and snapshot's keys names older files of a channel",
    "rollback",
    (forger) => {
      const before = { ...forger.meta };
      forger.next("stable").writeAll();
      return () => {
        forger.next();
        Object.assign(forger.meta, before);
        forger.writeSnapshot();
        forger.writeTimestamp();
        return null;
      };
    },
  ),
  attack(
    "indefinite freeze: everything is held back until the timestamp expires",
    "freeze-expired",
    () => () => null,
    { daysLater: 7 },
  ),
  attack(
    "indefinite freeze: a channel's role has expired",
    "freeze-expired",
    (forger) => {
      forger.days.stable = 2;
      forger.next("stable").writeAll();
      return () => null;
    },
    { on: stable, daysLater: 3 },
  ),
  attack("mix-and-match: an old snapshot under a new timestamp", "mix-and-match", (forger) => {
    const old = forger.read("metadata/1.snapshot.json");
    return () => {
      forger.next("stable");
      const release = evil(forger);
      forger.writeAll();
      forger.put("metadata/2.snapshot.json", old);
      return release;
    };
  }),
  attack(
    "mix-and-match: an old file of a channel under a new snapshot",
    "mix-and-match",
    (forger) => {
      const old = forger.read("metadata/1.stable.json");
      return () => {
        forger.next("stable");
        const release = evil(forger);
        forger.writeAll();
        forger.put("metadata/2.stable.json", old);
        return release;
      };
    },
    onStable,
  ),
  attack(
    "fast-forward: the versions of a thief of the timestamp's and snapshot's keys, and then the owner's",
    "rollback",
    (forger) => {
      forger.versions.timestamp = forger.versions.snapshot = 2_000_000_000;
      forger.writeSnapshot();
      forger.writeTimestamp();
      return () => {
        forger.versions.timestamp = forger.versions.snapshot = 1;
        forger.next().writeAll();
        return null;
      };
    },
  ),
  attack("endless data: a timestamp without an end", "endless-data", (forger) => () => {
    forger.put("metadata/timestamp.json", new Uint8Array(1_000_000).fill(32));
    return null;
  }),
  attack(
    "endless data: a channel's role without an end",
    "endless-data",
    (forger) => () => {
      const release = evil(forger.next("stable"));
      forger.writeAll();
      forger.put("metadata/2.stable.json", new Uint8Array(6_000_000).fill(32));
      return release;
    },
    onStable,
  ),
  attack(
    "wrong length: a channel's role is cut",
    "wrong-length-or-hash",
    (forger) => () => {
      const release = evil(forger.next("stable"));
      forger.writeAll();
      const path = "metadata/2.stable.json";
      forger.put(path, forger.read(path).subarray(0, -1));
      return release;
    },
    onStable,
  ),
  attack("wrong hash: one bit of the snapshot", "wrong-length-or-hash", (forger) => () => {
    const release = evil(forger.next("stable"));
    forger.writeAll();
    const path = "metadata/2.snapshot.json";
    forger.put(
      path,
      forger.read(path).map((byte, at) => (at === 9 ? byte ^ 1 : byte)),
    );
    return release;
  }),
  attack(
    "wrong hash: the channel's current.json is another one",
    "wrong-length-or-hash",
    (forger) => () => {
      const release = evil(forger.next("stable"));
      forger.writeAll();
      const sha = /"sha256":"(\w+)"/.exec(
        JSON.stringify(forger.targets.stable["stable/current.json"]),
      )?.[1];
      forger.put(`targets/stable/${sha}.current.json`, '{"channel":"stable"}');
      return release;
    },
    onStable,
  ),
  attack(
    "threshold not met: one of two people signed",
    "threshold-not-met",
    (forger) => {
      stableOfTwo(forger);
      return () => {
        const release = evil(forger.next("stable"));
        forger.writeChannel("stable", forger.keys.stable.slice(0, 1));
        forger.writeSnapshot();
        forger.writeTimestamp();
        return release;
      };
    },
    onStable,
  ),
  attack(
    "malicious mirror: all roles signed anew by its own keys",
    "threshold-not-met",
    (forger) => () => {
      for (const role of ["targets", "snapshot", "timestamp", "stable", "edge"] as const) {
        forger.keys[role] = [forgeKey()];
      }
      const release = evil(forger.next("targets", "stable", "edge"));
      forger.writeAll();
      return release;
    },
  ),
  attack("malicious mirror: a root of its own", "threshold-not-met", (forger) => () => {
    for (const role of ["root", "targets", "snapshot", "timestamp", "stable"] as const) {
      forger.keys[role] = [forgeKey()];
    }
    forger.versions.root = 2;
    forger.writeRoot();
    const release = evil(forger.next("targets", "stable"));
    forger.writeAll();
    return release;
  }),
  attack(
    "key compromised and rotated away: it signs once more",
    "threshold-not-met",
    (forger) => {
      const stolen = forger.keys.stable;
      forger.keys.stable = [forgeKey()];
      forger.next("targets", "stable").writeAll();
      return () => {
        const release = evil(forger.next("stable"));
        forger.writeChannel("stable", stolen);
        forger.writeSnapshot();
        forger.writeTimestamp();
        return release;
      };
    },
    onStable,
  ),
  attack(
    "wrong channel: a channel's key signs a release of another channel",
    "wrong-channel",
    (forger) => () => {
      const more = { createdAt: LATER, note: "evil" };
      const release = forger.next("edge").release(stable, [host("a", 1)], more, "edge");
      forger.writeAll();
      return release;
    },
    onEdge,
  ),
  attack(
    "wrong channel: a channel lists another channel's host",
    "wrong-channel",
    (forger) => () => {
      const release = evil(forger.next("edge"), edge, [host("c", 1), host("a", 1)]);
      forger.writeAll();
      return release;
    },
    onEdge,
  ),
  attack(
    "wrong channel: a channel's key declares the SSH key of another channel's host",
    "wrong-channel",
    (forger) => () => {
      const thief = { channel: "edge", sshHostKey: "ssh-ed25519 AAAA thief" };
      const hosts = { schemaVersion: 1, hosts: { a: thief } };
      forger.target("edge", "fleet/hosts.json", Buffer.from(JSON.stringify(hosts)));
      const release = evil(forger.next("edge"), edge, [host("c", 1)]);
      forger.writeAll();
      return release;
    },
    onEdge,
  ),
  attack(
    "wrong channel: the top-level targets sign a release past its channel's keys",
    "wrong-channel",
    (forger) => () => {
      const more = { createdAt: LATER, note: "evil" };
      const release = forger.next("targets").release(stable, [host("a", 1)], more, "targets");
      forger.writeAll();
      return release;
    },
  ),
  attack(
    "unknown role: a delegation beyond the channel's folder",
    "unknown-role",
    (forger) => () => {
      const release = evil(forger.next("targets", "edge"), edge, [host("c", 1)]);
      forger.writeChannel("edge");
      const roles = [{ ...forger.role("edge"), name: "edge", terminating: true, paths: ["*/*"] }];
      const keys = Object.fromEntries(forger.keys.edge.map(({ id, json }) => [id, json]));
      const body = { targets: forger.targets.targets, delegations: { keys, roles } };
      forger.writeNamed("targets", forger.sign("targets", "targets", body));
      forger.writeSnapshot();
      forger.writeTimestamp();
      return release;
    },
  ),
  attack(
    "future-dated: a release from a year ahead would be the newest for ever",
    "future-dated",
    (forger) => () => {
      const createdAt = addSecs(NOW, 365 * 86_400);
      const release = forger.next("stable").release(stable, [host("a", 1)], { createdAt });
      forger.writeAll();
      return release;
    },
    onStable,
  ),
];
