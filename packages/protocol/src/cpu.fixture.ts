/** CPU time of this thread so far, in ms: a limit on work that a busy machine does not stretch. */
export function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
