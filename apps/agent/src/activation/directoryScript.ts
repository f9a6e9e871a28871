/**
 * The shell of the directory backend: POSIX sh with coreutils and setsid, so that it needs no file of its own and works
 * from a single binary. Values come as arguments, never spliced into the text.
 */

/** `sh -c LINK link TARGET NAME`: swapped in one rename; a reader sees the old or the new, never none. */
export const LINK = `
mkdir -p "\${2%/*}" && ln -s "$1" "$2.new.$$" && mv -T "$2.new.$$" "$2"
`;

/** `sh -c LINKS links NAME…`: one line for each, empty where there is no link. */
export const LINKS = `
for name; do readlink "$name" || printf '\\n'; done
`;

/**
 * `sh -c COPY copy FROM BESIDE TO`: a copy that was interrupted lies beside and is begun anew. Losing the race for the
 * name against another agent with the same closures is no failure.
 */
export const COPY = `
rm -rf "$2" && cp -a "$1" "$2" || exit 1
mv -T "$2" "$3" 2>/dev/null || { rm -rf "$2"; [ -d "$3" ]; }
`;
