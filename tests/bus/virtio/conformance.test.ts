// The conformance suite over every virtio model of the build and each transport.

import { describe } from "bun:test";
import {
  featureCases,
  identificationCases,
  indirectCases,
  interruptCases,
  queueCases,
  statusCases,
} from "./conformance.case.ts";
import { hostileCases } from "./hostile.case.ts";
import { MODELS, TRANSPORTS } from "./models.ts";
import { resetCases } from "./reset.case.ts";
import { stateCases } from "./state.case.ts";

const SUITES = {
  identification: identificationCases,
  features: featureCases,
  status: statusCases,
  queues: queueCases,
  interrupts: interruptCases,
  "indirect tables": indirectCases,
  reset: resetCases,
  "hostile rings": hostileCases,
  "saved states": stateCases,
};

for (const model of MODELS) {
  for (const kind of TRANSPORTS) {
    for (const [name, cases] of Object.entries(SUITES)) {
      describe(`${model.name} over ${kind.name}: ${name}`, () => cases(model, kind));
    }
  }
}
