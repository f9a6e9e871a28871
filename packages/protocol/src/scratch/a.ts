import { z } from "zod";
import { isHostName, isInstant, type Instant, type SubResult, type DispatchAck, type HostName } from "@nixwave/effects";
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const hostName = z.string().refine(isHostName, { error: (i) => `"${String(i.input)}" no` });
const h: Equal<z.output<typeof hostName>, HostName> = true;
const inst = z.codec(z.string(), z.number().refine(isInstant), { decode: (t) => new Date(t).getTime(), encode: (n) => new Date(n).toISOString() });
const i: Equal<z.output<typeof inst>, Instant> = true;
const f = <W extends string | number>(instant: z.ZodType<Instant, W>) => z.object({ kind: z.literal("a"), a: instant, b: z.array(hostName).readonly() }).readonly();
const wf = f(inst);
interface X { readonly kind: "a"; readonly a: Instant; readonly b: readonly HostName[] }
const x: Equal<z.output<typeof wf>, X> = true;
const u = z.discriminatedUnion("kind", [wf, z.object({ kind: z.literal("b"), c: z.nullable(inst) }).readonly()]);
console.log(z.decode(u, { kind: "a", a: "2026-11-24T13:00:00.000Z", b: ["web-1"] }), u.safeParse({kind:"a",a:"x",b:["W"]}).error, JSON.stringify(z.toJSONSchema(u, { io: "input", unrepresentable: "any" })), h, i, x);
console.log(z.encode(u, u.parse({ kind: "b", c: "2026-11-24T13:00:00.000Z" })));
