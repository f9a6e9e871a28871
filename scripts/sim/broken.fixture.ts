import { plant } from "../planted/plant.ts";

// Loaded into the simulator's processes (node --import) by pool.test.ts: the worlds of some seeds break as NIXWAVE_BROKEN says.

const HOW: Readonly<Record<string, string>> = {
  throws: 'throw new Error("broken on purpose")',
  rejects: 'void Promise.reject(new Error("broken on purpose"))',
  waits: "world.time.realWork.begin()",
  spins: "for (;;);",
  dies: "process.exit(3)",
};

const [how = "", seeds = ""] = (process.env["NIXWAVE_BROKEN"] ?? "").split(" ");
const what = HOW[how];
if (what === undefined) throw new Error(`nothing breaks as "${how}"`);

plant({
  name: "broken",
  file: "scripts/sim/run.ts",
  find: "  arm(world);\n",
  replace: `  arm(world);
  if ([${seeds}].includes(world.scenario.seed)) world.time.after(60_000, () => { ${what}; });\n`,
});
