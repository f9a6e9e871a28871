import { type HostName, type Instant, instant, type JournalId } from "@nixwave/effects";
import { issuedAt, principalOf } from "@nixwave/protocol";
import { Backoff } from "../backoff.ts";
import { CALLED_OFF, type Connection, type Http, type Ports, pause } from "../ports.ts";
import { askForCertificate, type CertificateAnswer } from "./certificateAsk.ts";
import { type Authorities, type EnrolBy, readAuthorities } from "./evidence.ts";
import {
  decodeIdentity,
  encodeIdentity,
  type HeldIdentity,
  type IdentityFile,
  identityPath,
  NO_IDENTITY,
  pemsOf,
} from "./file.ts";
import { type Made, requestFor } from "./request.ts";
import { type IdentityShown, shownIdentity } from "./shown.ts";
import { decideIdentity, type IdentityDecision, type Proof, type Setback } from "./state.ts";

export interface KeeperParts {
  readonly host: HostName;
  /** Of the CP. */
  readonly url: string;
  readonly controlPlaneName: string;
  /** The path of the pinned CA. */
  readonly authority: string;
  readonly enrolBy: EnrolBy;
  readonly stateDir: string;
  readonly ports: Pick<Ports, "clock" | "timer" | "random" | "disk">;
  readonly connection: Connection;
  /** What a renewal is asked under; null where no agent runs, and none is asked for. */
  readonly journalId: (() => JournalId) | null;
  readonly onChange: (level: "info" | "warn", message: string) => void;
  readonly onTrouble: (message: string, cause: unknown) => void;
}

/** The wall clock may jump, and a machine may sleep: it is looked at again at least this often. */
const LOOK_EVERY_MS = 10 * 60 * 1000;
const UNAUTHENTICATED = 401;

/**
 * Keeps this host known to its CP: asks for the first certificate, for the next at half of its life, for another where
 * it ended or is not accepted. It runs beside everything else, and nothing waits for it but requests to the CP.
 */
