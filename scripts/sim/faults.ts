import type { Command } from "@nixwave/cp";
import { type Freeze, type HostName, instant, type RolloutId } from "@nixwave/effects";
import { channelName, hostName } from "@nixwave/testkit";
import type { SimHost } from "./agentProcess.ts";
import type { Backup } from "./controlPlaneDisk.ts";
import type { Fault, OperatorAction } from "./scenario.ts";
import type { World } from "./world.ts";

type Operation = Extract<Fault, { readonly kind: "operator" }>;

const CP_JUMP_MS = 5000;

/** Arms every fault of the scenario. Whatever lasts is over at the calm, and everybody who can is up again. */
export function arm(world: World): void {
  for (const fault of world.scenario.faults)
    world.time.after(fault.atMs, () => strike(world, fault));
  for (const fault of world.scenario.faults)
    if (fault.kind === "restored" || fault.kind === "set-back")
      world.time.after(fault.backupAtMs, () => world.backups.set(fault, world.cp.backup()));
  world.time.after(world.scenario.calmAtMs, () => calm(world));
}

function calm(world: World): void {
  world.say("world", "no more faults");
  world.weather.clear();
  world.adversary?.end();
  world.cp.isDiskFull = false;
  for (const clone of world.clones.splice(0)) {
    clone.kill();
    clone.isGone = true;
  }
  for (const host of world.hosts.values()) {
    host.isDiskFull = false;
    host.machine.cacheDown = false;
    host.disarm();
    if (host.machine.isOff && !host.isGone) host.machine.reboot();
    host.start();
  }
  world.cp.disarm();
  world.cp.start();
}

function strike(world: World, fault: Fault): void {
  switch (fault.kind) {
    case "kill":
      return kill(world, fault);
    case "crash":
    case "power-cut": {
      const { passes, downMs } = fault;
      const isCut = fault.kind === "power-cut";
      const point = fault.kind === "crash" ? fault.point : "after-commit";
      const armed = { point, passes, downMs, isCut };
      if (fault.who === "cp") world.cp.arm(armed);
      else hostOf(world, fault.who).arm(armed);
      const what = isCut ? "lose its power" : "die";
      return world.say(fault.who, `is to ${what} at ${point} after ${passes}`);
    }
    case "weather": {
      world.say("network", `${fault.hosts.join(",")}: ${JSON.stringify(fault.weather)}`);
      const names = fault.hosts.map(hostName);
      for (const name of names) world.weather.set(name, fault.weather);
      return later(world, fault.forMs, () => {
        for (const name of names)
          if (world.weather.get(name) === fault.weather) world.weather.delete(name);
      });
    }
    case "jump":
      return jump(world, fault);
    case "disk-full": {
      const of = fault.who === "cp" ? world.cp : hostOf(world, fault.who);
      of.isDiskFull = true;
      world.say(fault.who, "its disk is full");
      return later(world, fault.forMs, () => {
        of.isDiskFull = false;
        world.say(fault.who, "has room again");
      });
    }
    case "wiped":
    case "restored":
    case "set-back":
      return lose(world, fault, world.backups.get(fault) ?? null);
    case "retains":
      world.say("cp", "has the hour of its retention");
      return world.cp.retain();
    case "lies":
    case "mirror-attacks":
      return world.adversary?.strike(fault);
    case "operator":
      return operate(world, fault.action, fault);
    case "reboot":
    case "leaves":
    case "revoked":
    case "away":
    case "dies":
    case "forgets":
    case "cloned":
    case "cache-down":
      return strikeHost(world, fault, hostOf(world, fault.host));
  }
}

