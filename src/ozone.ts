// ozone: starts a program in a jail of its own (guidebook chapter 6). The root of each jail is
// /srv/ozone/{base name of the executable}/{name}.

import { ozone } from "./ozone/ozone.ts";

process.exit(ozone(process.argv.slice(2)));
