/** What a person has to mend before the command can do anything: exit code 1. The message is the whole sentence. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}