function strikeHost(
  world: World,
  fault: Extract<
    Fault,
    {
      readonly host: string;
      readonly kind:
        | "reboot"
        | "leaves"
        | "revoked"
        | "away"
        | "dies"
        | "forgets"
        | "cloned"
        | "cache-down";
    }
  >,
  host: SimHost,
): void {
  const { machine } = host;
  switch (fault.kind) {
    case "reboot":
      world.say(fault.host, fault.noClock ? "reboots, with its clock at the epoch" : "reboots");
      return world.reboot(host, fault.downMs, fault.noClock);
    case "leaves":
      world.say(fault.host, `leaves (${fault.how})`);
      return void leave(world, fault, host);
    case "revoked":
      return revoke(world, fault);
    case "away":
      world.say(fault.host, "goes off");
      host.kill();
      machine.powerOff();
      return later(world, fault.forMs, () => world.turnOn(host));
    case "dies":
      world.say(fault.host, "dies for good");
      host.kill();
      machine.powerOff();
      host.isGone = true;
      return;
    case "forgets":
      world.say(fault.host, "loses its journal");
      host.kill();
      world.crashes += 1;
      host.disk.forget();
      return later(world, 1000, () => host.start());
    case "cloned": {
      const clone = world.clone(host);
      clone.start();
      return later(world, fault.forMs, () => {
        clone.kill();
        clone.isGone = true;
      });
    }
    case "cache-down":
      machine.cacheDown = true;
      return later(world, fault.forMs, () => {
        machine.cacheDown = false;
      });
  }
}

async function leave(
  world: World,
  { forMs, how }: Extract<Fault, { readonly kind: "leaves" }>,
  host: SimHost,
): Promise<void> {
  await host.leave(how);
  if (host.machine.isOff) return;
  world.say(host.name, "is off");
  host.machine.powerOff();
  later(world, forMs, () => world.turnOn(host));
}

function revoke(world: World, { host, forMs }: Extract<Fault, { readonly kind: "revoked" }>): void {
  const name = hostName(host);
  world.say("operators", `revoke ${host}`);
  world.revoked.add(name);
  world.tellRevoked();
  if (forMs === null) return;
  later(world, forMs, () => {
    world.revoked.delete(name);
    world.say("operators", `take ${host} back`);
    world.tellRevoked();
  });
}

function kill(
  world: World,
  { who, downMs }: { readonly who: string; readonly downMs: number },
): void {
  const of = who === "cp" ? world.cp : hostOf(world, who);
  if (!of.isUp) return;
  of.kill();
  world.crashed(who, "any moment");
  if (who === "cp") void world.watch.stored();
  if (who === "cp") later(world, downMs, () => world.cp.start());
  else later(world, downMs, () => hostOf(world, who).start());
}

function jump(world: World, { who, byMs }: { readonly who: string; readonly byMs: number }): void {
  world.say(who, `its wall clock jumps by ${Math.round(byMs / 1000)} s`);
  // The CP's clock is kept by people who look after it: little at a time, and seldom back.
  if (who === "cp") world.cp.clockOffMs += Math.max(-CP_JUMP_MS, Math.min(CP_JUMP_MS, byMs));
  else hostOf(world, who).machine.wallOffMs += byMs;
}

/** The database is gone, or an older one is in its place; with a word to the CP or without one. */
function lose(
  world: World,
  { kind, downMs }: { readonly kind: "wiped" | "restored" | "set-back"; readonly downMs: number },
  backup: Backup | null,
): void {
  if (kind !== "wiped" && backup === null) return;
  world.say("cp", `is ${kind}`);
  world.cp.kill();
  world.crashes += 1;
  world.watch.controlPlane.databaseReplaced();
  world.retained.forget();
  later(world, downMs, () => {
    if (world.cp.isUp) world.cp.kill();
    if (backup === null) world.cp.wipe();
    else world.cp.restore(backup, kind === "set-back");
    world.watch.controlPlane.databaseReplaced();
    world.retained.forget();
    void world.watch.stored();
    world.cp.start();
  });
}

function later(world: World, ms: number, then: () => void): void {
  world.time.after(ms, then);
}

function hostOf(world: World, name: string): SimHost {
  const host = world.hosts.get(hostName(name));
  if (host === undefined) throw new Error(`the world has no host ${name}`);
  return host;
}

