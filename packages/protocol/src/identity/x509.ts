/**
 * @peculiar/x509 takes about 110 ms to load, and only who issues or asks for a certificate needs it: the CLI's reads, and
 * every check of a certificate, do without. It resolves its parts through decorators, which need the polyfill loaded before it.
 */
export async function openX509() {
  await import("reflect-metadata");
  return import("@peculiar/x509");
}

export type X509 = Awaited<ReturnType<typeof openX509>>;
