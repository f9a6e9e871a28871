import { statSync } from "node:fs";
import { Gauge, type Registry } from "prom-client";

/** The database with its write-ahead log: what a full disk is warned of by. */
export function databaseGauge(register: Registry, path: string): void {
  new Gauge({
    name: "nixwave_database_bytes",
    help: "Size of the database file and its write-ahead log",
    registers: [register],
    collect() {
      const sizes = [path, `${path}-wal`].map(
        (file) => statSync(file, { throwIfNoEntry: false })?.size ?? 0,
      );
      this.set(sizes.reduce((sum, size) => sum + size, 0));
    },
  });
}
