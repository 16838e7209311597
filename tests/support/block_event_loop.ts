// Loaded before the program by a test: SIGUSR2 blocks its event loop for two seconds, as a long
// collection or a defect would.

const BLOCKED_MS = 2000;

process.on("SIGUSR2", () => {
  const end = performance.now() + BLOCKED_MS;
  while (performance.now() < end);
});
