import { parseHostName } from "@nixwave/effects";
import { expect, it } from "vitest";
import { ParkedPolls, type Place } from "./parkedPolls.ts";

function host(name: string) {
  const parsed = parseHostName(name);
  if (!parsed.ok) throw new Error(parsed.error.expected);
  return parsed.value;
}

function taken(place: Place | null): Place {
  if (place === null) throw new Error("expected a place");
  return place;
}

it("hazard 77: wakes the host concerned and no other", async () => {
  const polls = new ParkedPolls(4);
  const one = taken(polls.take(host("web-1")));
  const two = taken(polls.take(host("web-2")));
  polls.wake(host("web-1"));
  expect(await one.woken).toBe("woken");
  expect(polls.size).toBe(1);
  // Had it been woken as well, this would come too late.
  polls.stop();
  expect(await two.woken).toBe("stopping");
});

it("does not lose a wake that comes before anybody waits", async () => {
  const polls = new ParkedPolls(4);
  const place = taken(polls.take(host("web-1")));
  polls.wake(host("web-1"));
  await Promise.resolve();
  expect(await place.woken).toBe("woken");
});

it("lets an older poll of the host go, whose leaving then frees nobody else's place", async () => {
  const polls = new ParkedPolls(1);
  const former = taken(polls.take(host("web-1")));
  const newer = taken(polls.take(host("web-1")));
  expect(await former.woken).toBe("replaced");
  former.leave();
  expect(polls.size).toBe(1);
  newer.leave();
  expect(polls.size).toBe(0);
});

it("has no place beyond its number", () => {
  const polls = new ParkedPolls(1);
  taken(polls.take(host("web-1")));
  expect(polls.take(host("web-2"))).toBeNull();
});

it("hazard 79: at stop lets all go, and parks none after", async () => {
  const polls = new ParkedPolls(4);
  const one = taken(polls.take(host("web-1")));
  polls.stop();
  expect(await one.woken).toBe("stopping");
  expect(await taken(polls.take(host("web-2"))).woken).toBe("stopping");
  expect(polls.size).toBe(0);
});
