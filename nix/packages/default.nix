# The three programs out of this monorepo, by the name of their binary's app. Not built in CI (README): only nixpkgs can.
{ pkgs, source }:
let
  inherit (pkgs) lib;
  version = (builtins.fromJSON (builtins.readFile ../../apps/cp/package.json)).version;

  # Of pnpm-lock.yaml. After a change of it, build once with lib.fakeHash and put what Nix names here.
  dependenciesHash = lib.fakeHash;

  program =
    {
      app,
      name,
      description,
    }:
    pkgs.stdenv.mkDerivation (final: {
      pname = name;
      inherit version;
      src = source;
      nativeBuildInputs = [
        pkgs.nodejs
        pkgs.pnpm
        pkgs.pnpm.configHook
        pkgs.makeWrapper
        # better-sqlite3 is compiled: its prebuilt binary would have to be downloaded.
        pkgs.python3
      ];
      pnpmDeps = pkgs.pnpm.fetchDeps {
        inherit (final) pname version src;
        hash = dependenciesHash;
      };
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
    });
in
{
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
