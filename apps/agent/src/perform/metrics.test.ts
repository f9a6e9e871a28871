import { type Instant, instant } from "@nixwave/effects";
import { expect, test } from "vitest";
import { Metrics } from "./metrics.ts";

test("an input, an effect and what the outbox holds can be read", async () => {
  let certificateExpiresAt: Instant | null = null;
  const metrics = new Metrics(() => ({ outboxRows: 7, outboxBytes: 900, certificateExpiresAt }));
  metrics.countInput("TimerFired");
  metrics.countInput("TimerFired");
  metrics.countWithheld();
  metrics.count({
    kind: "EmitMetric",
    name: "nixwave_host_transitions_total",
    labels: [
      ["from", "Soaking"],
      ["to", "Failed"],
      ["channel", "stable"],
    ],
    value: 1,
  });
  const text = await metrics.text();
  expect(text).toContain('nixwave_loop_inputs_total{kind="TimerFired"} 2');
  expect(text).toContain(
    'nixwave_host_transitions_total{from="Soaking",to="Failed",channel="stable"} 1',
  );
  expect(text).toContain("nixwave_probe_results_withheld_total 1");
  expect(text).toContain("nixwave_outbox_rows 7");
  expect(text).not.toMatch(/^nixwave_certificate_expires_timestamp_seconds/m);
  certificateExpiresAt = instant(1_800_000_000_000);
  expect(await metrics.text()).toContain(
    "nixwave_certificate_expires_timestamp_seconds 1800000000",
  );
});