export class IdentityKeeper {
  readonly #parts: KeeperParts;
  readonly #backoff: Backoff;
  readonly #closed = new AbortController();
  #authorities: Authorities = { pem: "", all: [] };
  #file: IdentityFile | null = null;
  #isDisowned = false;
  #setback: Setback | null = null;
  #woken = new AbortController();
  #said = "";
  /** Whoever waits for the end of what is being asked. */
  readonly #onRest = new Set<() => void>();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#backoff = new Backoff(parts.ports.timer, parts.ports.random);
  }

  /** To the CP, with this host's certificate. An answer that knows nobody by it is a reason to ask for another. */
  readonly http: Http = {
    request: async (request) => {
      const shown = this.#file?.held ?? null;
      const wasDisowned = this.#isDisowned;
      const answer = await this.#parts.connection.http.request(request);
      // An answer on a connection of an earlier certificate says nothing about this one.
      if (shown === null || shown !== this.#file?.held) return answer;
      // Nor does one to a question from before the refusal, such as a long poll's.
      if (answer.status === UNAUTHENTICATED) this.#believe(true);
      else if (wasDisowned) this.#believe(false);
      return answer;
    },
  };

  #believe(isDisowned: boolean): void {
    if (isDisowned === this.#isDisowned) return;
    this.#isDisowned = isDisowned;
    this.#setback = null;
    this.#woken.abort(CALLED_OFF);
  }

  async run(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      this.#woken = new AbortController();
      const until = await this.#goOn(signal);
      if (signal.aborted) return;
      const { timer } = this.#parts.ports;
      const rest = Math.min(LOOK_EVERY_MS, Math.max(0, until - this.#now()));
      await pause(timer, rest, AbortSignal.any([signal, this.#woken.signal]));
    }
  }

  close(): void {
    this.#closed.abort(CALLED_OFF);
  }

  /** Asks now for what is missing, whatever was refused before; resolves when there is nothing to do but to wait. */
  async ask(): Promise<IdentityShown> {
    const rest = new Promise<void>((resolve) => this.#onRest.add(resolve));
    this.#setback = null;
    this.#woken.abort(CALLED_OFF);
    await rest;
    return this.shown();
  }

  /** The same without a loop that runs. */
  async once(signal: AbortSignal): Promise<IdentityShown> {
    await this.#goOn(signal);
    return this.shown();
  }

  shown(): IdentityShown {
    const { host } = this.#parts;
    const { state } = this.#decide();
    return shownIdentity({
      state,
      setback: this.#setback,
      host,
      authorities: this.#authorities.all,
    });
  }

  /** When the certificate ends; null while there is none. */
  get expiresAt(): Instant | null {
    return this.#file?.held?.certificate.notAfter ?? null;
  }

  /** Asks until there is nothing to do but to wait, and says until when. */
  async #goOn(signal: AbortSignal): Promise<Instant> {
    for (;;) {
      const until = await this.#round(signal).catch((cause: unknown) => {
        this.#parts.onTrouble("this host's certificate can't be looked after", cause);
        return this.#later(null);
      });
      if (until === null && !signal.aborted) continue;
      for (const resolve of this.#onRest) resolve();
      this.#onRest.clear();
      return until ?? this.#now();
    }
  }

  /** One look and what it asks for; null: look again at once. */
  async #round(signal: AbortSignal): Promise<Instant | null> {
    const authorities = readAuthorities(this.#parts.authority, this.#parts.ports.disk);
    if (!authorities.ok) {
      this.#parts.onTrouble("the control plane's CA is not known", authorities.error);
      return this.#later(null);
    }
    this.#authorities = authorities.value;
    this.#parts.connection.pin(authorities.value.pem);
    if (this.#file === null) this.#load();
    const decision = this.#decide();
    this.#say(decision);
    if (decision.step.kind === "Wait") return decision.step.until;
    await this.#ask(decision.step.proof, signal);
    return null;
  }

  #decide(): IdentityDecision {
    const { held, kept, unheard } = this.#file ?? NO_IDENTITY;
    return decideIdentity(
      {
        enrolBy: this.#parts.enrolBy.kind,
        held: held?.certificate ?? null,
        isDisowned: this.#isDisowned,
        kept: kept?.proof ?? null,
        hasUnheard: unheard !== null,
        renews: this.#parts.journalId !== null,
        setback: this.#setback,
      },
      this.#now(),
    );
  }

  async #ask(proof: Proof, signal: AbortSignal): Promise<void> {
    const { held, kept, unheard } = this.#file ?? NO_IDENTITY;
    const keys = { held: held?.key ?? null, kept, unheard };
    const { disk } = this.#parts.ports;
    const made = await requestFor(proof, { ...this.#parts, disk }, keys, this.#now());
    if (!made.ok) {
      this.#refused(proof, { code: "no-proof", sentence: made.error });
      return;
    }
    // On the disk before it is sent: whatever becomes of the answer, the same request can be made again.
    if (!made.value.isAgain)
      this.#store({ held, kept: made.value.request, unheard: kept?.key ?? unheard });
    const answer = await askForCertificate(made.value.request, {
      ...this.#parts,
      authorities: this.#authorities.all,
      signal,
    });
    if (!signal.aborted) this.#answered(proof, made.value, answer);
  }

  #answered(proof: Proof, { request, isAgain }: Made, answer: CertificateAnswer): void {
    const { held, unheard } = this.#file ?? NO_IDENTITY;
    switch (answer.kind) {
      case "issued": {
        const { certificate } = answer;
        this.#hold({ key: request.key, certificate });
        if (proof === "token") this.#discardToken();
        return;
      }
      case "unanswered": {
        const { code, sentence, retryAfterSecs } = answer;
        const retryAt = this.#later(retryAfterSecs);
        this.#setback = { kind: "unanswered", proof, code, sentence, retryAt };
        this.#parts.onTrouble(`the control plane gave no certificate (${code})`, sentence);
        return;
      }
      case "refused": {
        // A request with a token stays the one that may use that token.
        const isKept = proof === "token";
        this.#store({
          held,
          kept: isKept ? request : null,
          unheard: isAgain ? request.key : unheard,
        });
        // What was kept had grown old: a new one says the same as of now.
        if (isAgain && !isKept) this.#setback = null;
        else this.#refused(proof, answer);
        return;
      }
    }
  }

  #refused(proof: Proof, { code, sentence }: { code: string; sentence: string }): void {
    const before = this.#setback;
    const retryAt = this.#later(null);
    // Where the next proof can't even be made, what the CP has said of the one before it remains the reason.
    const wasJudged = before?.kind === "refused" && before.code !== "no-proof";
    const reasons = code === "no-proof" && wasJudged ? `${before.sentence} ${sentence}` : sentence;
    this.#setback = { kind: "refused", proof, code, sentence: reasons, retryAt };
    this.#parts.onTrouble(`this host was refused a certificate (${code})`, sentence);
  }

  #hold(held: HeldIdentity): void {
    this.#store({ held, kept: null, unheard: null });
    this.#isDisowned = false;
    this.#setback = null;
    this.#backoff.succeeded();
    this.#parts.connection.show(pemsOf(held));
  }

  #discardToken(): void {
    const { enrolBy, ports } = this.#parts;
    try {
      ports.disk.remove(enrolBy.path);
    } catch (cause) {
      this.#parts.onTrouble(
        `the join token in ${enrolBy.path} is used up and can't be removed`,
        cause,
      );
    }
  }

  #load(): void {
    const { ports, stateDir } = this.#parts;
    const text = ports.disk.readText(identityPath(stateDir));
    const read = text === null ? null : decodeIdentity(text);
    if (read?.ok === false) this.#setAside(text, read.error);
    const file = read?.ok === true ? read.value : NO_IDENTITY;
    const strange = file.held === null ? null : this.#strange(file.held);
    if (strange === null) {
      this.#file = file;
      if (file.held !== null) this.#parts.connection.show(pemsOf(file.held));
      return;
    }
    this.#setAside(text, strange);
    this.#file = NO_IDENTITY;
  }

  /** Why a certificate from before is not one of this host and the pinned CA; null where it is. */
  #strange({ certificate }: HeldIdentity): string | null {
    const { host } = this.#parts;
    const known = principalOf(certificate.der, this.#authorities.all, issuedAt(certificate));
    if (!known.ok) return known.error.sentence;
    const { name } = known.value.principal;
    return name === host ? null : `It is of ${name}, and this host is ${host}.`;
  }

  /** Never overwritten: it may hold the key by which the CP knows this host. */
  #setAside(text: string | null, reason: string): void {
    const { ports, stateDir, onTrouble } = this.#parts;
    if (text === null) return;
    const path = identityPath(stateDir);
    const aside = `${path}.unused-${this.#now()}`;
    ports.disk.writeAtomically(aside, text);
    onTrouble(`${path} is not used, and was kept as ${aside}`, reason);
  }

  #store(file: IdentityFile): void {
    const { ports, stateDir } = this.#parts;
    ports.disk.writeAtomically(identityPath(stateDir), encodeIdentity(file));
    this.#file = file;
  }

  #say({ state }: IdentityDecision): void {
    const { says } = this.shown();
    if (this.#said === `${state.kind} ${says}`) return;
    this.#said = `${state.kind} ${says}`;
    this.#parts.onChange(
      state.kind === "Refused" || state.kind === "Expired" ? "warn" : "info",
      says,
    );
  }

  #later(retryAfterSecs: number | null): Instant {
    return instant(this.#now() + this.#backoff.nextMs(retryAfterSecs));
  }

  #now(): Instant {
    return instant(Math.max(0, Math.floor(this.#parts.ports.clock.wallMs())));
  }
}
