import type { Offset } from "@nixwave/effects";
import type { Connection } from "../store/database.ts";
import { createDerived, dropDerived } from "../store/schema.ts";
import { copyDerived } from "../store/snapshot.ts";
import { chainBreaks, foldLog } from "./foldLog.ts";

/** A log that can't be folded as it is; the message names the place and what to do. */
export class LogBroken extends Error {
  override readonly name = "LogBroken";
}

/**
 * `nixwave-cp rebuild`: the derived tables anew, out of the log. One transaction: the old tables are there until all of the new ones are.
 * A log whose chain is broken is refused, because the rows that it would give are nobody's facts.
 */
export function rebuild(db: Connection): {
  readonly lines: number;
  readonly from: Offset;
} {
  return db
    .transaction(() => {
      const broken = chainBreaks(db)[0];
      if (broken !== undefined)
        throw new LogBroken(
          `The log's segment at offset ${broken.firstOffset} is not what was written: ${broken.what}. Restore a backup.`,
        );
      const { lines, from, strange, tables } = foldLog(db);
      try {
        const [wrong] = strange;
        if (wrong !== undefined)
          throw new LogBroken(`At offset ${wrong.firstOffset}: ${wrong.what}. Restore a backup.`);
        db.exec(dropDerived());
        db.exec(createDerived());
        copyDerived(tables, db);
        return { lines, from };
      } finally {
        tables.close();
      }
    })
    .immediate();
}
