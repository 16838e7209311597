// Boots that take minutes run only when asked for: STRATOVIRT_ALL_BOOTS=1 bun test ./tests/boot/

export const allBootsAsked = process.env.STRATOVIRT_ALL_BOOTS === "1";
if (!allBootsAsked) console.log("skipped: STRATOVIRT_ALL_BOOTS=1 boots every variant and device");
