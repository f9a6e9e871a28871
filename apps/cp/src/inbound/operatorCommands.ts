import { existsSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import {
  certificatePem,
  formatInstant,
  generateKey,
  OPERATOR_TOKEN_DAYS,
  publicHalf,
  type Role,
  toKeyText,
} from "@nixwave/protocol";
import { openIssuer } from "../identity/authority.ts";
import { createPrivate, createPublic } from "../identity/files.ts";
import {
  grantCertificate,
  grantToken,
  keyOfRequest,
  sayCertificates,
  sayTokens,
  takeCertificate,
  takeToken,
} from "../maintenance/operators.ts";
import { type Connection, databasePath, openDatabase, openReadOnly } from "../store/database.ts";
import { type AuthorityFlags, authorityOf } from "../tlsConfig.ts";
import type { DataFlags } from "./argv.ts";
import type { OperatorProgram } from "./operatorArgv.ts";
import type { WorldPorts } from "./world.ts";

export interface GrantFlags {
  readonly name: string;
  readonly role: Role;
  readonly days?: string | undefined;
}
export interface TokenFlags extends GrantFlags {
  readonly out?: string | undefined;
}
export interface CertificateFlags extends GrantFlags, AuthorityFlags {
  readonly csr?: string | undefined;
  readonly out?: string | undefined;
}

/** What is said: `secret` goes to stdout alone, so that it can be redirected into a file; the rest is for the person. */
export interface Said {
  readonly secret: string | null;
  readonly lines: readonly string[];
}

const said = (lines: readonly string[]): Said => ({ secret: null, lines });

async function using<T>(db: Connection, act: (db: Connection) => T | Promise<T>): Promise<T> {
  try {
    return await act(db);
  } finally {
    db.close();
  }
}

/**
 * The commands about operators. They work beside a control plane that serves: each writes one row in a transaction of its own, and the
 * control plane looks at the tables with each request.
 */
export function operatorCommands(world: () => WorldPorts) {
  const writing = <T>(dir: string, act: (db: Connection) => T | Promise<T>) =>
    using(openDatabase(databasePath(dir)), act);
  const reading = <T>(dir: string, act: (db: Connection) => T) =>
    using(openReadOnly(databasePath(dir)), act);
  const granting = ({ name, role, days }: GrantFlags, daysDefault: number) => {
    const { random, clock } = world();
    const by = userInfo().username;
    return { name, role, days: Number(days ?? daysDefault), by, random, now: clock.now() };
  };
  const now = () => world().clock.now();

  return {
    ca: async (dir: string, flags: AuthorityFlags): Promise<Said> => {
      const { authority } = await issuerOf(dir, flags, world());
      return { secret: certificatePem(authority).trimEnd(), lines: [] };
    },
    tokenAdd: (dir: string, flags: TokenFlags): Promise<Said> =>
      writing(dir, (db) => {
        if (flags.out !== undefined) refuseTaken(flags.out);
        const { token, id, expiresAt } = grantToken(db, granting(flags, OPERATOR_TOKEN_DAYS));
        const { out } = flags;
        if (out !== undefined) createPrivate(out, `${token}\n`);
        const where = out === undefined ? "it is shown this once" : `it is in ${out}`;
        const line = `token ${id} of ${flags.name}, ${flags.role}, until ${formatInstant(expiresAt)}; ${where}`;
        return { secret: out === undefined ? token : null, lines: [line] };
      }),
    tokenList: (dir: string): Promise<Said> => reading(dir, (db) => said(sayTokens(db, now()))),
    tokenRevoke: (dir: string, id: string): Promise<Said> =>
      writing(dir, (db) => said([takeToken(db, id, now())])),
    certificateAdd: (dir: string, flags: CertificateFlags): Promise<Said> =>
      writing(dir, async (db) => {
        const issuer = await issuerOf(dir, flags, world());
        const asked = { ...granting(flags, CERTIFICATE_DAYS), issuer };
        const paths = pathsOf(flags);
        refuseTaken(paths.certificate);
        if (flags.csr === undefined) refuseTaken(paths.key);
        if (flags.csr !== undefined) {
          const key = keyOfRequest(readFileSync(flags.csr), flags.csr);
          const issued = await grantCertificate(db, { ...asked, key });
          createPublic(paths.certificate, certificatePem(issued));
          return said([`wrote ${paths.certificate}: serial ${issued.serial}`]);
        }
        const privateKey = generateKey("p256");
        const text = await toKeyText(privateKey, null);
        const issued = await grantCertificate(db, { ...asked, key: publicHalf(privateKey) });
        createPrivate(paths.key, text);
        createPublic(paths.certificate, certificatePem(issued));
        return said([`wrote ${paths.key} and ${paths.certificate}: serial ${issued.serial}`]);
      }),
    certificateList: (dir: string): Promise<Said> =>
      reading(dir, (db) => said(sayCertificates(db, now()))),
    certificateRevoke: (dir: string, serial: string): Promise<Said> =>
      writing(dir, (db) => said([takeCertificate(db, serial, now())])),
  };
}

/** The commands as the command line has them; `about` finds the data directory, and says what came of it. */
export function operatorProgram(
  commands: ReturnType<typeof operatorCommands>,
  about: (flags: DataFlags, act: (dir: string) => Promise<Said>) => Promise<number>,
): OperatorProgram {
  return {
    ca: (flags) => about(flags, (dir) => commands.ca(dir, flags)),
    tokenAdd: (flags) => about(flags, (dir) => commands.tokenAdd(dir, flags)),
    tokenList: (flags) => about(flags, (dir) => commands.tokenList(dir)),
    tokenRevoke: (id, flags) => about(flags, (dir) => commands.tokenRevoke(dir, id)),
    certificateAdd: (flags) => about(flags, (dir) => commands.certificateAdd(dir, flags)),
    certificateList: (flags) => about(flags, (dir) => commands.certificateList(dir)),
    certificateRevoke: (serial, flags) =>
      about(flags, (dir) => commands.certificateRevoke(dir, serial)),
  };
}

/** Before anything is granted: what is written to no file helps nobody. */
function refuseTaken(path: string): void {
  if (existsSync(path)) throw new Error(`${path} is there already: name another place with --out.`);
}

/** Longer than an agent's: a person renews it by hand. */
const CERTIFICATE_DAYS = 90;

const pathsOf = ({ out = ".", name }: CertificateFlags) => ({
  key: join(out, `${name}.key`),
  certificate: join(out, `${name}.pem`),
});

async function issuerOf(dataDir: string, flags: AuthorityFlags, { random, clock }: WorldPorts) {
  const source = authorityOf(flags);
  if (!source.ok) throw new Error(source.error);
  return openIssuer(source.value, { dataDir, random, now: clock.now() });
}
