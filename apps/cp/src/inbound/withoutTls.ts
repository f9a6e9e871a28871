import { ProblemError } from "./problemError.ts";

/** On the plain loopback nobody has a certificate, and there is no CA to issue one. */
export function refuseWithoutTls(): never {
  throw ProblemError.of(
    "enrolment-refused",
    "without-tls: this control plane serves without TLS and has no CA: start it without --insecure-loopback.",
  );
}
