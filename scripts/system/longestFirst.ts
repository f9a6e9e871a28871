import { BaseSequencer, type TestSpecification } from "vitest/node";

const LONGEST = "/fiveMinutes.test.ts";

/** The file that waits for five minutes begins first, so that all others run beside it. A fresh clone knows no durations. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLongest = ({ moduleId }: TestSpecification): boolean => moduleId.endsWith(LONGEST);
    const sorted = await super.sort(files);
    return [...sorted.filter(isLongest), ...sorted.filter((file) => !isLongest(file))];
  }
}
