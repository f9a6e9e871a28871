import type { Instant } from "@nixwave/effects";
import type { NotNow } from "./command.ts";
import type { Pending } from "./commit/pending.ts";
import { settle } from "./commit/settle.ts";
import type { Turn } from "./commit/turn.ts";
import type { WriterPorts } from "./loop.ts";
import { notNow, Outage } from "./outage.ts";
import { perform } from "./perform/perform.ts";
import { carryOver, type Memory, memoryFrom } from "./store/memory.ts";

const INTERNAL = notNow("internal", "The control plane made a mistake and has said so in its log.");

/** The writer's memory, and what is done with one batch: settle, perform, answer; or throw the memory away and load it again. */
export class Served {
  memory: Memory;
  readonly #ports: WriterPorts;
  readonly #readySince: Instant;
  readonly #outage: Outage;
  /** The memory is ahead of the disk and could not be loaded again yet. */
  #stale = false;

  private constructor(ports: WriterPorts, memory: Memory) {
    this.#ports = ports;
    this.#readySince = memory.fleet.readyAt;
    this.#outage = new Outage(ports.logger, ports.store.place);
    this.memory = memory;
  }

  static async from(ports: WriterPorts, readyAt: Instant): Promise<Served> {
    return new Served(ports, memoryFrom(await ports.store.load(), { readyAt, now: readyAt }));
  }

  get storeFailed(): boolean {
    return this.#outage.lasts;
  }

  async serve(pending: readonly Pending[], { last }: { readonly last: boolean }): Promise<void> {
    const { clock } = this.#ports;
    if (this.#outage.refuses(clock.now()) || (this.#stale && !(await this.#reload()))) {
      refuse(pending, this.#outage.notStored());
      return;
    }
    const settled = await settle(this.#ports, this.memory, { pending, now: clock.now(), last });
    switch (settled.kind) {
      case "committed":
        this.#committed(pending, settled);
        return;
      case "not-stored":
        this.#outage.failed(settled.cause, clock.now());
        this.#ports.metrics.commitFailed();
        await this.#reload();
        refuse(pending, this.#outage.notStored());
        return;
      case "internal":
        await this.#reload();
        await this.#isolate(pending, settled.cause);
    }
  }

  /** One command that meets a mistake of ours must not take the others of its batch with it, nor the process. */
  async #isolate(pending: readonly Pending[], cause: unknown): Promise<void> {
    if (pending.length > 1) {
      for (const each of pending) await this.serve([each], { last: false });
      return;
    }
    this.#ports.logger.log("error", "a command could not be decided", {
      target: "writer",
      command: pending[0]?.command.kind ?? "none",
      cause: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause),
    });
    refuse(pending, INTERNAL);
  }

  #committed(
    pending: readonly Pending[],
    { turn, seconds }: { readonly turn: Turn; readonly seconds: number },
  ): void {
    const { crash, metrics } = this.#ports;
    const { draft, deliveries } = turn;
    if (!draft.isEmpty) {
      this.#outage.over();
      metrics.committed({ commands: pending.length, lines: draft.lineCount, seconds });
    }
    perform(draft, this.#ports);
    crash.point("before-answer");
    for (const deliver of deliveries) deliver();
    crash.point("after-answer");
  }

  async #reload(): Promise<boolean> {
    const { store, clock } = this.#ports;
    const before = this.memory;
    try {
      const loaded = await store.load();
      this.memory = memoryFrom(loaded, { readyAt: this.#readySince, now: clock.now() });
      carryOver(before, this.memory);
      this.#stale = false;
      return true;
    } catch (cause) {
      this.#outage.failed(cause, clock.now());
      this.#stale = true;
      return false;
    }
  }
}

function refuse(pending: readonly Pending[], why: NotNow): void {
  for (const each of pending) each.refuse(why);
}
