/**
 * The fewest of `faults` that still fail, as far as `budget` runs find them: halves first, then quarters, down to single
 * ones (delta debugging). `fails` runs a world; the result is 1-minimal if the budget was enough.
 */
export async function shrink<F>(
  faults: readonly F[],
  fails: (faults: readonly F[]) => Promise<boolean>,
  budget = 200,
): Promise<readonly F[]> {
  let left = faults;
  let runs = 0;
  let size = Math.ceil(left.length / 2);
  while (size >= 1 && runs < budget) {
    let dropped = false;
    for (let from = 0; from < left.length && runs < budget; ) {
      const without = [...left.slice(0, from), ...left.slice(from + size)];
      runs += 1;
      if (await fails(without)) {
        left = without;
        dropped = true;
      } else from += size;
    }
    if (size === 1 && !dropped) return left;
    if (size > 1) size = Math.ceil(size / 2);
  }
  return left;
}
