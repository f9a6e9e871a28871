/** One thing that waits for another. */
export interface Arrow<T extends string> {
  readonly gates: T;
  readonly gated: T;
}

/** Everything in an order in which whatever gates comes first, by name where that leaves a choice; or the first cycle found. */
export type Order<T extends string> =
  | { readonly kind: "ordered"; readonly order: readonly T[] }
  | { readonly kind: "cycle"; readonly cycle: readonly T[] };

/** Takes as long as there are arrows, and no stack: an edge list of a whole fleet may be one long chain. */
export function orderByGates<T extends string>(
  nodes: Iterable<T>,
  arrows: readonly Arrow<T>[],
): Order<T> {
  const waitsFor = new Map<T, number>();
  const gated = new Map<T, T[]>();
  for (const node of [...nodes].sort()) waitsFor.set(node, 0);
  for (const arrow of arrows) {
    if (!waitsFor.has(arrow.gates)) waitsFor.set(arrow.gates, 0);
    waitsFor.set(arrow.gated, (waitsFor.get(arrow.gated) ?? 0) + 1);
    const list = gated.get(arrow.gates);
    if (list === undefined) gated.set(arrow.gates, [arrow.gated]);
    else list.push(arrow.gated);
  }
  const ready = [...waitsFor].filter(([, waits]) => waits === 0).map(([node]) => node);
  for (let next = 0; next < ready.length; next += 1) {
    const node = ready[next];
    for (const each of (node === undefined ? undefined : gated.get(node)) ?? []) {
      const waits = (waitsFor.get(each) ?? 0) - 1;
      waitsFor.set(each, waits);
      if (waits === 0) ready.push(each);
    }
  }
  if (ready.length === waitsFor.size) return { kind: "ordered", order: ready };
  return { kind: "cycle", cycle: cycleAmong(waitsFor, arrows) };
}

/** Whatever still waits has a gate that still waits: going back from gate to gate must come round. */
function cycleAmong<T extends string>(waitsFor: Map<T, number>, arrows: readonly Arrow<T>[]): T[] {
  const gateOf = new Map<T, T>();
  const waits = (node: T): boolean => (waitsFor.get(node) ?? 0) > 0;
  for (const { gates, gated } of arrows) {
    if (waits(gates) && waits(gated) && !gateOf.has(gated)) gateOf.set(gated, gates);
  }
  const back: T[] = [];
  const at = new Map<T, number>();
  let node = [...gateOf.keys()][0];
  while (node !== undefined && !at.has(node)) {
    at.set(node, back.length);
    back.push(node);
    node = gateOf.get(node);
  }
  const from = node === undefined ? 0 : (at.get(node) ?? 0);
  const cycle = back.slice(from).reverse();
  const [first] = cycle;
  return first === undefined ? cycle : [...cycle, first];
}