/** What people do, right or wrong; a refusal is an answer like any other. */
function operate(world: World, action: OperatorAction, on: Operation): void {
  const { writer, fleet, now } = world.cp;
  if (writer === null || fleet === null) return;
  const channel = channelName(on.channel);
  const rolloutId = fleet.newestRollout(channel)?.rolloutId ?? null;
  const command = commandOf(action, {
    rolloutId,
    host: hostName(on.host),
    frozen: frozenBy(on),
    until: on.forMs === null ? null : instant(now + on.forMs),
  });
  const lifted = fleet.quarantines()[0];
  const freezeId = fleet.freezes()[0]?.freezeId;
  const said = (what: string): void => world.say("operators", what);
  if (action === "lift") {
    if (lifted === undefined) return;
    said(`lift ${lifted.closure.slice(33)}`);
    const { closure } = lifted;
    void writer.submit<"LiftQuarantine">({
      kind: "LiftQuarantine",
      ...WHO,
      channel: lifted.channel,
      closure,
    });
  } else if (action === "unfreeze") {
    if (freezeId === undefined) return;
    said("unfreeze");
    void writer.submit<"Unfreeze">({ kind: "Unfreeze", ...WHO, freezeId, mayLiftOthers: true });
  } else if (command !== null) {
    said(`${action} ${action === "retry" ? on.host : on.channel}`);
    void submit(world, command);
  }
}

function frozenBy({ channel, host, freezes }: Operation): Freeze["scope"] {
  if (freezes === "all") return { kind: "all" };
  if (freezes === "channel") return { kind: "channel", channel: channelName(channel) };
  return { kind: "hosts", hosts: [hostName(host)] };
}

const WHO = { by: "ops-1", reason: "a bad day" };

function commandOf(
  action: OperatorAction,
  on: {
    readonly rolloutId: RolloutId | null;
    readonly host: HostName;
    readonly frozen: Freeze["scope"];
    readonly until: ReturnType<typeof instant> | null;
  },
): Command | null {
  const { rolloutId, host, frozen: scope, until } = on;
  switch (action) {
    case "retry":
      return { kind: "Retry", ...WHO, host };
    case "freeze":
      return { kind: "Freeze", ...WHO, scope, until };
    case "resume-after-restore":
      return { kind: "ResumeAfterRestore", ...WHO };
    case "unfreeze":
    case "lift":
      return null;
    case "pause":
      return rolloutId === null ? null : { kind: "Pause", ...WHO, rolloutId, until };
    case "resume":
      return rolloutId === null ? null : { kind: "Resume", ...WHO, rolloutId };
    case "clear":
      return rolloutId === null ? null : { kind: "Clear", ...WHO, rolloutId };
    case "cancel":
      return rolloutId === null ? null : { kind: "Cancel", ...WHO, rolloutId };
    case "advance":
      return rolloutId === null ? null : { kind: "Advance", ...WHO, rolloutId, wave: null };
  }
}

async function submit(world: World, command: Command): Promise<void> {
  const { writer } = world.cp;
  if (writer === null) return;
  // The kinds differ only in what they are answered, which nobody reads here.
  switch (command.kind) {
    case "Retry":
      return void (await writer.submit<"Retry">(command));
    case "Freeze":
      return void (await writer.submit<"Freeze">(command));
    case "ResumeAfterRestore":
      return void (await writer.submit<"ResumeAfterRestore">(command));
    case "Pause":
      return void (await writer.submit<"Pause">(command));
    case "Resume":
      return void (await writer.submit<"Resume">(command));
    case "Clear":
      return void (await writer.submit<"Clear">(command));
    case "Cancel":
      return void (await writer.submit<"Cancel">(command));
    case "Advance":
      return void (await writer.submit<"Advance">(command));
    case "AgentEvents":
    case "Heartbeat":
    case "TakeDispatch":
    case "ReleasesSeen":
    case "ReleaseUnreadable":
    case "HostRevocation":
    case "ReserveCertificate":
    case "CommitCertificate":
    case "TokenUsed":
    case "Unfreeze":
    case "LiftQuarantine":
    case "Retain":
    case "DropArchived":
    case "Tick":
      return;
  }
}
