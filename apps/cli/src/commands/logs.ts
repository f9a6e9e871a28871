import { type Desk, print } from "../desk.ts";
import { findRollout, hostNamed } from "../find.ts";
import { harmless } from "../render/style.ts";

/** What a host's switch or rollback unit printed last, as far as the control plane has it: the last 64 KiB. */
export async function logs(desk: Desk, text: string, rollout: string | undefined): Promise<void> {
  const host = hostNamed(text);
  const query = rollout === undefined ? {} : { rollout: await findRollout(desk, rollout) };
  const output = await desk.ask("getLogs", { params: { host }, query });
  if (desk.json) print(desk, [JSON.stringify({ host, output })]);
  else print(desk, output.trimEnd().split("\n").map(harmless));
}
