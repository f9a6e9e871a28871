/** As wire.md has them: a reply must fit into one commit, and one host's batch may not keep the writer from the others. */
export const LINE_BYTES_MAX = 16 * 1024;
export const BATCH_LINES_MAX = 256;
export const BATCH_BYTES_MAX = 1024 * 1024;
