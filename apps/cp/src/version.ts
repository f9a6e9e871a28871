import { createRequire } from "node:module";
import { z } from "zod";

const manifest: unknown = createRequire(import.meta.url)("../package.json");

/** Of this control plane, as in its package.json. */
export const VERSION: string = z.object({ version: z.string() }).parse(manifest).version;
