import { join } from "node:path";

/** The files by which an operator is known, and knows the CP. */
export interface OperatorFiles {
  readonly authority: string;
  readonly cert: string;
  readonly key: string;
}

/** As `nixwave-cp operator-certificate` names them. */
export const operatorFiles = (folder: string, name: string): OperatorFiles => ({
  authority: join(folder, "ca.pem"),
  cert: join(folder, `${name}.pem`),
  key: join(folder, `${name}.key`),
});
