/**
 * `unshare --mount sh -c HOST_ROOT host ROOT NIX WORK PROGRAM ARG…`: the machine as it is, with a /nix of the host's own. It is put
 * together on a file system in memory that only this process and its children see, so that nothing is mounted for anybody else,
 * and removing the scratch folder can't reach what is mounted here. Where the machine has a store (its Nix itself may be in it),
 * that one lies below the host's own and is not written to.
 */
export const HOST_ROOT = `
set -eu
root=$1 nix=$2 work=$3
shift 3
mount -t tmpfs -o mode=0755 tmpfs "$root"
for entry in /*; do
  name=\${entry#/}
  if [ "$name" = nix ]; then continue
  elif [ -L "$entry" ]; then ln -s "$(readlink "$entry")" "$root/$name"
  elif [ -d "$entry" ]; then mkdir "$root/$name"; mount --rbind "$entry" "$root/$name"
  fi
done
mkdir "$root/nix"
mount --bind "$nix" "$root/nix"
if [ -d /nix/store ]; then
  layers=lowerdir=/nix/store,upperdir=$nix/store,workdir=$work
  mount -t overlay -o "$layers,userxattr" overlay "$root/nix/store" 2>/dev/null ||
    mount -t overlay -o "$layers" overlay "$root/nix/store"
fi
cd "$root"
exec chroot "$root" "$@"
`;
