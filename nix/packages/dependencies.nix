# The hash of what pnpm-lock.yaml names, as nixpkgs' pnpm fetches it. It can only be found by fetching, with nixpkgs:
#
#   nix build .#nixwave-dependencies      fails with "got: sha256-…"; that is `hash`
#   sha256sum pnpm-lock.yaml              is `lock`
#
# Null: nobody has done it for this version. A hash of another lock file would bring that one's packages, silently: hence `lock`.
{
  hash = null;
  lock = null;
}
