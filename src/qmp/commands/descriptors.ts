// Descriptors that a client sends beside its requests (SCM_RIGHTS, unix(7)).

import * as v from "valibot";
import { command, empty } from "../command.ts";
import { QmpError } from "../protocol.ts";

// A colon parts the names of a list (fds of netdev_add).
const descriptorName = v.pipe(
  v.string(),
  v.check((name) => /^[^:\0]{1,255}$/.test(name), "a name of 1 to 255 characters without a colon"),
);

export const descriptorCommands = [
  command({
    name: "getfd",
    help: "Names the descriptor that comes with the request; one of that name before is closed.",
    args: v.strictObject({ fdname: descriptorName }),
    result: empty,
    run: ({ control, takeDescriptor }, { fdname }) => {
      const fd = takeDescriptor();
      if (fd === undefined) {
        const remedy = "send one with it by SCM_RIGHTS, on a unix socket";
        throw new QmpError(
          "GenericError",
          `No descriptor came with getfd for '${fdname}': ${remedy}.`,
        );
      }
      control.descriptors.add(fdname, fd);
      return { result: {} };
    },
  }),
  command({
    name: "closefd",
    help: "Closes a descriptor that getfd named.",
    args: v.strictObject({ fdname: descriptorName }),
    result: empty,
    run: ({ control }, { fdname }) => {
      control.descriptors.close(fdname);
      return { result: {} };
    },
  }),
];
