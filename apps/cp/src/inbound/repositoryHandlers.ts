import type { AgentHandlers } from "./handlers.ts";
import type { MirroredFiles } from "./mirroredFiles.ts";
import { ProblemError } from "./problemError.ts";

type RepositoryHandlers = Pick<AgentHandlers, "getMetadataFile" | "getTargetFile">;

/** The mirrored repository for agents, which verify it by themselves. */
export function repositoryHandlers(files: MirroredFiles): RepositoryHandlers {
  return {
    getMetadataFile: async ({ params }) => {
      const bytes = await files.metadata(params.file);
      if (bytes !== null) return bytes;
      throw ProblemError.of(
        "not-found",
        `metadata/${params.file}: the repository that is mirrored here has no such file.`,
      );
    },
    getTargetFile: async ({ params }) => {
      const bytes = await files.target(params.folder, params.file);
      if (bytes !== null) return bytes;
      throw ProblemError.of(
        "not-found",
        `targets/${params.folder}/${params.file}: no verified file of this name is here; read timestamp.json again.`,
      );
    },
  };
}
