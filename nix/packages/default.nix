# The three programs out of this monorepo, by the name of their binary's app. Not built in CI (README): that takes nixpkgs.
{ pkgs, source }:
let
  inherit (pkgs) lib;
  version = (builtins.fromJSON (builtins.readFile ../../apps/cp/package.json)).version;

  known = import ./dependencies.nix;
  lock = builtins.hashFile "sha256" ../../pnpm-lock.yaml;

  # nixpkgs moved both out of pnpm, and asks for a version of its own format.
  fetch = pkgs.fetchPnpmDeps or pkgs.pnpm.fetchDeps;
  configHook = pkgs.pnpmConfigHook or pkgs.pnpm.configHook;
  fetched =
    hash:
    fetch (
      {
        pname = "nixwave";
        inherit version hash;
        src = source;
        fetcherVersion = 3;
      }
      // (if pkgs ? fetchPnpmDeps then { inherit (pkgs) pnpm; } else { })
    );

  # It evaluates, so that `nix flake check` goes on to check the rest, and says what to do once somebody builds it.
  unknown =
    why:
    pkgs.runCommand "nixwave-dependencies-unknown" { } ''
      cat >&2 <<'EOF'
      nixwave: the packages can't be built: ${why}.
      In a checkout of Nixwave, run: nix build .#nixwave-dependencies
      It fails and names the hash after "got:". Write that into nix/packages/dependencies.nix as hash, and as lock:
      ${lock}
      EOF
      exit 1
    '';
  dependencies =
    if known.hash == null then
      unknown "the hash of the packages in pnpm-lock.yaml is not in nix/packages/dependencies.nix yet"
    else if known.lock != lock then
      unknown "pnpm-lock.yaml has changed since the hash in nix/packages/dependencies.nix was found"
    else
      fetched known.hash;

  program =
    {
      app,
      name,
      description,
    }:
    pkgs.stdenv.mkDerivation {
      pname = name;
      inherit version;
      src = source;
      nativeBuildInputs = [
        pkgs.nodejs
        pkgs.pnpm
        configHook
        pkgs.makeWrapper
        # better-sqlite3 is compiled: its prebuilt binary would have to be downloaded.
        pkgs.python3
      ];
      pnpmDeps = dependencies;
      buildPhase = ''
        runHook preBuild
        export npm_config_nodedir=${pkgs.nodejs}
        pnpm rebuild better-sqlite3
        runHook postBuild
      '';
      installPhase = ''
        runHook preInstall
        mkdir -p $out/lib/nixwave $out/bin
        cp -r package.json pnpm-workspace.yaml tsconfig.base.json node_modules packages apps $out/lib/nixwave/
        makeWrapper ${lib.getExe pkgs.nodejs} $out/bin/${name} \
          --add-flags $out/lib/nixwave/apps/${app}/bin/${name}.mjs
        runHook postInstall
      '';
      meta = {
        inherit description;
        license = lib.licenses.mit;
        mainProgram = name;
        platforms = lib.platforms.linux;
      };
    };
in
{
  # With a wrong hash on purpose, where the right one is not known: what it fails with is the right one.
  nixwave-dependencies =
    if known.hash == null || known.lock != lock then fetched lib.fakeHash else dependencies;

  nixwave-agent = program {
    app = "agent";
    name = "nixwave-agent";
    description = "Rolls this host to what was released for it, and back when it hurts";
  };
  nixwave-cp = program {
    app = "cp";
    name = "nixwave-cp";
    description = "Says when a host may move";
  };
  nixwave = program {
    app = "cli";
    name = "nixwave";
    description = "Releases to a fleet, and says what happens there";
  };
}
