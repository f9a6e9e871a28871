/** The one door of the package. */
export * from "./agentRoutes.ts";
export * from "./client.ts";
export { closureDigestOf, readStoreDump, type StorePathInfo } from "./closureDigest.ts";
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
  commonNameOf,
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
  ROLES,
  type Role,
  type Route,
  type RouteAnswer,
  type RouteBody,
  roleAllows,
} from "./route.ts";
export * from "./routes.ts";
export * from "./selector.ts";
export * from "./stream.ts";
export * from "./suggestion.ts";
export * from "./time.ts";
export {
  ATTACKS,
  type AttackCode,
  type Expiry,
  expiredProblem,
  isAttack,
  TrustFailure,
  type TrustProblem,
  trustProblem,
} from "./trust/attack.ts";
export * from "./trust/audit.ts";
export { type TrustClient, type TrustOptions, trustClient } from "./trust/client.ts";
export { openRepository } from "./trust/draft.ts";
export { type FetchFile, fetchFromDirectory, fetchFromUrl } from "./trust/fetchFile.ts";
export {
  decodeFleetHosts,
  encodeFleetHosts,
  type FleetHost,
  type FleetHosts,
} from "./trust/fleetHosts.ts";
export { type InitOptions, initRepository, type RoleSpec } from "./trust/initRepository.ts";
export * from "./trust/keyChanges.ts";
export {
  generateKey,
  type Passphrase,
  parseKeyText,
  readKeyFile,
  readPrivateKey,
  readPrivately,
  toKeyText,
  writeKeyFile,
} from "./trust/keyFile.ts";
export { type FleetFile, fleetTarget } from "./trust/layout.ts";
export {
  decodeMetadata,
  type Metadata,
  type RoleKeys,
  type Root as TrustRoot,
  type Targets,
} from "./trust/metadata.ts";
export { mirror } from "./trust/mirror.ts";
export {
  keyIdOf,
  nameOfKey,
  readPublicPem,
  readTufKey,
  type TufKey,
  toTufKey,
} from "./trust/publicKey.ts";
export * from "./trust/released.ts";
export * from "./trust/repository.ts";
export type { Live, Pending, RepositoryProblem } from "./trust/repositoryState.ts";
export { type Outcome as RepositoryOutcome, VALID_DAYS } from "./trust/settle.ts";
export { commandSigner, keySigner, type RunCommand, type Signer } from "./trust/signer.ts";
export { ableToSign, authoritiesOf, type Hands, type Waiting } from "./trust/signing.ts";
export {
  channelsOf,
  expiriesOf,
  isDue,
  stillValid,
  type Trusted,
  versionsOf,
} from "./trust/trusted.ts";
export { type KeptFleetFiles, TrustedReleases } from "./trust/trustedReleases.ts";
export type { Verified } from "./verified.ts";
export * from "./views.ts";
