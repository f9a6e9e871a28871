/** The one door of the package. */
export * from "./agentRoutes.ts";
export * from "./client.ts";
export * from "./dispatch.ts";
export * from "./event.ts";
export * from "./explanation.ts";
export * from "./fit.ts";
export * from "./fleet.ts";
export * from "./graph.ts";
export * from "./hash.ts";
export {
  type Authority,
  type Certificate,
  certificatePem,
  readAuthorityPem,
  readCertificate,
  readCertificatePem,
  renewAt,
} from "./identity/certificate.ts";
export {
  type CertificateRequest,
  makeCertificateRequest,
  readCertificateRequest,
} from "./identity/csr.ts";
export { type EnrolmentVerdict, judgeEnrolment, judgeRenewal } from "./identity/enrolment.ts";
export * from "./identity/enrolmentFacts.ts";
export { ENROLMENT_WINDOW_SECS } from "./identity/enrolmentProof.ts";
export * from "./identity/enrolmentRequest.ts";
export * from "./identity/fleetEnrolment.ts";
export * from "./identity/issue.ts";
export * from "./identity/joinToken.ts";
export * from "./identity/operatorToken.ts";
export * from "./identity/principal.ts";
export {
  type PublicKey as IdentityKey,
  publicHalf,
  sameKey,
  thumbprint,
} from "./identity/publicKey.ts";
export {
  formatSshPublicKey,
  parseSshPrivateKey,
  parseSshPublicKey,
} from "./identity/sshKey.ts";
export * from "./ids.ts";
export * from "./input.ts";
export * from "./line.ts";
export * from "./log.ts";
export * from "./openapi.ts";
export * from "./operatorRoutes.ts";
export { type Finding, formatFinding } from "./placed.ts";
export * from "./policy.ts";
export * from "./probeFile.ts";
export * from "./problem.ts";
export * from "./publicRoutes.ts";
export * from "./readRelease.ts";
export * from "./record.ts";
export * from "./release.ts";
export * from "./releaseFiles.ts";
export * from "./releaseSource.ts";
export * from "./request.ts";
export * from "./resolve.ts";
export * from "./rollout.ts";
export {
  type Audience,
  EVERY_ROUTE,
  type Role,
  type Route,
  type RouteAnswer,
  type RouteBody,
  roleAllows,
} from "./route.ts";
export * from "./routes.ts";
export * from "./selector.ts";
export * from "./suggestion.ts";
export * from "./time.ts";
export type { Verified } from "./verified.ts";
export * from "./views.ts";
