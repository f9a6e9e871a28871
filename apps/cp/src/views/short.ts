import type { Channel, ChannelRef } from "@nixwave/effects";

/** What the CLI takes for a rollout: a prefix of seven digits is unique in any fleet that a person looks at. */
export const shortId = ({
  channel,
  ref,
}: {
  readonly channel: Channel;
  readonly ref: ChannelRef;
}): string => `${channel}@${ref.slice(0, 7)}`;
