import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { addSecs, type Instant, type Release } from "@nixwave/effects";
import { closure } from "@nixwave/testkit";
import { TestTime } from "../bench.fixture.ts";
import type { RepositoryConfig } from "../config.ts";
import type { FleetTrust } from "../fleetTrust.ts";
import { type ControlPlane, startControlPlane } from "../inbound/controlPlane.ts";
import { init } from "../maintenance/init.ts";
import type { LogFields } from "../ports.ts";
import type { TlsConfig } from "../tlsConfig.ts";
import { type Folder, makeFolder } from "./process.fixture.ts";
import { putRelease, rootFileIn, signedRepository } from "./releaseFolder.fixture.ts";

/** A whole control plane in this process, on a real database and a real socket, with a clock that the test moves. */
export interface TestPlane {
  readonly plane: ControlPlane;
  readonly time: TestTime;
  readonly folder: Folder;
  /** Makes every commit fail while it is set, as a full disk does. */
  readonly disk: { full: boolean };
  readonly logged: { readonly message: string; readonly fields: LogFields }[];
  /** Puts a release into the directory and has it read. */
  readonly release: (declaration: unknown, note: string) => Promise<Release>;
  readonly close: () => Promise<void>;
}

export interface PlaneOptions {
  readonly repository?: (folder: Folder) => RepositoryConfig;
  /** Of a plane before this one. */
  readonly folder?: Folder;
  /** Null: plain HTTP on the loopback. */
  readonly tls?: TlsConfig | null;
  /** Stands for the files of a signed repository. */
  readonly fleetTrust?: FleetTrust | null;
  /** Where the test's clock begins. */
  readonly now?: Instant;
}

const signed = ({ releases }: Folder): RepositoryConfig => ({
  place: { kind: "directory", directory: releases },
  rootFile: rootFileIn(releases),
});

export async function openPlane(options: PlaneOptions = {}): Promise<TestPlane> {
  const folder = options.folder ?? makeFolder();
  const time = new TestTime();
  const disk = { full: false };
  const logged: { readonly message: string; readonly fields: LogFields }[] = [];
  time.now = options.now ?? time.now;
  if (!existsSync(folder.data)) init(folder.data, time.now);
  await signedRepository(folder.releases, time.now);
  const plane = await startControlPlane(
    {
      dataDir: folder.data,
      repository: (options.repository ?? signed)(folder),
      listen: { host: "127.0.0.1", port: 0 },
      tls: options.tls ?? null,
      recover: false,
      readyFile: null,
      logRetention: { secs: 90 * 86_400, bytes: 2 ** 31 },
    },
    {
      clock: { now: () => time.now },
      timer: time.timer,
      random: { bytes: (count) => randomBytes(count) },
      crash: {
        point: (name) => {
          if (name === "inside-commit" && disk.full) throw new Error("database or disk is full");
        },
      },
      log: { log: (_level, message, fields) => void logged.push({ message, fields }) },
      version: "0.0.0",
    },
    options.fleetTrust ?? null,
  );
  return {
    plane,
    time,
    folder,
    disk,
    logged,
    release: async (declaration, note) => {
      const about = { createdAt: addSecs(time.now, 1), note, now: time.now };
      const release = await putRelease(folder.releases, declaration, about);
      time.pass(1);
      await plane.watch.look();
      return release;
    },
    close: async () => {
      await plane.stop();
      folder.remove();
    },
  };
}

/** `fleetOf("good", [["canary"], ["web-1", "web-2"]])`: one channel, a wave for each list; a host is tagged with its wave. */
export const fleetOf = (
  version: string,
  waves: readonly (readonly string[])[],
  more: { readonly [key: string]: unknown } = {},
) => ({
  schemaVersion: 1,
  hosts: Object.fromEntries(
    waves.flatMap((hosts, index) =>
      hosts.map((host) => [
        host,
        {
          system: "x86_64-linux",
          channel: "stable",
          closure: closure(`${version}-${host}`),
          tags: [`wave-${index + 1}`],
        },
      ]),
    ),
  ),
  channels: {
    stable: {
      waves: waves.map((_, index) => ({
        description: `wave ${index + 1}`,
        select: { tags: [`wave-${index + 1}`] },
        soakSecs: 0,
      })),
    },
  },
  ...more,
});
