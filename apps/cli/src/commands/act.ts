import { type AnswerOf, type CallOf, ROUTES, type Route, type RouteName } from "@nixwave/protocol";
import { type Desk, print, say, wire } from "../desk.ts";
import { Refusal } from "../refusal.ts";

/** How a person wants it done: `--yes` asks nothing, `--dry-run` says what would be sent and sends nothing. */
export interface Care {
  readonly yes: boolean;
  readonly dryRun: boolean;
}

/** One change of the fleet, as the request that makes it and the words for a person. */
export interface Action<N extends RouteName> {
  readonly route: N;
  readonly request: CallOf<N>;
  /** `pause stable@9f3c2ab`: completes “Would …” and asks “…?”. */
  readonly doing: string;
  /** What it does and does not: a whole sentence. */
  readonly meaning: string;
  readonly done: (answer: AnswerOf<N>) => string;
}

export async function act<N extends RouteName>(
  desk: Desk,
  action: Action<N>,
  care: Care,
): Promise<void> {
  if (care.dryRun) {
    dryRun(desk, action);
    return;
  }
  if (!care.yes && !(await agreed(desk, action))) {
    throw new Refusal("Nothing was done.");
  }
  const answer = await desk.ask(action.route, action.request);
  print(desk, [desk.json ? wire(action.route, answer) : action.done(answer)]);
}

/** Off a terminal nobody can answer, and a script that gave a reason has said what it wants. */
async function agreed<N extends RouteName>(desk: Desk, action: Action<N>): Promise<boolean> {
  const { terminal } = desk.surroundings;
  if (!terminal.interactive) return true;
  say(desk, action.meaning);
  const answer = await terminal.ask(`${capital(action.doing)}? [y/N] `);
  return /^y(es)?$/i.test(answer.trim());
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function dryRun<N extends RouteName>(desk: Desk, action: Action<N>): void {
  const route: Route = ROUTES[action.route];
  const { method, path } = route;
  const filled = Object.entries<unknown>({ ...action.request.params }).reduce(
    (text, [name, value]) => text.replace(`:${name}`, encodeURIComponent(String(value))),
    path,
  );
  const body = route.body.schema.encode(action.request.body);
  if (desk.json) {
    print(desk, [JSON.stringify({ method, path: filled, body: body ?? null })]);
    return;
  }
  say(desk, `Would ${action.doing}. ${action.meaning} Nothing was sent.`);
  print(desk, [`${method} ${filled}`, ...(body === undefined ? [] : [JSON.stringify(body)])]);
}
