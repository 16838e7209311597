// Makes the jail by its plan, starts the program in it and waits. What fails half-way is undone.

import { closeSync, openSync } from "node:fs";
import { messageOf } from "../errors.ts";
import { capabilityBits, capabilityWarnings } from "./capabilities.ts";
import { enterFailure, stepFailure } from "./failure.ts";
import { inspectHost, requireRoot } from "./host_facts.ts";
import { enter, type JailExit, prepare } from "./jail_calls.ts";
import { withLock } from "./lock.ts";
import type { JailOptions } from "./options.ts";
import { type Progress, perform } from "./perform.ts";
import { type JailPlan, planJail } from "./plan.ts";
import type { Step } from "./step.ts";

/** How the launcher talks to its caller. */
export interface LaunchHooks {
  warn(sentence: string): void;
  /** Called before each step, and with "enter" before the program's start. */
  before?(step: Step | "enter"): void;
}

function undoAll(actions: readonly (() => void)[], hooks: LaunchHooks): void {
  for (const action of actions.toReversed()) {
    try {
      action();
    } catch (error) {
      hooks.warn(`something is left behind (${messageOf(error)}); use -clean-resource.`);
    }
  }
}

/** The program sees only what is meant for it. */
function environment(): string[] {
  return Object.entries(process.env)
    .filter(([name]) => name.startsWith("STRATOVIRT_") || name === "TERM")
    .map(([name, value]) => `${name}=${value}`);
}

function start(options: JailOptions, plan: JailPlan, hooks: LaunchHooks): JailExit {
  const descriptors: number[] = [];
  try {
    hooks.before?.("enter");
    for (const group of plan.groups) descriptors.push(openSync(`${group}/cgroup.procs`, "w"));
    return enter({
      root: plan.root,
      program: plan.program,
      arguments: [plan.program, ...options.arguments],
      environment: environment(),
      groupDescriptors: descriptors,
      limits: options.resourceLimits,
      uid: options.uid,
      gid: options.gid,
      capabilities: capabilityBits(options.capabilities),
      pidNamespace: options.pidNamespace,
      // A PID namespace ends with its first process, which a program that daemonizes would be.
      keepInit: options.pidNamespace && options.arguments.includes("-daemonize"),
    });
  } catch (error) {
    throw enterFailure(error, options.program);
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor);
  }
}

function make(plan: JailPlan, progress: Progress, hooks: LaunchHooks): void {
  for (const step of plan.steps) {
    try {
      hooks.before?.(step);
      perform(step, progress);
    } catch (error) {
      throw stepFailure(step, error);
    }
  }
}

/**
 * Runs the program in its jail until it ends; the jail stays, for what the program wrote there.
 * Throws a UserError when the program could not start; nothing is left then.
 */
export function launch(options: JailOptions, hooks: LaunchHooks): JailExit {
  requireRoot();
  prepare();
  for (const warning of capabilityWarnings(options.capabilities)) hooks.warn(warning);
  const actions: (() => void)[] = [];
  const progress: Progress = { undo: (action) => actions.push(action), warn: hooks.warn };
  const plan = withLock(() => {
    const made = planJail(options, inspectHost(options));
    try {
      make(made, progress, hooks);
      return made;
    } catch (error) {
      undoAll(actions, hooks);
      throw error;
    }
  });
  try {
    return start(options, plan, hooks);
  } catch (error) {
    withLock(() => undoAll(actions, hooks));
    throw error;
  }
}
