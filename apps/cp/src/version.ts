import { createRequire } from "node:module";
import { z } from "zod";

const packageFile: unknown = createRequire(import.meta.url)("../package.json");

/** Of this control plane, as in its package.json. */
export const VERSION: string = z.object({ version: z.string() }).parse(packageFile).version;
