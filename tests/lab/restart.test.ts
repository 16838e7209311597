// A lab of its own that is lost on purpose: the command that ran says so, and the next one starts
// it again.

import { afterAll, expect, test } from "bun:test";
import {
  LabError,
  labDown,
  labRun,
  labStart,
  labState,
  labUp,
  runningPid,
} from "../../scripts/lab/index.ts";

const bootMs = 300_000;
const lab = labState("restart-test");

afterAll(() => labDown(lab), bootMs);

test(
  "two that start the lab at once share one, a lost one is an error of the lab, then it comes back",
  async () => {
    const outcomes = await Promise.all([labUp(lab), labUp(lab)]);
    expect(outcomes.sort()).toEqual(["running", "started"]);

    const first = runningPid(lab);
    const command = await labStart(["sleep", "600"], { lab });
    process.kill(first ?? 0, "SIGKILL");
    await expect(command.ended).rejects.toBeInstanceOf(LabError);

    const result = await labRun(["echo", "back"], { lab, timeoutMs: 60_000 });
    expect(result.stdout).toBe("back\n");
    expect(runningPid(lab)).not.toBe(first);

    await labDown(lab);
    expect(runningPid(lab)).toBeUndefined();
  },
  bootMs,
);
